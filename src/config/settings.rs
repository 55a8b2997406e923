//! The table of settings: the flags and the texts of `--help` come from it, and tests compare the documentation with
//! it.

/// A setting. Its flag is the name in lower case, with dashes.
pub struct Setting {
    /// The name in the environment.
    pub name: &'static str,
    /// The default, as the documentation shows it.
    pub default: &'static str,
    /// One line that says what the setting does.
    pub help: &'static str,
    /// Whether the value may also come from a file, which `NAME_FILE` names.
    pub secret: bool,
}

impl Setting {
    /// The name of the setting, and `NAME_FILE` if the value may come from a file.
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

/// All settings.
pub const SETTINGS: &[Setting] = &[
    setting("HOST", "127.0.0.1", "Address to listen on; 0.0.0.0 for every IPv4 address"),
    setting("PORT", "3000", "Port to listen on; 0 takes a free port"),
    secret(
        "REDIS_URL",
        "none",
        "URL of Redis: redis://host, rediss://host (TLS), unix:///path, redis+sentinel://host1,host2/service or \
         redis+cluster://host1,host2; without a URL, the server uses the embedded store",
    ),
    setting("REDIS_USERNAME", "none", "User name, if REDIS_URL has none"),
    secret("REDIS_PASSWORD", "none", "Password, if REDIS_URL has none"),
    setting("REDIS_SENTINEL_USERNAME", "none", "User name for the Sentinels, if they have credentials of their own"),
    secret("REDIS_SENTINEL_PASSWORD", "none", "Password for the Sentinels, if they have credentials of their own"),
    setting(
        "REDIS_KEY_PREFIX",
        "as:",
        "Every key begins with this text, so that several environments can share one Redis",
    ),
    setting("REDIS_TLS_CA_FILE", "the system's", "With rediss: the certificates to trust, in PEM"),
    setting("REDIS_TLS_CERT_FILE", "none", "With rediss: the client certificate, in PEM"),
    setting("REDIS_TLS_KEY_FILE", "none", "With rediss: the key of the client certificate, in PEM"),
    setting(
        "REDIS_WAIT_REPLICAS",
        "0",
        "How many Redis replicas must have a sign-up, removal, sign-out, password change or deletion before the server \
         acknowledges it",
    ),
    setting(
        "REDIS_WAIT_TIMEOUT_MS",
        "300",
        "How long to wait for these replicas, in milliseconds; then the answer is 503 not_replicated",
    ),
    setting("DATA_DIR", "./data", "Directory of the embedded store"),
    secret(
        "AUTH_SECRET_KEY",
        "none",
        "Key that signs access tokens, at least 32 bytes; required with Redis; with the embedded store, the server \
         generates it in DATA_DIR",
    ),
    secret(
        "REFRESH_SECRET_KEY",
        "none",
        "Key that signs refresh tokens, at least 32 bytes; required with Redis; with the embedded store, the server \
         generates it in DATA_DIR",
    ),
    secret(
        "AUTH_SECRET_KEY_PREVIOUS",
        "none",
        "Key that verifies access tokens beside AUTH_SECRET_KEY and never signs, while the secrets are replaced",
    ),
    secret(
        "REFRESH_SECRET_KEY_PREVIOUS",
        "none",
        "Key that verifies refresh tokens beside REFRESH_SECRET_KEY and never signs, while the secrets are replaced",
    ),
    setting(
        "SIGNING_KEY_FILE",
        "none",
        "With ES256: private keys of P-256 in PEM (PKCS#8), of which the first signs; without a file, the servers make \
         their keys",
    ),
    setting(
        "SIGNING_KEY_ROTATION_DAYS",
        "30",
        "How long a key of ES256 signs, in days; 0: until `auth-service keys rotate` makes the next key",
    ),
    setting(
        "SIGNING_KEY_LEAD_SECONDS",
        "3600",
        "How long a key of ES256 is published before it signs, so that verifiers have read the key",
    ),
    setting("ACCESS_TOKEN_TTL_SECONDS", "60", "Life of an access token"),
    setting("REFRESH_TOKEN_TTL_SECONDS", "120", "Life of a refresh token, at least that of an access token"),
    setting(
        "ACCESS_TOKEN_ALGORITHM",
        "HS256",
        "Signs access tokens: HS256, which only the servers can verify, or ES256, which every service can verify",
    ),
    setting("ISSUER", "auth-service", "The iss of tokens: the URL under which clients reach the server"),
    setting("AUDIENCE", "auth-service", "The aud of access tokens: a name or URL of the services that accept them"),
    setting("PASSWORD_MIN_LENGTH", "6", "Shortest password for new accounts, in characters"),
    setting("TOKEN_REMOVAL", "open", "Who may call DELETE /access-token: open (anyone), owner, off"),
    setting("ARGON2_MEMORY_KIB", "19456", "Memory of one password hash, in KiB"),
    setting("ARGON2_ITERATIONS", "2", "Passes of one password hash"),
    setting("ARGON2_PARALLELISM", "1", "Lanes of one password hash"),
    setting("PASSWORD_MIN_SCORE", "0", "Lowest zxcvbn score of a new password, 0 (any) to 4 (very hard to guess)"),
    setting(
        "BREACHED_PASSWORDS",
        "none",
        "The path of a list of leaked passwords that nobody may choose: SHA-1 hashes, as Have I Been Pwned publishes \
         them, in one file or in a file for each prefix",
    ),
    setting("REFRESH_TOKEN_ROTATION", "off", "on: a refresh also gives a new refresh token and spends the old one"),
    setting(
        "REFRESH_GRACE_SECONDS",
        "10",
        "With rotation: how long a refresh with a spent token returns the same new token again",
    ),
    setting("SESSION_MAX_AGE_SECONDS", "0", "Longest life of a session, however often it is refreshed; 0 for no limit"),
    setting("MAX_SESSIONS_PER_USER", "100", "Most sessions of one user; one more sign-in ends the oldest session"),
    setting(
        "ADDRESS_LIMIT",
        "100",
        "Failed sign-ins, and token removals under TOKEN_REMOVAL=open, from one client address in 15 minutes; 0 for no \
         limit",
    ),
    setting("SIGNUP_LIMIT_PER_HOUR", "300", "Sign-ups from one client address in an hour; 0 for no limit"),
    secret(
        "SMTP_URL",
        "none",
        "The server that sends mails to users: smtps://user:password@host, or smtp:// for STARTTLS; without a URL, the \
         server sends no mails",
    ),
    setting("SMTP_FROM", "none", "Sender of the mails, such as Example <no-reply@example.com>; required with SMTP_URL"),
    setting("PUBLIC_URL", "none", "The page of your application that links in mails open; required with SMTP_URL"),
    setting(
        "EMAIL_VERIFICATION",
        "off",
        "off, optional (a sign-up sends a mail), or required (nobody signs in before the email is verified)",
    ),
    setting("MAIL_TEMPLATES", "none", "A folder whose files replace texts of the mails, such as reset_password.txt"),
    setting("MAIL_LIMIT_PER_HOUR", "20", "Requests for a mail from one client address in an hour; 0 for no limit"),
    secret(
        "RESOURCE_SERVERS",
        "none",
        "Services that may call /introspect and /revocations: name:hash, separated by commas or lines; the hash is the \
         SHA-256 of the secret, in hexadecimal",
    ),
    setting(
        "CORS_ORIGINS",
        "none",
        "Origins, such as https://app.example.com,http://localhost:5173, whose pages may read the answers; * for every \
         origin, unless TOKEN_REMOVAL=open",
    ),
    setting("DOCS", "on", "off: the server has no page /docs, which shows the API and sends requests to it"),
    setting(
        "WEBHOOK_URL",
        "none",
        "URL that gets security events in signed requests, such as https://example.com/hooks",
    ),
    secret("WEBHOOK_SECRET", "none", "Signs webhooks: one or more secrets of `auth-service secrets webhook`"),
    setting("WEBHOOK_ALLOW_PRIVATE", "off", "on: WEBHOOK_URL may use http, and may lead to a private network"),
    setting(
        "WEBHOOK_GIVE_UP_SECONDS",
        "86400",
        "How long the server tries to deliver an event, before the event becomes a dead letter",
    ),
    setting(
        "TRUSTED_PROXIES",
        "none",
        "Networks of your load balancers, such as 10.0.0.0/8,::1, whose reports of client addresses the server trusts",
    ),
    setting(
        "CLIENT_ADDRESS_HEADER",
        "X-Forwarded-For",
        "The header with these reports: X-Forwarded-For or Forwarded; the server ignores the other",
    ),
    setting(
        "AUDIT_LOG",
        "stdout",
        "Where the audit trail goes: stdout, with the other lines of the log, or the path of a file",
    ),
    setting("AUDIT_EMAILS", "off", "on: audit lines may hold email addresses"),
    setting("MAX_CONNECTIONS", "10000", "Most open client connections; for one more, the longest idle one is closed"),
    setting(
        "MAX_CONNECTIONS_PER_ADDRESS",
        "2000",
        "Most open connections from one address outside TRUSTED_PROXIES; further ones are closed at once; 0 for no limit",
    ),
    setting("KEEP_ALIVE_SECONDS", "75", "How long an idle client connection stays open"),
    setting(
        "REQUEST_TIMEOUT_SECONDS",
        "2",
        "Deadline of a request, counted from its full arrival; after the deadline, the answer is 503",
    ),
    setting(
        "SHUTDOWN_DELAY_SECONDS",
        "1",
        "After SIGTERM: how long /readyz is 503 while the server still serves everything else",
    ),
    setting("SHUTDOWN_TIMEOUT_SECONDS", "10", "After that delay: how long requests in flight may take"),
    setting(
        "METRICS_LISTEN",
        "none",
        "Address and port, such as 127.0.0.1:9464 or [::1]:9464, that serve GET /metrics for Prometheus; port 0 takes a \
         free port",
    ),
    setting("LOG_FORMAT", "text on a terminal, else json", "text or json; RUST_LOG in the environment sets the level"),
];
