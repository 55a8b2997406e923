//! Settings: from flags, the environment, `NAME_FILE` or `.env`, in this order; all checked before anything starts.

use std::{
    collections::HashMap,
    env::{self, VarError},
    fs,
    net::IpAddr,
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use crate::secret::{SECRET_MIN_BYTES, Secret, Secrets};

/// One setting: its name in the environment (the flag is `--name` with dashes), default and meaning.
pub struct Setting {
    /// As in the environment.
    pub name: &'static str,
    /// As the documentation shows it.
    pub default: &'static str,
    /// One line.
    pub help: &'static str,
    /// May also come from the file that `NAME_FILE` names.
    pub secret: bool,
}

impl Setting {
    /// The names it goes by: its own, and that of its file.
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        std::iter::once(self.name.to_owned()).chain(self.secret.then(|| format!("{}_FILE", self.name)))
    }
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help, secret: false }
}

const fn secret(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help, secret: true }
}

/// Every setting there is; the command line's flags and its help are made from this table.
pub const SETTINGS: &[Setting] = &[
    setting("HOST", "127.0.0.1", "Address to listen on"),
    setting("PORT", "3000", "Port to listen on; 0 takes a free one"),
    secret(
        "REDIS_URL",
        "none",
        "redis://host, rediss://host, unix:///path, redis+sentinel://h1,h2/service or redis+cluster://h1,h2; without it \
         the embedded store serves",
    ),
    setting("REDIS_USERNAME", "none", "User name, when REDIS_URL has none"),
    secret("REDIS_PASSWORD", "none", "Password, when REDIS_URL has none"),
    setting("REDIS_TLS_CA_FILE", "the system's", "With rediss: the certificates that are trusted, in PEM"),
    setting("REDIS_TLS_CERT_FILE", "none", "With rediss: the client certificate, in PEM"),
    setting("REDIS_TLS_KEY_FILE", "none", "With rediss: the client certificate's key, in PEM"),
    setting(
        "REDIS_WAIT_REPLICAS",
        "0",
        "Sign-ups, removals, password changes and deletions are acknowledged when so many replicas have them",
    ),
    setting("REDIS_WAIT_TIMEOUT_MS", "300", "How long that is waited for; then the answer is 503 not_replicated"),
    setting("DATA_DIR", "./data", "Directory of the embedded store"),
    secret("AUTH_SECRET_KEY", "none", "Signs access tokens, at least 32 bytes; required with Redis, else generated"),
    secret(
        "REFRESH_SECRET_KEY",
        "none",
        "Signs refresh tokens, at least 32 bytes; required with Redis, else generated",
    ),
    setting("ACCESS_TOKEN_TTL_SECONDS", "60", "Life of an access token"),
    setting("REFRESH_TOKEN_TTL_SECONDS", "120", "Life of a refresh token"),
    setting("PASSWORD_MIN_LENGTH", "6", "Shortest password for new accounts, in characters"),
    setting("TOKEN_REMOVAL", "open", "Who may call DELETE /access-token: open (anyone), owner, off"),
    setting("ARGON2_MEMORY_KIB", "19456", "Memory of one password hash"),
    setting("ARGON2_ITERATIONS", "2", "Passes of one password hash"),
    setting("ARGON2_PARALLELISM", "1", "Lanes of one password hash"),
    setting("PASSWORD_MIN_SCORE", "0", "Least zxcvbn score of a new password, 0 (any) to 4 (very unguessable)"),
    setting("REFRESH_TOKEN_ROTATION", "off", "on: a refresh also gives a new refresh token and spends the old one"),
    setting("REFRESH_GRACE_SECONDS", "10", "With rotation: how long a spent refresh token still gives its successor"),
    setting("SESSION_MAX_AGE_SECONDS", "0", "Longest life of a session, however often it is refreshed; 0 for no limit"),
    setting("MAX_SESSIONS_PER_USER", "100", "A sign-in beyond this ends the user's oldest session"),
    setting(
        "ADDRESS_LIMIT",
        "100",
        "Failed sign-ins, and open token removals, of one address in 15 minutes; 0 for no limit",
    ),
    setting("SIGNUP_LIMIT_PER_HOUR", "0", "Sign-ups of one address in an hour; 0 for no limit"),
    setting(
        "TRUSTED_PROXIES",
        "none",
        "Networks whose X-Forwarded-For or Forwarded is believed, such as 10.0.0.0/8,::1",
    ),
    setting("AUDIT_EMAILS", "off", "on: audit lines may hold email addresses"),
    setting("MAX_CONNECTIONS", "10000", "Open client connections; more wait to be accepted"),
    setting("REQUEST_TIMEOUT_SECONDS", "2", "Deadline of a request"),
    setting("SHUTDOWN_DELAY_SECONDS", "1", "After SIGTERM: not ready but still serving, so that load balancers notice"),
    setting("SHUTDOWN_TIMEOUT_SECONDS", "10", "After that: how long requests in flight may take"),
    setting("LOG_FORMAT", "text on a terminal, else json", "text or json; the level is RUST_LOG's"),
];

/// Marks of secrets that are in somebody's documentation, ours among them.
const SAMPLE_MARKS: [&str; 4] = ["replace-me", "change-me", "changeme", "your-256-bit-secret"];

const REDIS_SCHEMES: [&str; 8] = [
    "redis://",
    "rediss://",
    "unix://",
    "redis+unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
];

/// What is to be written there, as the rest of a sentence.
pub const REDIS_FORMS: &str = "must have the form redis://[user:password@]host[:port][/database], unix:///path, \
     redis+sentinel://host1,host2/service or redis+cluster://host1,host2; with TLS rediss instead of redis";

/// Where accounts and tokens live.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// A Redis server, shared by any number of replicas.
    Redis(RedisConfig),
    /// Files of this one node.
    Embedded {
        /// Created with mode 0700 if it is not there.
        directory: PathBuf,
    },
}

/// How Redis is reached.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`, with credentials if it has any.
    pub url: Secret,
    /// `REDIS_USERNAME`.
    pub username: Option<String>,
    /// `REDIS_PASSWORD`.
    pub password: Option<Secret>,
    /// What the `REDIS_TLS_*` settings name, if any.
    pub tls: Option<TlsFiles>,
    /// `None` when writes do not wait for replicas.
    pub wait: Option<Wait>,
}

/// Contents of PEM files.
#[derive(Clone)]
pub struct TlsFiles {
    /// Certificates that are trusted instead of the system's.
    pub authority: Option<Vec<u8>>,
    /// Our own certificate and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a write that must outlive its primary waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// At least one.
    pub replicas: u32,
    /// Less than the deadline of a request.
    pub timeout: Duration,
}

/// Who may remove a user's tokens over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRemoval {
    /// Anyone who knows the email, as in the service this one succeeds.
    Open,
    /// The owner, with an access token.
    Owner,
    /// Nobody; the command line still can.
    Off,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs, one object a line.
    Json,
}

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address or name to listen on.
    pub host: String,
    /// 0 for a free one.
    pub port: u16,
    /// Where accounts and tokens live.
    pub store: StoreConfig,
    /// Always there with Redis; else each may be left to be generated into the data directory.
    pub secrets: Option<Secrets>,
    /// `ACCESS_TOKEN_TTL_SECONDS`.
    pub access_seconds: u64,
    /// `REFRESH_TOKEN_TTL_SECONDS`, not shorter than the access token's.
    pub refresh_seconds: u64,
    /// In code points.
    pub password_min_length: usize,
    /// Who may call `DELETE /access-token`.
    pub token_removal: TokenRemoval,
    /// argon2 `m`.
    pub argon2_memory_kib: u32,
    /// argon2 `t`.
    pub argon2_iterations: u32,
    /// argon2 `p`.
    pub argon2_parallelism: u32,
    /// From 0 (any) to 4.
    pub password_min_score: u8,
    /// `REFRESH_TOKEN_ROTATION`.
    pub rotation: bool,
    /// `REFRESH_GRACE_SECONDS`.
    pub grace_seconds: u64,
    /// `None` for no limit.
    pub session_max_age_seconds: Option<u64>,
    /// At least one.
    pub max_sessions_per_user: usize,
    /// In 15 minutes; 0 for no limit.
    pub address_limit: u64,
    /// 0 for no limit.
    pub signup_limit_per_hour: u64,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether audit lines may hold email addresses.
    pub audit_emails: bool,
    /// Open client connections.
    pub max_connections: usize,
    /// Deadline of a request.
    pub request_timeout: Duration,
    /// From SIGTERM until no more connections are accepted.
    pub shutdown_delay: Duration,
    /// From then until requests in flight are cut off.
    pub shutdown_timeout: Duration,
    /// `None`: text on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
}

/// Where settings are looked up.
pub struct Sources {
    flags: HashMap<String, String>,
    environment: HashMap<String, String>,
    dotenv: HashMap<String, String>,
    /// What could not be read, in sentences.
    problems: Vec<String>,
}

impl Sources {
    /// Flags by their setting's name, over the process environment, over `.env` in the working directory. What cannot
    /// be read is told with the other wrong settings, and so not to a command that needs none.
    #[must_use]
    pub fn new(flags: HashMap<String, String>) -> Self {
        let (mut environment, mut problems) = (HashMap::new(), Vec::new());
        for name in SETTINGS.iter().flat_map(Setting::names) {
            match env::var(&name) {
                Ok(value) => {
                    environment.insert(name, value);
                }
                Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => problems.push(format!("{name} must be UTF-8 text")),
            }
        }
        let (dotenv, problem) = read_dotenv();
        problems.extend(problem);
        Self { flags, environment, dotenv, problems }
    }

    /// An empty value counts as none, so that `NAME=` in a compose file unsets.
    fn get(&self, name: &str) -> Option<String> {
        let flag = self.flags.get(name).cloned();
        let value = flag.or_else(|| self.environment.get(name).cloned()).or_else(|| self.dotenv.get(name).cloned());
        value.filter(|value| !value.is_empty())
    }
}

/// The lines that can be read, and what is wrong with the first that cannot.
fn read_dotenv() -> (HashMap<String, String>, Option<String>) {
    let (mut values, mut problem) = (HashMap::new(), None);
    let unreadable = |error| format!(".env cannot be read: {error}");
    match dotenvy::from_path_iter(".env") {
        Ok(lines) => {
            for line in lines {
                match line {
                    Ok((name, value)) => {
                        values.insert(name, value);
                    }
                    // The library's message holds the line, which may be a secret.
                    Err(dotenvy::Error::LineParse(..)) => {
                        let what = ".env has a line that is not NAME=value; quote values that have spaces";
                        problem.get_or_insert_with(|| what.to_owned());
                    }
                    // The next read would only fail again.
                    Err(error) => return (values, Some(unreadable(error))),
                }
            }
        }
        Err(error) if error.not_found() => {}
        Err(error) => problem = Some(unreadable(error)),
    }
    (values, problem)
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// One sentence for each setting that is wrong, naming it and what it takes, never its value.
    pub fn load(sources: &Sources) -> Result<Self, Vec<String>> {
        Reader::read(sources, Reader::config)
    }

    /// Reads and checks only where the store is, which is all that the command line needs.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_store(sources: &Sources) -> Result<StoreConfig, Vec<String>> {
        Reader::read(sources, Reader::store)
    }

    /// Reads and checks only `HOST` and `PORT`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_address(sources: &Sources) -> Result<(String, u16), Vec<String>> {
        Reader::read(sources, |reader| (reader.host(), reader.port()))
    }
}

/// A setting is wrong, and that has been noted.
struct Reported;

/// Reads one setting after the other and collects what is wrong.
struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    fn read<T>(sources: &'a Sources, read: impl FnOnce(&mut Self) -> T) -> Result<T, Vec<String>> {
        let mut reader = Self { sources, problems: sources.problems.clone() };
        let value = read(&mut reader);
        if reader.problems.is_empty() { Ok(value) } else { Err(reader.problems) }
    }

    fn config(&mut self) -> Config {
        let store = self.store();
        let secrets = self.secrets(&store);
        let access_seconds = self.number("ACCESS_TOKEN_TTL_SECONDS", 60, 1..=86_400);
        let refresh_seconds = self.number("REFRESH_TOKEN_TTL_SECONDS", 120, 1..=31_536_000);
        if refresh_seconds < access_seconds {
            self.problem("REFRESH_TOKEN_TTL_SECONDS", "must not be less than ACCESS_TOKEN_TTL_SECONDS");
        }
        let argon2_parallelism = self.number("ARGON2_PARALLELISM", 1, 1..=16);
        Config {
            host: self.host(),
            port: self.port(),
            store,
            secrets,
            access_seconds,
            refresh_seconds,
            password_min_length: self.number("PASSWORD_MIN_LENGTH", 6, 1..=256),
            token_removal: self.choice(
                "TOKEN_REMOVAL",
                TokenRemoval::Open,
                &[("open", TokenRemoval::Open), ("owner", TokenRemoval::Owner), ("off", TokenRemoval::Off)],
            ),
            // The least is that of the OWASP Password Storage Cheat Sheet.
            argon2_memory_kib: self.number("ARGON2_MEMORY_KIB", 19_456, 7_168..=1_048_576),
            argon2_iterations: self.number("ARGON2_ITERATIONS", 2, 1..=32),
            argon2_parallelism,
            password_min_score: self.number("PASSWORD_MIN_SCORE", 0, 0..=4),
            rotation: self.switch("REFRESH_TOKEN_ROTATION"),
            grace_seconds: self.number("REFRESH_GRACE_SECONDS", 10, 0..=300),
            session_max_age_seconds: Some(self.number("SESSION_MAX_AGE_SECONDS", 0, 0..=315_360_000))
                .filter(|&s| s > 0),
            max_sessions_per_user: self.number("MAX_SESSIONS_PER_USER", 100, 1..=1_000),
            address_limit: self.number("ADDRESS_LIMIT", 100, 0..=1_000_000_000),
            signup_limit_per_hour: self.number("SIGNUP_LIMIT_PER_HOUR", 0, 0..=1_000_000_000),
            trusted_proxies: self.networks("TRUSTED_PROXIES"),
            audit_emails: self.switch("AUDIT_EMAILS"),
            max_connections: self.number("MAX_CONNECTIONS", 10_000, 1..=1_000_000),
            request_timeout: Duration::from_secs(self.number("REQUEST_TIMEOUT_SECONDS", 2, 1..=60)),
            shutdown_delay: Duration::from_secs(self.number("SHUTDOWN_DELAY_SECONDS", 1, 0..=300)),
            shutdown_timeout: Duration::from_secs(self.number("SHUTDOWN_TIMEOUT_SECONDS", 10, 0..=300)),
            log_format: self.choice(
                "LOG_FORMAT",
                None,
                &[("text", Some(LogFormat::Text)), ("json", Some(LogFormat::Json))],
            ),
        }
    }

    fn host(&self) -> String {
        self.sources.get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned())
    }

    fn port(&mut self) -> u16 {
        self.number("PORT", 3000, 0..=65_535)
    }

    fn store(&mut self) -> StoreConfig {
        // A file that was named but cannot be used means Redis all the same.
        if let Some(url) = self.secret_text("REDIS_URL").unwrap_or_else(|Reported| Some(String::new())) {
            return StoreConfig::Redis(self.redis(url));
        }
        let directory = self.sources.get("DATA_DIR").unwrap_or_else(|| "./data".to_owned());
        StoreConfig::Embedded { directory: directory.into() }
    }

    /// Past its beginning, the URL's form is checked where it is taken apart, in the store.
    fn redis(&mut self, url: String) -> RedisConfig {
        let known = |scheme: &&str| url.strip_prefix(*scheme).is_some_and(|rest| !rest.is_empty());
        if !url.is_empty() && !REDIS_SCHEMES.iter().any(known) {
            self.problem("REDIS_URL", REDIS_FORMS);
        }
        let password = self.secret_text("REDIS_PASSWORD").unwrap_or(None).map(Secret::new);
        let replicas = self.number("REDIS_WAIT_REPLICAS", 0, 0..=16);
        // Below the second within which a client is to hear of an outage.
        let timeout = Duration::from_millis(self.number("REDIS_WAIT_TIMEOUT_MS", 300, 10..=500));
        RedisConfig {
            url: Secret::new(url),
            username: self.sources.get("REDIS_USERNAME"),
            password,
            tls: self.tls_files(),
            wait: (replicas > 0).then_some(Wait { replicas, timeout }),
        }
    }

    fn tls_files(&mut self) -> Option<TlsFiles> {
        let authority = self.file("REDIS_TLS_CA_FILE");
        let (certificate, key) = (self.file("REDIS_TLS_CERT_FILE"), self.file("REDIS_TLS_KEY_FILE"));
        if certificate.is_some() != key.is_some() {
            self.problem("REDIS_TLS_CERT_FILE", "and REDIS_TLS_KEY_FILE go together; set both or none");
        }
        let client = certificate.zip(key);
        (authority.is_some() || client.is_some()).then_some(TlsFiles { authority, client })
    }

    /// The bytes of the file that a setting names.
    fn file(&mut self, name: &str) -> Option<Vec<u8>> {
        let path = self.sources.get(name)?;
        let bytes = fs::read(path);
        if let Err(error) = &bytes {
            self.problem(name, &format!("names a file that cannot be read: {}", error.kind()));
        }
        // What is wrong has been noted: an empty one keeps the other checks quiet.
        Some(bytes.unwrap_or_default())
    }

    /// Both or, on the embedded store, none: a pair of which one is generated would be no pair to carry elsewhere.
    fn secrets(&mut self, store: &StoreConfig) -> Option<Secrets> {
        let required = matches!(store, StoreConfig::Redis(_));
        let access = self.secret_text("AUTH_SECRET_KEY");
        let refresh = self.secret_text("REFRESH_SECRET_KEY");
        if matches!((&access, &refresh), (Ok(None), Ok(None))) && !required {
            return None;
        }
        for (name, value) in [("AUTH_SECRET_KEY", &access), ("REFRESH_SECRET_KEY", &refresh)] {
            match value {
                Err(Reported) => {}
                Ok(None) if required => {
                    self.problem(name, "is required with Redis; make one with `auth-service secrets generate`");
                }
                Ok(None) => self
                    .problem(name, "must be set when the other secret is; `auth-service secrets generate` makes both"),
                Ok(Some(value)) if value.len() < SECRET_MIN_BYTES => {
                    self.problem(name, "must have at least 32 bytes; make one with `auth-service secrets generate`");
                }
                Ok(Some(value)) if SAMPLE_MARKS.iter().any(|mark| value.to_ascii_lowercase().contains(mark)) => {
                    self.problem(name, "is a sample from documentation; make one with `auth-service secrets generate`");
                }
                Ok(Some(_)) => {}
            }
        }
        let (Ok(Some(access)), Ok(Some(refresh))) = (access, refresh) else { return None };
        if access == refresh {
            self.problem("REFRESH_SECRET_KEY", "must differ from AUTH_SECRET_KEY");
        }
        Some(Secrets { access: Secret::new(access), refresh: Secret::new(refresh) })
    }

    /// The value of `NAME`, or of the file that `NAME_FILE` names, without its last line break.
    fn secret_text(&mut self, name: &str) -> Result<Option<String>, Reported> {
        let file_name = format!("{name}_FILE");
        let path = match (self.sources.get(name), self.sources.get(&file_name)) {
            (Some(_), Some(_)) => {
                self.problem(name, &format!("and {file_name} are both set; keep one"));
                return Err(Reported);
            }
            (value, None) => return Ok(value),
            (None, Some(path)) => path,
        };
        let what = match fs::read_to_string(path).map(|text| text.trim_end_matches(['\r', '\n']).to_owned()) {
            // Not the same as unset: whoever names a file means it to hold something.
            Ok(text) if text.is_empty() => "names a file that is empty".to_owned(),
            Ok(text) => return Ok(Some(text)),
            Err(error) => format!("names a file that cannot be read: {}", error.kind()),
        };
        self.problem(&file_name, &what);
        Err(Reported)
    }

    fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let Some(text) = self.sources.get(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(name, &format!("must be a whole number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(text) = self.sources.get(name) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.problem(name, &format!("must be one of: {}", words.join(", ")));
        default
    }

    fn switch(&mut self, name: &str) -> bool {
        self.choice(name, false, &[("on", true), ("off", false)])
    }

    /// Networks in CIDR notation or single addresses, separated by commas.
    fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let text = self.sources.get(name).unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let networks = words.map(|word| word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from)));
        networks.collect::<Result<_, _>>().unwrap_or_else(|_| {
            self.problem(name, "must be networks such as 10.0.0.0/8 or addresses, separated by commas");
            Vec::new()
        })
    }

    fn problem(&mut self, name: &str, what: &str) {
        self.problems.push(format!("{name} {what}"));
    }
}
