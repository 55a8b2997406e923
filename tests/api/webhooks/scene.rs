//! Servers with webhooks.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Data, METRICS, Receiver, Store, TestApp, WEBHOOK_SECRET};

/// The settings of servers that share an outbox. The shared Redis has an outbox for each test.
pub(crate) struct Scene {
    data: Data,
    prefix: String,
}

impl Scene {
    pub(crate) fn new(store: Store) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { data: Data::new(store), prefix: format!("as:w{}-{number}:", std::process::id()) }
    }

    /// A server whose events go to `receiver`.
    pub(crate) fn start(&self, receiver: &Receiver, more: &[(&str, &str)]) -> TestApp {
        self.start_with_url(&receiver.url(), more)
    }

    pub(crate) fn start_with_url(&self, url: &str, more: &[(&str, &str)]) -> TestApp {
        let settings = [
            METRICS,
            ("REDIS_KEY_PREFIX", &self.prefix),
            ("WEBHOOK_URL", url),
            ("WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("WEBHOOK_ALLOW_PRIVATE", "on"),
        ];
        self.data.start(&[&settings, more].concat())
    }
}

/// Asserts that the server has printed neither the secret nor the path or the query of the URL.
#[track_caller]
pub(crate) fn assert_prints_no_secret(app: &TestApp) {
    let output = app.output();
    assert!(!output.contains("planted") && !output.contains(WEBHOOK_SECRET), "{output}");
}
