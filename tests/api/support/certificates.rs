//! Certificates for TLS to Redis, and servers that use them.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tempfile::TempDir;

use super::{ports::free_port, process::program, redis_server::RedisServer, sentinels::LoneSentinel};

/// A certificate authority, and certificates of a server on localhost and of a client.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// The certificates that tests share, because it takes time to generate keys. The files exist until the last user
    /// drops them.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Certificates>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::new());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let mut command = program("openssl");
            command.args(arguments.split(' ')).current_dir(directory.path());
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -days 30 -subj /CN=tests -keyout ca.key -out ca.pem"));
        std::fs::write(directory.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
        for name in ["server", "client"] {
            openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            let sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
            openssl(&format!("x509 -req -in {name}.csr {sign} -out {name}.pem"));
        }
        Self(directory)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.path().join(file).to_str().unwrap().to_owned()
    }

    /// The settings of a server with a client certificate.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("REDIS_TLS_CA_FILE", self.path("ca.pem")),
            ("REDIS_TLS_CERT_FILE", self.path("client.pem")),
            ("REDIS_TLS_KEY_FILE", self.path("client.key")),
        ]
    }

    /// The directives of a Redis that requires client certificates on `tls_port`.
    fn directives(&self, tls_port: u16) -> [(&'static str, String); 4] {
        [
            ("tls-port", tls_port.to_string()),
            ("tls-cert-file", self.path("server.pem")),
            ("tls-key-file", self.path("server.key")),
            ("tls-ca-cert-file", self.path("ca.pem")),
        ]
    }

    /// A Redis that requires client certificates on `tls_port`, and accepts plain connections on its other port.
    pub(crate) fn start_redis(&self, tls_port: u16) -> RedisServer {
        self.start_redis_at(free_port(), tls_port, &[])
    }

    pub(crate) fn start_redis_at(&self, port: u16, tls_port: u16, more: &[&str]) -> RedisServer {
        let mut arguments: Vec<String> = Vec::new();
        for (name, value) in self.directives(tls_port) {
            arguments.extend([format!("--{name}"), value]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        RedisServer::start_at(port, &arguments)
    }

    /// A single Sentinel that uses only TLS, to its clients and to the primary.
    pub(crate) fn start_sentinel(&self, tls_port: u16, primary: u16) -> LoneSentinel {
        let mut lines: Vec<_> =
            self.directives(tls_port).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        lines.push("tls-replication yes".to_owned());
        LoneSentinel::start(0, primary, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}
