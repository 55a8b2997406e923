//! The settings of a verifier.

use std::{fmt, time::Duration};

use auth_service_token::Parties;
use http::Uri;

use crate::{
    client::Client,
    start_error::StartError,
    tls,
    verifier::{Parts, Verifier},
};

/// Collects the settings of a [`Verifier`].
#[must_use = "a builder does nothing until it starts a verifier"]
pub struct Builder {
    servers: Vec<String>,
    parties: Parties,
    name: String,
    secret: String,
    bound: Duration,
    deadline: Duration,
    introspections: usize,
    authorities: Option<Vec<u8>>,
}

impl Verifier {
    /// A verifier of the tokens of this server, which is a base URL such as `https://auth.example.com`. Use `http://`
    /// only in a network that you trust: whoever can change an answer can forge tokens.
    pub fn builder(server: &str) -> Builder {
        Builder::new(server)
    }
}

impl Builder {
    fn new(server: &str) -> Self {
        Self {
            servers: vec![server.to_owned()],
            parties: Parties::default(),
            name: String::new(),
            secret: String::new(),
            bound: Duration::from_secs(1),
            deadline: Duration::from_secs(1),
            introspections: 64,
            authorities: None,
        }
    }

    /// Adds the base URL of another server on the same store. The verifier uses one server until this server fails.
    /// Behind a load balancer, one URL is enough.
    pub fn server(mut self, url: &str) -> Self {
        self.servers.push(url.to_owned());
        self
    }

    /// The `ISSUER` of the server. By default `auth-service`, as in the server. Compared exactly.
    pub fn issuer(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.parties.issuer);
        self
    }

    /// The `AUDIENCE` of the server. By default `auth-service`, as in the server. Compared exactly.
    pub fn audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.parties.audience);
        self
    }

    /// The name of this resource server, and its secret. `RESOURCE_SERVERS` of the server has the name and the SHA-256
    /// of the secret.
    pub fn resource_server(mut self, name: &str, secret: &str) -> Self {
        name.clone_into(&mut self.name);
        secret.clone_into(&mut self.secret);
        self
    }

    /// How long after a removal a token may still be accepted. By default a second, which is also the minimum. A longer
    /// bound bridges longer outages of the server without introspection. It does not slow the polls down.
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// How long a request waits for the server, if its token cannot be checked offline. By default a second.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many introspections run at a time. Further ones wait. By default 64.
    pub fn max_introspections(mut self, at_a_time: usize) -> Self {
        self.introspections = at_a_time;
        self
    }

    /// Certificate authorities in PEM, which replace those of the operating system.
    pub fn certificate_authorities(mut self, pem: &[u8]) -> Self {
        self.authorities = Some(pem.to_owned());
        self
    }

    /// Fetches the keys and the feed, and starts to follow both in tasks on this tokio runtime. The tasks end when the
    /// last clone of the verifier and of its layers is dropped.
    ///
    /// If the server cannot be reached within five seconds, the verifier starts nevertheless, and answers 503 until it
    /// has heard from the server. [`Verifier::is_fresh`] tells.
    ///
    /// # Errors
    /// A [`StartError`] for settings that cannot work.
    ///
    /// # Panics
    /// Outside of a tokio runtime with timers and I/O.
    pub async fn start(self) -> Result<Verifier, StartError> {
        let is_name = |c: char| c != ':' && !c.is_control();
        if self.name.is_empty() || self.secret.is_empty() || !self.name.chars().all(is_name) {
            return Err(StartError::ResourceServer);
        }
        if self.bound < Duration::from_secs(1) {
            return Err(StartError::Bound);
        }
        let servers = self.servers.iter().map(|url| base(url)).collect::<Result<_, _>>()?;
        let tls = tls::config(self.authorities.as_deref()).map_err(StartError::CertificateAuthorities)?;
        let client = Client::new(servers, &self.name, &self.secret, tls);
        let Self { parties, bound, deadline, introspections, .. } = self;
        Verifier::start(Parts { client, parties, bound, deadline, introspections }).await
    }
}

/// Checks a base URL. A path is allowed, for servers behind a prefix. Returns the URL without the slash at its end.
fn base(url: &str) -> Result<String, StartError> {
    // What is before the @ may be a secret.
    let wrong = || StartError::Server(url.rsplit('@').next().unwrap_or_default().to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if is_http && is_plain && uri.query().is_none() { Ok(url.trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

/// Never shows the secret.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, parties, name, bound, .. } = self;
        let mut debug = f.debug_struct("Builder");
        debug.field("servers", servers).field("parties", parties).field("name", name).field("bound", bound);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_a_scheme_a_host_and_perhaps_a_path() {
        for (url, expected) in [
            ("https://auth.example.com", "https://auth.example.com"),
            ("http://10.0.0.1:3000/", "http://10.0.0.1:3000"),
            ("https://example.com/auth/", "https://example.com/auth"),
        ] {
            assert_eq!(base(url), Ok(expected.to_owned()));
        }
        for url in ["", "auth.example.com", "/path", "ftp://a.b", "https://a.b/?x=1"] {
            assert_eq!(base(url), Err(StartError::Server(url.to_owned())), "{url}");
        }
        assert_eq!(base("https://user:secret@a.b"), Err(StartError::Server("a.b".to_owned())));
    }

    #[tokio::test]
    async fn settings_that_cannot_work_stop_the_start() {
        let named = || Builder::new("http://127.0.0.1:1").resource_server("shop", "secret");
        let pem = named().certificate_authorities(b"no certificate").start().await;
        assert!(matches!(pem, Err(StartError::CertificateAuthorities(_))), "{pem:?}");
        assert_eq!(named().bound(Duration::from_millis(999)).start().await.err(), Some(StartError::Bound));
        for builder in
            [Builder::new("http://a.b"), named().resource_server("a:b", "c"), named().resource_server("a", "")]
        {
            assert_eq!(builder.start().await.err(), Some(StartError::ResourceServer));
        }
    }
}
