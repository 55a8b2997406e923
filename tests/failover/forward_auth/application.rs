//! The application behind the proxies: answers each request with a description of what has arrived.

use std::{fmt, net::Ipv4Addr, sync::mpsc, thread};

use auth_service_token::Id;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

/// Serves until the test process ends. Returns the port.
pub(super) fn start() -> u16 {
    let (sender, port) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(describe));
                // A proxy may close its connection at any time.
                tokio::spawn(connection);
            }
        });
    });
    port.recv().unwrap()
}

#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application closes the connection")
    }
}

impl std::error::Error for Closed {}

/// Closes the connection without an answer for `/closes`.
async fn describe(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    if request.uri().path() == "/closes" {
        return Err(Closed);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let description = json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": headers,
        "length": body.len(),
        "digest": Id::digest(&body).to_string(),
    });
    // Errors of the application must reach the client unchanged.
    let status = if head.uri.path().ends_with("/fails") { 500 } else { 200 };
    let answer = Response::builder().status(status).header("X-Application", "yes");
    Ok(answer.body(description.to_string().into()).unwrap())
}
