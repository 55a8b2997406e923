//! An API behind the middleware: the axum example, in a process of its own, started as `load api SERVER_URL`.

use std::io::{self, Write};

use auth_service_resource_server::Verifier;
use tokio::{net::TcpListener, runtime};

#[path = "../../crates/resource-server/examples/axum.rs"]
#[expect(dead_code, reason = "the benchmark starts the API of the example without its main function")]
mod example;

/// The setting of a server that knows the API: the name, and the SHA-256 of [`SECRET`].
pub(crate) const RESOURCE_SERVERS: (&str, &str) =
    ("RESOURCE_SERVERS", "orders:7570317b0a9074b17b281a99b3d46ee6da1a17d440a320c26cde8eaa711f975b");
const SECRET: &str = "secret of orders";

/// A verifier of the tokens of the server at `url`.
pub(crate) async fn verifier(url: &str) -> Verifier {
    Verifier::builder(url).resource_server("orders", SECRET).start().await.unwrap()
}

/// Prints the port when the API is ready, then serves until the process is killed. The runtime is the one of most
/// programs that use axum.
pub(crate) fn serve(url: &str) {
    runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let verifier = verifier(url).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        io::stdout().flush().unwrap();
        axum::serve(listener, example::api(&verifier)).await.unwrap();
    });
}
