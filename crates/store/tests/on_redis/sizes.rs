//! The memory that a user and a session take in Redis.

use crate::scene::{POLICY, Scene};

impl Scene {
    fn bytes(&self, key: &str) -> u64 {
        self.redis(&["MEMORY", "USAGE", key])
    }
}

#[tokio::test]
async fn a_user_and_a_session_are_small() {
    let scene = Scene::new(POLICY).await;
    let sid = scene.sign_in().await;
    let user = scene.bytes(&scene.key("u"));
    assert!(user <= 450, "{user} bytes");
    let keys = [scene.key("e"), scene.key("s"), scene.access(sid), scene.refresh_key(sid)];
    let bytes = keys.map(|key| scene.bytes(&key));
    assert!(bytes.iter().sum::<u64>() <= 900, "{bytes:?}");
}
