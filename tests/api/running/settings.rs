//! The settings: where they come from, and how a wrong setting stops the start.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::ffi::OsStringExt,
    process::{Command, Output},
    sync::Arc,
};

use tempfile::TempDir;

use crate::support::{
    ACCESS_SECRET, PASSWORD, REFRESH_SECRET, RedisServer, Shared, Store, TestApp, command, run_to_end, unique_email,
};

/// A command that runs the server in a new directory, with only these settings.
fn server(settings: &[(&str, &str)]) -> (TempDir, Command) {
    let directory = tempfile::tempdir().unwrap();
    let settings: BTreeMap<_, _> = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let command = command(directory.path(), &settings);
    (directory, command)
}

/// Asserts that the server refuses to start, and prints one sentence for each name, in this order, and a hint.
#[track_caller]
fn assert_refused(output: &Output, names: &[&str]) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty(), "standard output is empty: {output:?}");
    let mut named: Vec<_> = text.lines().map(|line| line.strip_prefix("auth-service: ").unwrap()).collect();
    assert_eq!(named.pop(), Some("see `auth-service --help` for all settings"));
    let named: Vec<_> = named.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(named, names, "{text}");
    text
}

#[track_caller]
fn refused(settings: &[(&str, &str)], names: &[&str]) -> String {
    let (_directory, command) = server(settings);
    assert_refused(&run_to_end(command), names)
}

#[test]
fn all_wrong_settings_are_named_at_once_and_no_value_is_printed() {
    let wrong = [
        ("REDIS_URL", "http://planted:planted@example.com"),
        ("REDIS_KEY_PREFIX", "{planted}"),
        ("AUTH_SECRET_KEY", "planted, too short"),
        ("REFRESH_SECRET_KEY", "planted-change-me-change-me-change-me"),
        ("ACCESS_TOKEN_TTL_SECONDS", "planted"),
        ("REFRESH_TOKEN_TTL_SECONDS", "-1"),
        ("PORT", "65536"),
        ("PASSWORD_MIN_LENGTH", "planted"),
        ("ARGON2_MEMORY_KIB", "1"),
        ("ARGON2_ITERATIONS", "0"),
        ("ARGON2_PARALLELISM", "planted"),
        ("TOKEN_REMOVAL", "planted"),
        ("SMTP_URL", "planted"),
        ("SMTP_FROM", "planted"),
        ("PUBLIC_URL", "planted"),
        ("MAIL_TEMPLATES", "/planted"),
        ("MAIL_LIMIT_PER_HOUR", "planted"),
        ("EMAIL_VERIFICATION", "planted"),
        ("MAX_CONNECTIONS", "planted"),
        ("KEEP_ALIVE_SECONDS", "3601"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("SHUTDOWN_DELAY_SECONDS", "planted"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "1.5"),
        ("LOG_FORMAT", "planted"),
    ];
    let text = refused(&wrong, &wrong.map(|(name, _)| name));
    assert!(!text.contains("planted"), "{text}");
}

#[test]
fn numbers_out_of_range_are_named_with_the_range() {
    for (name, value, range) in [
        ("PORT", "-1", "0 to 65535"),
        ("PORT", " 3000", "0 to 65535"),
        ("ACCESS_TOKEN_TTL_SECONDS", "0", "1 to 86400"),
        ("REFRESH_TOKEN_TTL_SECONDS", "99999999999999999999", "1 to 31536000"),
        ("PASSWORD_MIN_LENGTH", "0", "1 to 256"),
    ] {
        let text = refused(&[(name, value)], &[name]);
        assert!(text.contains(&format!("{name} must be a whole number from {range}\n")), "{text}");
    }
    let shorter = [("ACCESS_TOKEN_TTL_SECONDS", "60"), ("REFRESH_TOKEN_TTL_SECONDS", "59")];
    let text = refused(&shorter, &["REFRESH_TOKEN_TTL_SECONDS"]);
    assert!(text.contains("must not be less than ACCESS_TOKEN_TTL_SECONDS"), "{text}");
    let text = refused(&[("TOKEN_REMOVAL", "Open")], &["TOKEN_REMOVAL"]);
    assert!(text.contains("must be one of: open, owner, off"), "{text}");
}

#[test]
fn short_equal_and_sample_secrets_stop_the_start() {
    let secrets = |access, refresh, names: &[&str], what: &str| {
        for store in [("REDIS_URL", "redis://127.0.0.1:1"), ("DATA_DIR", "data")] {
            let text = refused(&[store, ("AUTH_SECRET_KEY", access), ("REFRESH_SECRET_KEY", refresh)], names);
            assert_eq!(text.matches(what).count(), names.len(), "{text}");
            assert!(!text.contains(access) && !text.contains(refresh), "{text}");
        }
    };
    let short = "x".repeat(31);
    secrets(&short, REFRESH_SECRET, &["AUTH_SECRET_KEY"], "must have at least 32 bytes");
    secrets(ACCESS_SECRET, &short, &["REFRESH_SECRET_KEY"], "must have at least 32 bytes");
    secrets(ACCESS_SECRET, ACCESS_SECRET, &["REFRESH_SECRET_KEY"], "must differ from AUTH_SECRET_KEY");
    let monotonous = "has blanks only or too few different characters";
    let easy = ["x".repeat(64), " ".repeat(32), " \t".repeat(16), "ab".repeat(32), "12345".repeat(9)];
    for easy in &easy {
        secrets(easy, REFRESH_SECRET, &["AUTH_SECRET_KEY"], monotonous);
        secrets(ACCESS_SECRET, easy, &["REFRESH_SECRET_KEY"], monotonous);
    }
    let sample = "Replace-Me-with-the-output-of-secrets-generate";
    secrets(sample, REFRESH_SECRET, &["AUTH_SECRET_KEY"], "is a sample from documentation");
    for sample in ["your-256-bit-secret-your-256-bit-secret", "changeme-changeme-changeme-changeme"] {
        secrets(ACCESS_SECRET, sample, &["REFRESH_SECRET_KEY"], "is a sample from documentation");
    }
}

#[test]
fn redis_needs_both_secrets() {
    let url = ("REDIS_URL", "redis://127.0.0.1:1");
    let text = refused(&[url], &["AUTH_SECRET_KEY", "REFRESH_SECRET_KEY"]);
    assert_eq!(text.matches("is required with Redis; make one with `auth-service secrets generate`").count(), 2);
    refused(&[url, ("AUTH_SECRET_KEY", ACCESS_SECRET)], &["REFRESH_SECRET_KEY"]);
}

#[test]
fn one_secret_alone_stops_the_start() {
    let text = refused(&[("AUTH_SECRET_KEY", ACCESS_SECRET)], &["REFRESH_SECRET_KEY"]);
    assert!(text.contains("must be set, because another secret is set"), "{text}");
    refused(&[("REFRESH_SECRET_KEY", REFRESH_SECRET)], &["AUTH_SECRET_KEY"]);
}

#[test]
fn a_setting_and_its_file_both_set_stop_the_start() {
    let (directory, command) = server(&[
        ("AUTH_SECRET_KEY", ACCESS_SECRET),
        ("AUTH_SECRET_KEY_FILE", "access"),
        ("REFRESH_SECRET_KEY", REFRESH_SECRET),
    ]);
    fs::write(directory.path().join("access"), ACCESS_SECRET).unwrap();
    let text = assert_refused(&run_to_end(command), &["AUTH_SECRET_KEY"]);
    assert!(text.contains("AUTH_SECRET_KEY and AUTH_SECRET_KEY_FILE are both set; set only one of them"), "{text}");
}

#[test]
fn a_secret_file_that_cannot_be_used_is_named() {
    let files = [("REDIS_URL_FILE", "not-there"), ("AUTH_SECRET_KEY_FILE", "empty"), ("REFRESH_SECRET_KEY_FILE", ".")];
    let (directory, command) = server(&files);
    fs::write(directory.path().join("empty"), "\n").unwrap();
    let text = assert_refused(&run_to_end(command), &files.map(|(name, _)| name));
    assert!(text.contains("REDIS_URL_FILE names a file that cannot be read: entity not found"), "{text}");
    assert!(text.contains("AUTH_SECRET_KEY_FILE names a file that is empty"), "{text}");
    // If an empty file counted as an unset value, a replica would serve its own embedded store.
    let (directory, command) = server(&[("REDIS_URL_FILE", "empty")]);
    fs::write(directory.path().join("empty"), "").unwrap();
    assert_refused(&run_to_end(command), &["REDIS_URL_FILE", "AUTH_SECRET_KEY", "REFRESH_SECRET_KEY"]);
    assert!(!directory.path().join("data").exists());
}

#[test]
fn malformed_redis_urls_stop_the_start() {
    for url in [
        "localhost",
        "127.0.0.1:6379",
        "redis:",
        "redis://",
        "redis:///0",
        "http://localhost",
        "redis://planted:planted@127.0.0.1:port",
        "redis://127.0.0.1/planted",
        "redis://:planted@:6379",
    ] {
        let settings = [("REDIS_URL", url), ("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
        let text = refused(&settings, &["REDIS_URL"]);
        assert!(text.contains("must have the form redis://[user:password@]host[:port][/database]"), "{url}: {text}");
        assert!(!text.contains("planted"), "{text}");
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_named() {
    let (directory, mut command) = server(&[("REFRESH_SECRET_KEY", REFRESH_SECRET)]);
    command.env("TOKEN_REMOVAL", OsString::from_vec(b"o\xffff".to_vec()));
    let text = assert_refused(&run_to_end(command), &["TOKEN_REMOVAL", "AUTH_SECRET_KEY"]);
    assert!(text.contains("TOKEN_REMOVAL must be UTF-8 text"), "{text}");
    drop(directory);
}

/// A server in a directory with this `.env`. All other settings are `settings` and the defaults of the tests.
fn start_with_dotenv(dotenv: &str, settings: &[(&str, &str)]) -> TestApp {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), dotenv).unwrap();
    TestApp::start_in(Arc::new(directory), settings)
}

fn password_min_length(app: &TestApp) -> String {
    let answer = app.sign_up(&unique_email(), "x");
    answer.json()["fields"][0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn dotenv_is_read_from_the_working_directory() {
    let text = "# comment\n\nexport PASSWORD_MIN_LENGTH=11\nDATA_DIR='the data'\nSOMETHING_ELSE=1\n";
    let app = start_with_dotenv(text, &[]);
    assert_eq!(password_min_length(&app), "must have at least 11 characters");
    assert!(app.working_directory().join("the data/store.redb").is_file());
}

#[test]
fn flags_win_over_the_environment_which_wins_over_dotenv() {
    let (dotenv, environment) = ("PASSWORD_MIN_LENGTH=11\n", [("PASSWORD_MIN_LENGTH", "12")]);
    let app = start_with_dotenv(dotenv, &environment);
    assert_eq!(password_min_length(&app), "must have at least 12 characters");
    // Flags override all wrong values except the value of LOG_FORMAT.
    let (directory, mut command) = server(&[("PASSWORD_MIN_LENGTH", "wrong"), ("PORT", "wrong")]);
    fs::write(directory.path().join(".env"), "PASSWORD_MIN_LENGTH=wrong\nTOKEN_REMOVAL=wrong\nLOG_FORMAT=wrong\n")
        .unwrap();
    command.args(["--password-min-length", "7", "--token-removal=off", "--port", "0"]);
    assert_refused(&run_to_end(command), &["LOG_FORMAT"]);
}

#[test]
fn an_empty_value_counts_as_unset() {
    let dotenv = "PASSWORD_MIN_LENGTH=11\nREDIS_URL=\nAUTH_SECRET_KEY_FILE=\n";
    let app = start_with_dotenv(dotenv, &[("PASSWORD_MIN_LENGTH", ""), ("REDIS_URL", ""), ("TOKEN_REMOVAL", "")]);
    assert_eq!(password_min_length(&app), "must have at least 6 characters");
    assert!(app.data_directory().join("store.redb").is_file());
}

#[test]
fn a_broken_dotenv_is_named_and_not_shown() {
    let (directory, command) = server(&[("PORT", "wrong")]);
    fs::write(directory.path().join(".env"), "REFRESH_SECRET_KEY=planted planted\nTOKEN_REMOVAL=wrong\n").unwrap();
    let text = assert_refused(&run_to_end(command), &[".env", "PORT", "TOKEN_REMOVAL"]);
    assert!(text.contains(".env line 1 is not NAME=value; quote values that have spaces"), "{text}");
    assert!(!text.contains("planted"), "{text}");
    let (directory, command) = server(&[]);
    fs::write(
        directory.path().join(".env"),
        "\u{feff}# comment\r\n\r\nplanted\r\nPORT=0\r\nAUTH_SECRET_KEY='planted\r\n",
    )
    .unwrap();
    let text = assert_refused(&run_to_end(command), &[".env", ".env"]);
    assert!(text.contains(".env line 3 is not") && text.contains(".env line 5 is not"), "{text}");
    assert!(!text.contains("planted"), "{text}");
    let (directory, command) = server(&[]);
    fs::create_dir(directory.path().join(".env")).unwrap();
    let text = assert_refused(&run_to_end(command), &[".env"]);
    assert!(text.contains(".env cannot be read"), "{text}");
}

#[test]
fn a_port_in_use_is_reported_and_exits_1() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (_directory, command) = server(&[("PORT", &port)]);
    let output = run_to_end(command);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("cannot listen on 127.0.0.1 port {port}: Address already in use")), "{text}");
    assert!(text.contains("set another HOST or PORT"), "{text}");
}

#[test]
fn secrets_and_redis_url_come_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let shared = Shared::get();
    let redis = shared.url();
    for (name, text) in [("access", ACCESS_SECRET), ("refresh", REFRESH_SECRET), ("url", redis.as_str())] {
        // The line break at the end is not part of the secret.
        fs::write(directory.path().join(name), format!("{text}\n")).unwrap();
    }
    let files = [("REDIS_URL_FILE", "url"), ("AUTH_SECRET_KEY_FILE", "access"), ("REFRESH_SECRET_KEY_FILE", "refresh")];
    let from_files = TestApp::start_in(Arc::new(directory), &files);
    let from_environment = TestApp::start(Store::Redis);
    let session = from_files.new_session();
    assert_eq!(from_environment.current_user(&session.access_token).status, 200, "the same secrets, the same store");
    from_environment.sign_up(&session.email, PASSWORD).assert_error(409, "email_taken");
}

#[test]
fn redis_with_wrong_credentials_stops_the_start_and_prints_no_password() {
    let redis = RedisServer::start(&[]);
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "the right one"]);
    let url = format!("redis://:planted@127.0.0.1:{}", redis.port());
    for (url, what) in [(url, "refused REDIS_URL's user name, password or database"), (redis.url(), "NOAUTH")] {
        let settings =
            [("REDIS_URL", &*url), ("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
        let (_directory, command) = server(&[&settings[..], &[("PORT", "0")]].concat());
        let output = run_to_end(command);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(what) && !text.contains("planted"), "{text}");
    }
}
