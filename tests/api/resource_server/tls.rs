//! A verifier that reaches the server over TLS, through HAProxy.

use std::fs;

use super::shop::{Shop, server, verifier_at};
use crate::support::{Certificates, Process, Store::Embedded, free_port, program, wait_until};

#[test]
fn only_the_given_authority_is_trusted() {
    let app = server(Embedded, &[]);
    let (certificates, port) = (Certificates::shared(), free_port());
    let directory = tempfile::tempdir().unwrap();
    let read = |file: &str| fs::read(certificates.path(file)).unwrap();
    let (pem, config) = (directory.path().join("server.pem"), directory.path().join("haproxy.cfg"));
    fs::write(&pem, [read("server.pem"), read("server.key")].concat()).unwrap();
    let text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         frontend tls\n bind 127.0.0.1:{port} ssl crt {}\n default_backend server\n\
         backend server\n server one 127.0.0.1:{}\n",
        pem.display(),
        app.port()
    );
    fs::write(&config, text).unwrap();
    let mut haproxy = program("haproxy");
    haproxy.arg("-db").arg("-f").arg(&config);
    let _haproxy = Process::start(haproxy);
    wait_until("HAProxy listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let token = app.new_session().access_token;
    let builder = || verifier_at(&format!("https://localhost:{port}"));
    let trusting = Shop::open(builder().certificate_authorities(&read("ca.pem")));
    wait_until("the feed is fresh", || trusting.verifier.is_fresh());
    assert_eq!(trusting.orders(&token).status, 200);
    // The authorities of this machine do not know ours.
    let strict = Shop::open(builder());
    strict.orders(&token).assert_error(503, "verification_unavailable");
}
