//! A resource server: the axum example of the middleware, with a verifier that the test configures.

use auth_service_resource_server::{Builder, StartError, Verifier};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};

use crate::support::{Answer, RESOURCE_SERVERS, RedisServer, Store, TestApp, free_port, raw};

#[path = "../../../crates/resource-server/examples/axum.rs"]
#[expect(dead_code, reason = "the test starts the API of the example without its main function")]
mod example;

/// A running API.
pub(super) struct Shop {
    port: u16,
    pub(super) verifier: Verifier,
    runtime: Option<Runtime>,
}

/// A server that signs with ES256 and knows the shop, with more settings. The port stays the same after a restart.
pub(super) fn server(store: Store, more: &[(&str, &str)]) -> TestApp {
    let port = free_port().to_string();
    TestApp::start_with(store, &[&settings(&port), more].concat())
}

/// Like [`server`], on a Redis of the test's own.
pub(super) fn server_on(redis: &RedisServer, more: &[(&str, &str)]) -> TestApp {
    let port = free_port().to_string();
    TestApp::start_on(&redis.url(), &[&settings(&port), more].concat())
}

fn settings(port: &str) -> [(&str, &str); 3] {
    [("ACCESS_TOKEN_ALGORITHM", "ES256"), RESOURCE_SERVERS, ("PORT", port)]
}

/// The settings of a verifier of the server on this port.
pub(super) fn verifier(port: u16) -> Builder {
    verifier_at(&format!("http://127.0.0.1:{port}"))
}

/// The settings of a verifier of the server at this URL.
pub(super) fn verifier_at(url: &str) -> Builder {
    Verifier::builder(url).resource_server("orders", "secret of orders")
}

impl Shop {
    pub(super) fn open(verifier: Builder) -> Self {
        Self::try_open(verifier).unwrap()
    }

    pub(super) fn try_open(verifier: Builder) -> Result<Self, StartError> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (port, verifier) = runtime.block_on(async {
            let verifier = verifier.start().await?;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let api = example::api(&verifier);
            tokio::spawn(async { axum::serve(listener, api).await.unwrap() });
            Ok((port, verifier))
        })?;
        Ok(Self { port, verifier, runtime: Some(runtime) })
    }

    pub(super) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        raw::exchange(self.port, &raw::request("GET", path, headers, None)).unwrap()
    }

    /// The private route, with this access token.
    pub(super) fn orders(&self, token: &str) -> Answer {
        self.get("/orders", &[("Authorization", &format!("Bearer {token}"))])
    }

    /// Starts a task on the runtime of the shop, and waits for its end.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
