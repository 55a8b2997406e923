//! Servers with webhooks.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Data, METRICS, Receiver, Store, TestApp, WEBHOOK_SECRET};

/// The settings of servers that share an outbox. The shared Redis has an outbox for each test.
pub(crate) struct Scene {
    data: Data,
    /// The setting is only for Redis.
    prefix: Option<String>,
}

impl Scene {
    pub(crate) fn new(store: Store) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("as:w{}-{number}:", std::process::id());
        Self { data: Data::new(store), prefix: (store == Store::Redis).then_some(prefix) }
    }

    /// A server whose events go to `receiver`.
    pub(crate) fn start(&self, receiver: &Receiver, more: &[(&str, &str)]) -> TestApp {
        self.start_with_url(&receiver.url(), more)
    }

    pub(crate) fn start_with_url(&self, url: &str, more: &[(&str, &str)]) -> TestApp {
        let settings =
            [METRICS, ("WEBHOOK_URL", url), ("WEBHOOK_SECRET", WEBHOOK_SECRET), ("WEBHOOK_ALLOW_PRIVATE", "on")];
        let prefix: Vec<_> = self.prefix.iter().map(|prefix| ("REDIS_KEY_PREFIX", prefix.as_str())).collect();
        self.data.start(&[&settings, &prefix[..], more].concat())
    }
}

/// Asserts that the server has printed neither the secret nor the path or the query of the URL.
#[track_caller]
pub(crate) fn assert_prints_no_secret(app: &TestApp) {
    let output = app.output();
    assert!(!output.contains("planted") && !output.contains(WEBHOOK_SECRET), "{output}");
}
