//! The address of Redis: `REDIS_URL`, and the settings that all servers behind it share.

use std::{sync::Arc, time::Duration};

use redis::{
    ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use super::{
    login::Login,
    server::Server,
    url::{Parsed, Topology},
};
use crate::{open_error::OpenError, settings::RedisSettings};

/// A parsed `REDIS_URL` with the other Redis settings applied.
#[derive(Clone)]
pub(in crate::redis) struct Address {
    pub(in crate::redis) topology: Topology,
    /// The single server, the Sentinels, or some nodes of the cluster. There is at least one.
    pub(in crate::redis) seeds: Vec<Server>,
    /// What a Sentinel gets first: its own credentials if the settings have any, else none.
    pub(super) sentinel_login: Arc<Login>,
    name: String,
}

impl Address {
    pub(in crate::redis) fn new(settings: &RedisSettings) -> Result<Self, OpenError> {
        let parsed = Parsed::of(settings.url.value.expose())?;
        if settings.tls.is_some() && !parsed.has_tls() {
            return Err(OpenError::Settings(
                "REDIS_TLS_CA_FILE and REDIS_TLS_CERT_FILE need a REDIS_URL of the form rediss://".to_owned(),
            ));
        }
        let has_own = settings.sentinel_username.is_some() || settings.sentinel_password.is_some();
        if has_own && !matches!(parsed.topology, Topology::Sentinel { .. }) {
            return Err(OpenError::Settings(
                "REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD need a REDIS_URL of the form redis+sentinel://"
                    .to_owned(),
            ));
        }
        if parsed.has_tls() {
            // Installs a provider explicitly, because the default depends on how the program was built. An error means
            // that a provider is already installed.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let login = Arc::new(Login::of_servers(settings, &parsed)?);
        let sentinel_login = Arc::new(Login::of_sentinels(settings)?);
        let name = parsed.name();
        let seeds = parsed.seeds.into_iter().map(|seed| Server::new(settle(seed), Arc::clone(&login))).collect();
        Ok(Self { topology: parsed.topology, seeds, sentinel_login, name })
    }

    /// The host and port of each seed, or the path of the socket, without credentials.
    pub(in crate::redis) fn name(&self) -> &str {
        &self.name
    }

    /// The server at `host` and `port`, with the credentials, certificates and database of the first seed.
    pub(in crate::redis) fn server(&self, host: &str, port: u16) -> Server {
        let host = host.to_owned();
        self.seeds[0].at(match self.seeds[0].addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        })
    }
}

/// Applies the options that all our connections share, and leaves out the credentials, which the login adds.
fn settle(info: ConnectionInfo) -> ConnectionInfo {
    let database = info.redis_settings().db();
    let redis = RedisConnectionInfo::default().set_db(database).set_protocol(ProtocolVersion::RESP3);
    info.set_redis_settings(redis).set_tcp_settings(tcp_settings())
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(1));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(2));
    settings
}
