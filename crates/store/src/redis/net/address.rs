//! The address of Redis: parses `REDIS_URL`, and adds the settings that all servers behind it share.

use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::{open_error::OpenError, settings::RedisSettings};

/// The rest of a sentence that says which forms `REDIS_URL` may have.
pub const REDIS_FORMS: &str = "must have the form redis://[user:password@]host[:port][/database], unix:///path, \
     redis+sentinel://host1,host2/service or redis+cluster://host1,host2; rediss instead of redis for TLS";

const SCHEMES: [&str; 8] = [
    "redis://",
    "rediss://",
    "unix://",
    "redis+unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
];

/// Whether `url` has a known scheme and text after the scheme. Opening the store checks the rest.
#[must_use]
pub fn is_redis_url(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The kind of the servers, and the way to find them.
#[derive(Clone)]
pub(in crate::redis) enum Topology {
    /// One server, which is always the primary.
    Single,
    /// The Sentinels know which server is the primary.
    Sentinel {
        /// The name under which the Sentinels monitor the primary.
        service: String,
    },
    /// Each primary serves a part of the slots.
    Cluster,
}

/// A parsed `REDIS_URL` with the other Redis settings applied.
#[derive(Clone)]
pub(in crate::redis) struct Address {
    pub(in crate::redis) topology: Topology,
    /// The single server, the Sentinels, or some nodes of the cluster. There is at least one.
    pub(in crate::redis) seeds: Vec<ConnectionInfo>,
}

/// The kind of servers that the scheme of a URL names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

impl Kind {
    fn form(self) -> &'static str {
        match self {
            Self::Single => "redis://[user:password@]host[:port][/database]",
            Self::Sentinel => "redis+sentinel://[user:password@]host[:port][,host[:port]...]/service[/database]",
            Self::Cluster => "redis+cluster://[user:password@]host[:port][,host[:port]...]",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Single | Self::Cluster => REDIS_PORT,
            Self::Sentinel => SENTINEL_PORT,
        }
    }

    /// Splits the path of a URL into the topology and the database. `None` if the path is malformed.
    fn topology(self, path: &str) -> Option<(Topology, &str)> {
        match (self, path.split_once('/').unwrap_or((path, ""))) {
            (Self::Single, _) => Some((Topology::Single, path)),
            (Self::Sentinel, ("", _)) => None,
            (Self::Sentinel, (service, database)) => {
                Some((Topology::Sentinel { service: service.to_owned() }, database))
            }
            (Self::Cluster, ("" | "0", "")) => Some((Topology::Cluster, "")),
            (Self::Cluster, _) => None,
        }
    }
}

impl Address {
    pub(in crate::redis) fn new(settings: &RedisSettings) -> Result<Self, OpenError> {
        let url = settings.url.expose();
        let (scheme, rest) = url.split_once("://").ok_or_else(no_form)?;
        let kind = match scheme {
            "redis" | "rediss" => Kind::Single,
            "unix" | "redis+unix" => return Self::unix(url, settings),
            "redis+sentinel" | "rediss+sentinel" => Kind::Sentinel,
            "redis+cluster" | "rediss+cluster" => Kind::Cluster,
            _ => return Err(no_form()),
        };
        if url.contains(['#', '?']) {
            return Err(malformed(kind.form()));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), authority),
        };
        let (topology, database) = kind.topology(path).ok_or_else(|| malformed(kind.form()))?;
        let hosts: Vec<_> = hosts.split(',').collect();
        if kind == Kind::Single && hosts.len() > 1 {
            return Err(OpenError::Settings(
                "REDIS_URL names several hosts: use redis+sentinel://host1,host2/service or redis+cluster://host1,host2"
                    .to_owned(),
            ));
        }
        let plain = if scheme.starts_with("rediss") { "rediss" } else { "redis" };
        let seed = |host: &&str| {
            let bare = host.rsplit(']').next().is_some_and(|end| !end.contains(':'));
            let port = if bare { format!(":{}", kind.port()) } else { String::new() };
            let info = format!("{plain}://{credentials}{host}{port}/{database}").into_connection_info();
            // The library's message may quote the URL, which may hold a password.
            info.map_err(|_| malformed(kind.form())).and_then(|info| settle(info, settings))
        };
        Ok(Self { seeds: hosts.iter().map(seed).collect::<Result<_, _>>()?, topology })
    }

    fn unix(url: &str, settings: &RedisSettings) -> Result<Self, OpenError> {
        let info = url.into_connection_info().map_err(|_| malformed("unix:///path[?db=database]"))?;
        Ok(Self { topology: Topology::Single, seeds: vec![settle(info, settings)?] })
    }

    /// The host and port of each seed, or the path of the socket, without credentials.
    pub(in crate::redis) fn name(&self) -> String {
        let seeds: Vec<_> = self.seeds.iter().map(|seed| seed.addr().to_string()).collect();
        let seeds = seeds.join(",");
        match &self.topology {
            Topology::Single => seeds,
            Topology::Sentinel { service } => format!("{service} of the Sentinels {seeds}"),
            Topology::Cluster => format!("the cluster {seeds}"),
        }
    }

    /// The server at `host` and `port`, with the credentials, certificates and database of the first seed.
    pub(in crate::redis) fn server(&self, host: &str, port: u16) -> ConnectionInfo {
        let seed = self.seeds[0].clone();
        let host = host.to_owned();
        let addr = match seed.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        seed.set_addr(addr)
    }
}

fn no_form() -> OpenError {
    OpenError::Settings(format!("REDIS_URL {REDIS_FORMS}"))
}

fn malformed(form: &str) -> OpenError {
    OpenError::Settings(format!("REDIS_URL must have the form {form}"))
}

/// Applies the other Redis settings, and the options that all our connections share.
fn settle(info: ConnectionInfo, settings: &RedisSettings) -> Result<ConnectionInfo, OpenError> {
    let mut redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let in_url = redis.username().is_some() || redis.password().is_some();
    if in_url && (settings.username.is_some() || settings.password.is_some()) {
        let both = "REDIS_URL has a user name or password, and REDIS_USERNAME or REDIS_PASSWORD is set: keep one place";
        return Err(OpenError::Settings(both.to_owned()));
    }
    if let Some(username) = &settings.username {
        redis = redis.set_username(username);
    }
    if let Some(password) = &settings.password {
        redis = redis.set_password(password.expose());
    }
    let info = info.set_redis_settings(redis).set_tcp_settings(tcp_settings());
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return match settings.tls {
            None => Ok(info),
            Some(_) => Err(OpenError::Settings(
                "REDIS_TLS_CA_FILE and REDIS_TLS_CERT_FILE need a REDIS_URL of the form rediss://".to_owned(),
            )),
        };
    }
    // Installs a provider explicitly, because the default depends on how the program was built. An error means that a
    // provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(tls) = &settings.tls else { return Ok(info) };
    let client_tls = tls.client.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    let client = Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: tls.authority.clone() });
    let unreadable = "REDIS_TLS_CA_FILE, REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE must be PEM files";
    Ok(client.map_err(|_| OpenError::Settings(unreadable.to_owned()))?.get_connection_info().clone())
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(2));
    settings
}

#[cfg(test)]
mod tests {
    use auth_service_records::secret::Secret;

    use super::*;

    fn address(url: &str) -> Result<Address, OpenError> {
        let url = Secret::new(url.to_owned());
        let key_prefix = "as:".to_owned();
        Address::new(&RedisSettings { url, username: None, password: None, key_prefix, tls: None, wait: None })
    }

    #[test]
    fn each_form_names_its_servers() {
        for (url, name) in [
            ("redis://host", "host:6379"),
            ("redis://user:p%40ss@[::1]:7000/3", "::1:7000"),
            ("rediss://host:1", "host:1"),
            ("unix:///run/redis.sock", "/run/redis.sock"),
            ("redis+sentinel://:pw@a,b:1/main/2", "main of the Sentinels a:26379,b:1"),
            ("rediss+cluster://a,b:1", "the cluster a:6379,b:1"),
            ("redis+cluster://a/0", "the cluster a:6379"),
        ] {
            assert!(is_redis_url(url), "{url}");
            assert_eq!(address(url).map(|address| address.name()).ok().as_deref(), Some(name), "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_without_a_quotation() {
        for url in [
            "host",
            "http://host",
            "redis://a,b",
            "redis://pw@host/x",
            "redis://host?db=pw",
            "redis+sentinel://pw@host",
            "redis+cluster://pw@host/1",
        ] {
            match address(url) {
                Err(OpenError::Settings(sentence)) => {
                    assert!(sentence.starts_with("REDIS_URL ") && !sentence.contains("pw"), "{sentence}");
                }
                Err(other) => panic!("{url}: {other:?}"),
                Ok(_) => panic!("{url}"),
            }
        }
    }
}
