//! The settings, all read and checked before anything starts.
//!
//! | file | what is in it |
//! |---|---|
//! | `settings` | the table of all settings |
//! | `sources`, `dotenv`, `files` | flags, environment, `.env`, `NAME_FILE` |
//! | `near_names` | finds misspelt names of settings |
//! | `reader`, `networks` | turn text into checked values |
//! | `choices` | settings that take one of several words |
//! | `redis`, `secrets`, `tokens`, `origins`, `resource_servers`, `listening`, `mails`, `webhooks` | settings that have rules of their own |
//! | `passwords` | the settings of new passwords, which commands need too |

mod choices;
mod dotenv;
mod files;
mod listening;
mod mails;
mod near_names;
mod networks;
mod origins;
mod passwords;
mod reader;
mod redis;
mod resource_servers;
mod secrets;
mod settings;
mod signing_keys;
mod sources;
mod tokens;
mod webhooks;

use std::{path::PathBuf, time::Duration};

use auth_service_mail::{Sender, SmtpServer};
use auth_service_records::{resource_servers::ResourceServers, secret::Secrets};
use auth_service_store::settings::StoreSettings;
use auth_service_token::{Algorithm, Parties};
use ipnet::IpNet;

use self::reader::Reader;
pub use self::{
    choices::{ClientAddressHeader, LogFormat, TokenRemoval},
    listening::Listen,
    mails::{EmailVerification, MailSettings},
    origins::Origins,
    passwords::PasswordSettings,
    settings::{SETTINGS, Setting},
    signing_keys::SigningKeys,
    sources::{Sources, Warning},
    webhooks::WebhookSettings,
};

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen for clients.
    pub listen: Listen,
    /// Where to listen for Prometheus, if anywhere.
    pub metrics_listen: Option<Listen>,
    /// Where accounts and tokens live.
    pub store: StoreSettings,
    /// The signing secrets, always given with Redis. `None`: the server reads them from the data directory, or
    /// generates them there.
    pub secrets: Option<Secrets>,
    /// Where the ES256 keys come from, and when they are replaced.
    pub signing_keys: SigningKeys,
    /// Life of an access token, in seconds.
    pub access_seconds: u64,
    /// Life of a refresh token, in seconds, not shorter than that of an access token.
    pub refresh_seconds: u64,
    /// Signs new access tokens.
    pub access_algorithm: Algorithm,
    /// The issuer and the audience of access tokens.
    pub parties: Parties,
    /// The rules for new passwords, and the cost of their hashes.
    pub passwords: PasswordSettings,
    /// Who may call `DELETE /access-token`.
    pub token_removal: TokenRemoval,
    /// Whether the server has the page `/docs`.
    pub docs: bool,
    /// Whether a refresh spends the refresh token and returns a new one.
    pub rotation: bool,
    /// How long a spent refresh token still yields its successor, in seconds, even if the successor has been used.
    pub grace_seconds: u64,
    /// Longest life of a session, in seconds. `None` for no limit.
    pub session_max_age_seconds: Option<u64>,
    /// The maximum number of sessions of a user, at least one.
    pub max_sessions_per_user: usize,
    /// Failed sign-ins, and open token removals, of one client address in 15 minutes. 0 for no limit.
    pub address_limit: u64,
    /// Sign-ups of one client address in an hour. 0 for no limit.
    pub signup_limit_per_hour: u64,
    /// The services that may ask about tokens.
    pub resource_servers: ResourceServers,
    /// The other origins whose pages may read the answers.
    pub cors_origins: Origins,
    /// How to send mails to users. `None`: the server sends no mails.
    pub mail: Option<MailSettings>,
    /// Where security events go, if anywhere.
    pub webhooks: Option<WebhookSettings>,
    /// Networks of trusted proxies.
    pub trusted_proxies: Vec<IpNet>,
    /// The only header of these proxies that the server believes.
    pub client_address_header: ClientAddressHeader,
    /// The file of the audit trail. `None`: standard output, with the other lines of the log.
    pub audit_log: Option<PathBuf>,
    /// Whether audit lines may hold email addresses.
    pub audit_emails: bool,
    /// The maximum number of open client connections.
    pub max_connections: usize,
    /// The maximum number of open connections from one address that is not a trusted proxy. 0 for no limit.
    pub max_connections_per_address: usize,
    /// How long an idle client connection stays open.
    pub keep_alive: Duration,
    /// Deadline of a request once it has arrived.
    pub request_timeout: Duration,
    /// From SIGTERM until the server accepts no more connections.
    pub shutdown_delay: Duration,
    /// From the end of that delay until requests in flight are cut off.
    pub shutdown_timeout: Duration,
    /// `None`: text on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
}

impl Config {
    /// Reads and checks all settings. The warnings are for the log.
    ///
    /// # Errors
    /// One sentence for each wrong setting. It names the setting and the values that it takes, and never shows a value
    /// that may be secret.
    pub fn load(sources: &Sources) -> Result<(Self, Vec<Warning>), Vec<String>> {
        Reader::read(sources, config)
    }

    /// Reads and checks only the settings of the store, which is all that most commands need.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_store(sources: &Sources) -> Result<StoreSettings, Vec<String>> {
        Reader::read(sources, redis::store).map(|(settings, _)| settings)
    }

    /// Reads and checks only the settings of new passwords.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_passwords(sources: &Sources) -> Result<PasswordSettings, Vec<String>> {
        Reader::read(sources, passwords::passwords).map(|(settings, _)| settings)
    }

    /// Reads and checks only the signing secrets. `None` if the settings have none.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_secrets(sources: &Sources) -> Result<Option<Secrets>, Vec<String>> {
        Reader::read(sources, |reader| secrets::secrets(reader, false)).map(|(secrets, _)| secrets)
    }

    /// Reads and checks only the settings of the SMTP server and the sender. `None` if the settings have no server.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_smtp(sources: &Sources) -> Result<Option<(SmtpServer, Sender)>, Vec<String>> {
        Reader::read(sources, mails::smtp).map(|(smtp, _)| smtp)
    }

    /// Reads and checks only `HOST` and `PORT`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_address(sources: &Sources) -> Result<Listen, Vec<String>> {
        Reader::read(sources, listening::listen).map(|(address, _)| address)
    }
}

fn config(reader: &mut Reader<'_>) -> Config {
    let store = redis::store(reader);
    let secrets = secrets::secrets(reader, matches!(store, StoreSettings::Redis(_)));
    let (access_seconds, refresh_seconds) = tokens::lives(reader);
    let config = Config {
        listen: listening::listen(reader),
        metrics_listen: listening::metrics_listen(reader),
        store,
        secrets,
        signing_keys: signing_keys::signing_keys(reader),
        access_seconds,
        refresh_seconds,
        access_algorithm: tokens::algorithm(reader),
        parties: tokens::parties(reader),
        passwords: passwords::passwords(reader),
        token_removal: choices::token_removal(reader),
        docs: reader.choice("DOCS", true, &[("on", true), ("off", false)]),
        rotation: reader.switch("REFRESH_TOKEN_ROTATION"),
        grace_seconds: reader.number("REFRESH_GRACE_SECONDS", 10, 0..=300),
        session_max_age_seconds: session_max_age_seconds(reader),
        max_sessions_per_user: reader.number("MAX_SESSIONS_PER_USER", 100, 1..=1_000),
        address_limit: reader.number("ADDRESS_LIMIT", 100, 0..=1_000_000_000),
        signup_limit_per_hour: reader.number("SIGNUP_LIMIT_PER_HOUR", 300, 0..=1_000_000_000),
        resource_servers: resource_servers::resource_servers(reader),
        cors_origins: origins::origins(reader),
        mail: mails::mails(reader),
        webhooks: webhooks::webhooks(reader),
        trusted_proxies: reader.networks("TRUSTED_PROXIES"),
        client_address_header: choices::client_address_header(reader),
        audit_log: audit_log(reader),
        audit_emails: reader.switch("AUDIT_EMAILS"),
        max_connections: reader.number("MAX_CONNECTIONS", 10_000, 1..=1_000_000),
        max_connections_per_address: reader.number("MAX_CONNECTIONS_PER_ADDRESS", 2_000, 0..=1_000_000),
        keep_alive: reader.seconds("KEEP_ALIVE_SECONDS", 75, 1..=3_600),
        request_timeout: reader.seconds("REQUEST_TIMEOUT_SECONDS", 2, 1..=60),
        shutdown_delay: reader.seconds("SHUTDOWN_DELAY_SECONDS", 1, 0..=300),
        shutdown_timeout: reader.seconds("SHUTDOWN_TIMEOUT_SECONDS", 10, 0..=300),
        log_format: choices::log_format(reader),
    };
    if config.cors_origins == Origins::Any && config.token_removal == TokenRemoval::Open {
        let rest = "must not be * while TOKEN_REMOVAL=open, because every page could end the sessions of any email; name \
                    the origins, or set TOKEN_REMOVAL to owner or off";
        reader.problem("CORS_ORIGINS", rest);
    }
    config
}

fn session_max_age_seconds(reader: &mut Reader<'_>) -> Option<u64> {
    let seconds = reader.number("SESSION_MAX_AGE_SECONDS", 0, 0..=315_360_000);
    (seconds > 0).then_some(seconds)
}

fn audit_log(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let text = reader.text("AUDIT_LOG").filter(|text| text != "stdout")?;
    // A file in the working directory with such a name is a misunderstanding.
    if ["stdout", "stderr", "on", "off", "none", "true", "false"].contains(&&*text.to_ascii_lowercase()) {
        reader
            .problem("AUDIT_LOG", "must be stdout or the path of a file; RUST_LOG=info,audit=off turns the trail off");
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &[(&str, &str)]) -> String {
        format!("{:?}", Config::load(&Sources::of(settings)).unwrap().0)
    }

    #[test]
    fn the_table_shows_the_defaults_that_are_in_force() {
        let with_value = SETTINGS.iter().filter(|setting| !setting.default.contains([' ', '\'']));
        let set: Vec<_> = with_value.filter(|s| s.default != "none").map(|s| (s.name, s.default)).collect();
        assert!(set.len() > 25, "{set:?}");
        assert_eq!(shown(&set), shown(&[]));
        // The settings of Redis have an effect only together with its URL.
        let [url, access, refresh] = [
            ("REDIS_URL", "redis://127.0.0.1"),
            ("AUTH_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
            ("REFRESH_SECRET_KEY", "fedcba9876543210fedcba9876543210"),
        ];
        let redis = [url, access, refresh];
        assert_eq!(shown(&[&redis[..], &set].concat()), shown(&redis));
    }

    #[test]
    fn each_setting_is_in_the_table_once() {
        let mut names: Vec<_> = SETTINGS.iter().flat_map(Setting::names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
