//! `jose`, a program of Debian. It checks signatures, and neither `iss`, `aud` nor `exp`.

use std::{fs, process::Stdio};

use crate::{
    scene::{Bad, Scene},
    support::{claims, program},
};

/// The payload of a token whose signature `jose` accepts.
fn payload(scene: &Scene, token: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).unwrap();
    };
    file("token", token);
    file("keys", &scene.jwks().to_string());
    let mut command = program("jose");
    command.args(["jws", "ver", "-i", "token", "-k", "keys", "-O-"]).current_dir(directory.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn jose_verifies_genuine_signatures_only() {
    let scene = Scene::start();
    let good = scene.app.new_session().access_token;
    let assert_verified = |token: &str| {
        let payload = payload(&scene, token).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&payload).unwrap(), claims(token));
    };
    assert_verified(&good);
    for (what, token) in scene.bad_tokens() {
        let is_signed = [Bad::OtherAudience, Bad::OtherIssuer, Bad::Expired].contains(&what);
        assert_eq!(payload(&scene, &token).is_some(), is_signed, "{what:?}");
    }
    let new = scene.rotate().access_token;
    assert_verified(&good);
    assert_verified(&new);
}
