//! A receiver of webhooks, over HTTP or TLS.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

use super::{certificates::Certificates, wait::wait_longer};

/// The secret of the tests.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQtcGxhbnRlZA==";

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// The request line.
    pub(crate) line: String,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Hook {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The type of the event.
    pub(crate) fn kind(&self) -> String {
        self.event()["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn user_id(&self) -> String {
        self.event()["data"]["user_id"].as_str().unwrap().to_owned()
    }

    /// Asserts that the signature is that of Standard Webhooks with this secret.
    #[track_caller]
    pub(crate) fn assert_signed_by(&self, secret: &str) {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(tag));
        assert!(self.headers["webhook-signature"].split(' ').any(|signature| signature == expected), "{self:?}");
    }
}

/// The rest of an answer, after `HTTP/1.1 `. `None`: the receiver stays silent.
pub(crate) type Reply = Option<&'static str>;

/// Accepts an event.
pub(crate) const ACCEPTED: Reply = Some("204 No Content\r\n\r\n");
/// Does not accept an event.
pub(crate) const FAILED: Reply = Some("500 Internal Server Error\r\nContent-Length: 6\r\n\r\nfailed");

type Decide = dyn Fn(&Hook) -> Reply + Send + Sync;

/// A running receiver. It keeps all requests.
pub(crate) struct Receiver {
    port: u16,
    scheme: &'static str,
    hooks: Arc<Mutex<Vec<Hook>>>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// A receiver that accepts every event.
    pub(crate) fn start() -> Self {
        Self::deciding(|_| ACCEPTED)
    }

    /// A receiver that answers as `decide` says.
    pub(crate) fn deciding(decide: impl Fn(&Hook) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").unwrap(), None, decide)
    }

    /// A receiver on a port that the test has picked.
    pub(crate) fn at(port: u16) -> Self {
        Self::serve(TcpListener::bind(("127.0.0.1", port)).unwrap(), None, |_| ACCEPTED)
    }

    /// A receiver over TLS, whose certificate is for localhost.
    pub(crate) fn with_tls(certificates: &Certificates) -> Self {
        let read = |file: &str| fs::read(certificates.path(file)).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("server.pem")).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::serve(TcpListener::bind("127.0.0.1:0").unwrap(), Some(Arc::new(config)), |_| ACCEPTED)
    }

    fn serve(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        decide: impl Fn(&Hook) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (port, decide): (_, Arc<Decide>) = (listener.local_addr().unwrap().port(), Arc::new(decide));
        let (hooks, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let receiver = Self {
            port,
            scheme: if tls.is_some() { "https" } else { "http" },
            hooks: Arc::clone(&hooks),
            connections: Arc::clone(&connections),
        };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::Relaxed);
                let (hooks, decide, tls) = (Arc::clone(&hooks), Arc::clone(&decide), tls.clone());
                // A connection that breaks is no fault of the test.
                thread::spawn(move || {
                    let _ = match tls {
                        None => answer(stream, &hooks, &*decide),
                        Some(tls) => {
                            answer(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &hooks, &*decide)
                        }
                    };
                });
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/planted-path?key=planted", self.scheme, self.port)
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// All requests so far.
    pub(crate) fn hooks(&self) -> Vec<Hook> {
        self.hooks.lock().unwrap().clone()
    }

    /// The types of all events so far.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.hooks().iter().map(Hook::kind).collect()
    }

    /// Waits until there are this many requests, and returns them.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Hook> {
        wait_longer(30, "the receiver has the webhooks", || self.hooks.lock().unwrap().len() >= count);
        self.hooks()
    }
}

/// Answers the requests of a connection, one after the other.
fn answer(stream: impl Read + Write, hooks: &Mutex<Vec<Hook>>, decide: &Decide) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let hook = read(&mut stream)?;
        hooks.lock().unwrap().push(hook.clone());
        let Some(reply) = decide(&hook) else {
            thread::sleep(Duration::from_secs(60));
            return Ok(());
        };
        write!(stream.get_mut(), "HTTP/1.1 {reply}")?;
        stream.get_mut().flush()?;
    }
}

fn read(stream: &mut impl BufRead) -> io::Result<Hook> {
    let mut line = || {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body)?;
    Ok(Hook { line: first, headers, body: String::from_utf8(body).unwrap() })
}
