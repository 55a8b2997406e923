//! The credentials and certificates of connections. Those that come from files are read again for each connection, so
//! that a replaced password or certificate needs no restart.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use auth_service_records::{file, secret::Secret};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates,
};

use super::url::Parsed;
use crate::{
    open_error::OpenError,
    settings::{RedisSettings, SecretText, TlsFiles},
};

/// What a connection presents to a server, and what it expects from it.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Credentials {
    username: Option<String>,
    password: Option<Secret>,
    tls: Option<TlsFiles>,
}

impl Credentials {
    /// Adds the credentials and certificates to the address of a server.
    ///
    /// # Errors
    /// When the certificates or the key cannot be parsed.
    pub(super) fn apply(&self, info: ConnectionInfo) -> RedisResult<ConnectionInfo> {
        let mut redis = info.redis_settings().clone();
        if let Some(username) = &self.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password.expose());
        }
        let info = info.set_redis_settings(redis);
        let (Some(tls), ConnectionAddr::TcpTls { .. }) = (&self.tls, info.addr()) else { return Ok(info) };
        let client_tls = tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.text.clone(),
            client_key: key.text.clone(),
        });
        let root_cert = tls.authority.as_ref().map(|authority| authority.text.clone());
        let client = Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })?;
        Ok(client.get_connection_info().clone())
    }
}

/// The credentials of one kind of server, shared by all connections to such servers.
pub(super) struct Login {
    /// The file of the URL, whose credentials may change, and the servers that the URL named at the start.
    url: Option<(PathBuf, (String, i64))>,
    /// The setting and the file of the password.
    password: Option<(&'static str, PathBuf)>,
    state: Mutex<State>,
}

struct State {
    /// The credentials that worked last, or those of the start.
    kept: Arc<Credentials>,
    /// The last fault of the files that was logged. `None` once the files are right again.
    reported: Option<String>,
}

impl Login {
    /// The credentials and certificates for Redis servers.
    ///
    /// # Errors
    /// When the user name or the password is in two places, or a file is not PEM.
    pub(super) fn of_servers(settings: &RedisSettings, parsed: &Parsed) -> Result<Self, OpenError> {
        let RedisSettings { url, username, password, tls, .. } = settings;
        let in_url = parsed.credentials();
        if in_url != (None, None) && (username.is_some() || password.is_some()) {
            let both =
                "REDIS_URL has a user name or password, and REDIS_USERNAME or REDIS_PASSWORD is set: keep one place";
            return Err(OpenError::Settings(both.to_owned()));
        }
        let credentials = Credentials {
            username: username.clone().or(in_url.0.map(str::to_owned)),
            password: password.as_ref().map(|text| text.value.clone()).or(in_url.1.map(secret)),
            tls: tls.clone(),
        };
        let url = url.file.clone().filter(|_| username.is_none() && password.is_none());
        let url = url.map(|file| (file, servers(parsed)));
        Self::new(credentials, url, file_of("REDIS_PASSWORD_FILE", password.as_ref()))
    }

    /// The credentials and certificates for Sentinels.
    ///
    /// # Errors
    /// When a file is not PEM.
    pub(super) fn of_sentinels(settings: &RedisSettings) -> Result<Self, OpenError> {
        let RedisSettings { sentinel_username, sentinel_password, tls, .. } = settings;
        let credentials = Credentials {
            username: sentinel_username.clone(),
            password: sentinel_password.as_ref().map(|text| text.value.clone()),
            tls: tls.clone(),
        };
        Self::new(credentials, None, file_of("REDIS_SENTINEL_PASSWORD_FILE", sentinel_password.as_ref()))
    }

    fn new(
        credentials: Credentials,
        url: Option<(PathBuf, (String, i64))>,
        password: Option<(&'static str, PathBuf)>,
    ) -> Result<Self, OpenError> {
        let unreadable = |_| {
            let pem = "REDIS_TLS_CA_FILE, REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE must be PEM files";
            OpenError::Settings(pem.to_owned())
        };
        // Only a URL with TLS has certificates.
        let probe = "rediss://localhost".into_connection_info().map_err(unreadable)?;
        credentials.apply(probe).map_err(unreadable)?;
        let state = State { kept: Arc::new(credentials), reported: None };
        Ok(Self { url, password, state: Mutex::new(state) })
    }

    /// Whether these are own credentials, and not only certificates.
    pub(super) fn has_credentials(&self) -> bool {
        let kept = self.kept();
        kept.username.is_some() || kept.password.is_some()
    }

    /// The credentials that worked last, or those of the start.
    pub(super) fn kept(&self) -> Arc<Credentials> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner).kept)
    }

    /// Keeps credentials that have worked.
    pub(super) fn keep(&self, credentials: Credentials) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reported = None;
        if *state.kept != credentials {
            tracing::info!("the connections to Redis use the new password or certificate");
            state.kept = Arc::new(credentials);
        }
    }

    /// What the files hold now, if it differs from `kept`. A file that cannot be used leaves everything as it is.
    pub(super) fn replaced(&self, kept: &Credentials) -> Option<Credentials> {
        match self.read(kept) {
            Ok(fresh) if fresh != *kept => Some(fresh),
            Ok(_) => {
                self.state.lock().unwrap_or_else(PoisonError::into_inner).reported = None;
                None
            }
            Err(fault) => {
                self.report(&fault);
                None
            }
        }
    }

    /// Logs a fault of the files, once.
    pub(super) fn report(&self, fault: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.reported.as_deref() != Some(fault) {
            tracing::warn!("{fault}; the server keeps the last one that worked");
            state.reported = Some(fault.to_owned());
        }
    }

    fn read(&self, kept: &Credentials) -> Result<Credentials, String> {
        let mut fresh = kept.clone();
        if let Some((path, servers_at_start)) = &self.url {
            let parsed =
                Parsed::of(text("REDIS_URL_FILE", path)?.expose()).map_err(|error| error.message().to_owned())?;
            if servers(&parsed) != *servers_at_start {
                return Err("REDIS_URL_FILE names other servers now, which needs a restart".to_owned());
            }
            let (username, password) = parsed.credentials();
            (fresh.username, fresh.password) = (username.map(str::to_owned), password.map(secret));
        }
        if let Some((name, path)) = &self.password {
            fresh.password = Some(text(name, path)?);
        }
        if let Some(TlsFiles { authority, client }) = &mut fresh.tls {
            let pair = client.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
            for pem in authority.iter_mut().chain(pair) {
                pem.text = file::read(&pem.file).map_err(|error| unreadable(pem.name, &error))?;
            }
        }
        Ok(fresh)
    }
}

fn file_of(name: &'static str, text: Option<&SecretText>) -> Option<(&'static str, PathBuf)> {
    Some((name, text?.file.clone()?))
}

/// The servers and the database that a URL names.
fn servers(parsed: &Parsed) -> (String, i64) {
    (parsed.name(), parsed.database())
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn text(name: &str, path: &Path) -> Result<Secret, String> {
    match file::read_text(path) {
        Ok(text) if text.is_empty() => Err(format!("{name} names a file that is empty now")),
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => Err(unreadable(name, &error)),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!("{name} names a file that cannot be read now: {}", error.kind())
}
