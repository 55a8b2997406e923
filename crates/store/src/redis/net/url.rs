//! Parses `REDIS_URL`.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::open_error::OpenError;

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

/// The parts of a URL.
pub(super) struct Parsed {
    pub(super) topology: Topology,
    /// The single server, the Sentinels, or some nodes of the cluster. There is at least one. Each has the credentials
    /// and the database of the URL.
    pub(super) seeds: Vec<ConnectionInfo>,
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

impl Parsed {
    /// # Errors
    /// A sentence that says which form the URL must have. It does not quote the URL, which may hold a password.
    pub(super) fn of(url: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(no_form)?;
        let kind = match scheme {
            "redis" | "rediss" => Kind::Single,
            "unix" | "redis+unix" => return Self::unix(url),
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
            info.map_err(|_| malformed(kind.form()))
        };
        Ok(Self { seeds: hosts.iter().map(seed).collect::<Result<_, _>>()?, topology })
    }

    fn unix(url: &str) -> Result<Self, OpenError> {
        let info = url.into_connection_info().map_err(|_| malformed("unix:///path[?db=database]"))?;
        Ok(Self { topology: Topology::Single, seeds: vec![info] })
    }

    /// The host and port of each seed, or the path of the socket, without credentials.
    pub(super) fn name(&self) -> String {
        let seeds: Vec<_> = self.seeds.iter().map(|seed| seed.addr().to_string()).collect();
        let seeds = seeds.join(",");
        match &self.topology {
            Topology::Single => seeds,
            Topology::Sentinel { service } => format!("{service} of the Sentinels {seeds}"),
            Topology::Cluster => format!("the cluster {seeds}"),
        }
    }

    /// The user name and the password of the URL.
    pub(super) fn credentials(&self) -> (Option<&str>, Option<&str>) {
        let redis = self.seeds[0].redis_settings();
        (redis.username(), redis.password())
    }

    pub(super) fn database(&self) -> i64 {
        self.seeds[0].redis_settings().db()
    }

    pub(super) fn has_tls(&self) -> bool {
        matches!(self.seeds[0].addr(), ConnectionAddr::TcpTls { .. })
    }
}

fn no_form() -> OpenError {
    OpenError::Settings(format!("REDIS_URL {REDIS_FORMS}"))
}

fn malformed(form: &str) -> OpenError {
    OpenError::Settings(format!("REDIS_URL must have the form {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Parsed::of(url).map(|parsed| parsed.name()).ok().as_deref(), Some(name), "{url}");
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
            match Parsed::of(url) {
                Err(OpenError::Settings(sentence)) => {
                    assert!(sentence.starts_with("REDIS_URL ") && !sentence.contains("pw"), "{sentence}");
                }
                Err(other) => panic!("{url}: {other:?}"),
                Ok(_) => panic!("{url}"),
            }
        }
    }
}
