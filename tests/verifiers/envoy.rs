//! Envoy with the filter `jwt_authn` of `docs/resource-servers.md`.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    process::Stdio,
};

use tempfile::TempDir;

use crate::{
    document,
    python::repository_file,
    scene::{Bad, Scene},
    support::{Process, free_port, program, raw, wait_until},
};

/// Answers every request that passes the filter.
const REST: &str = r#"
static_resources:
  listeners:
    - address: {socket_address: {address: 127.0.0.1, port_value: OWN_PORT}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: application
                route_config:
                  virtual_hosts:
                    - name: application
                      domains: ["*"]
                      routes:
                        - match: {prefix: /}
                          direct_response: {status: 200, body: {inline_string: served}}
                http_filters:
FILTER
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
CLUSTER
"#;

struct Envoy {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Envoy {
    /// Envoy with the blocks of the document, but with the port of the test, and with a cache of one second, so that a
    /// key of the test is in the cache before the key signs.
    fn start(scene: &Scene) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let printed = |words: &str, depth: usize| {
            let block = document::block("yaml", words).replace("3000", &scene.app.port().to_string());
            let indent = " ".repeat(depth);
            block.lines().map(|line| format!("{indent}{line}\n")).collect::<String>()
        };
        let filter = printed("jwt_authn", 18);
        assert!(filter.contains("cache_duration: 300s"), "{filter}");
        let text = REST
            .replace("OWN_PORT", &port.to_string())
            .replace("FILTER", &filter.replace("cache_duration: 300s", "cache_duration: 1s"))
            .replace("CLUSTER", &printed("connect_timeout", 4));
        fs::write(directory.path().join("envoy.yaml"), text).unwrap();
        let mut command = program(repository_file("target/proxies/envoy"));
        command.args(["--disable-hot-restart", "--concurrency", "1", "-c", "envoy.yaml"]);
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(command);
        wait_until("Envoy listens", || {
            assert!(process.status().is_none(), "Envoy has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { port, _process: process, _directory: directory }
    }

    fn status(&self, token: &str) -> u16 {
        let authorization = format!("Bearer {token}");
        let request = raw::request("GET", "/orders", &[("Authorization", &authorization)], None);
        raw::exchange(self.port, &request).unwrap().status
    }
}

#[test]
fn envoy_serves_genuine_tokens_only() {
    let scene = Scene::start();
    let envoy = Envoy::start(&scene);
    let good = scene.app.new_session().access_token;
    wait_until("Envoy has the keys", || envoy.status(&good) == 200);
    for (what, token) in scene.bad_tokens() {
        let status = if what == Bad::OtherAudience { 403 } else { 401 };
        assert_eq!(envoy.status(&token), status, "{what:?}");
    }
    let without = raw::exchange(envoy.port, &raw::request("GET", "/orders", &[], None)).unwrap();
    assert_eq!(without.status, 401);
    // The next key is published before it signs, so Envoy knows it at once.
    let new = scene.rotate().access_token;
    assert_eq!(envoy.status(&new), 200);
    assert_eq!(envoy.status(&good), 200);
}
