//! Settings that are probably not what the operator means: the server starts, and warns once of each.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use auth_service::config::SETTINGS;
use serde_json::Value;

use crate::support::{ACCESS_SECRET, REFRESH_SECRET, SECRETS, TestApp, assert_says, refused_in, unique_email};

/// A server on the embedded store in `directory`, without the warning of `TOKEN_REMOVAL=open`.
fn start(directory: tempfile::TempDir, settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_in(Arc::new(directory), &[&[("TOKEN_REMOVAL", "owner")], settings].concat())
}

/// The setting and the sentence of each warning. The server logs them before it listens.
fn warnings(app: &TestApp) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = app.log().into_iter().filter(|line| line["event"] == "settings_warning");
    let lines = lines.inspect(|line| assert_eq!(line["level"], "WARN", "{line}"));
    let warnings = lines.map(|line| (text(&line["setting"]), text(&line["message"])));
    warnings.filter(|(_, sentence)| !sentence.contains("signing secrets were generated")).collect()
}

/// Asserts that a server with these settings logs one warning for each of `expected`, a setting and some words.
#[track_caller]
fn assert_warns(directory: tempfile::TempDir, settings: &[(&str, &str)], expected: &[(&str, &[&str])]) -> TestApp {
    let app = start(directory, settings);
    let found = warnings(&app);
    assert_eq!(
        found.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
        expected.iter().map(|e| e.0).collect::<Vec<_>>()
    );
    for ((_, sentence), (_, words)) in found.iter().zip(expected) {
        assert_says(sentence, words);
        assert!(!sentence.contains("planted") && !sentence.contains(ACCESS_SECRET), "{sentence}");
    }
    app
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn write(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_collector_that_this_build_cannot_use_is_one_warning() {
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let warning: (&str, &[&str]) = (collector.0, &["this build cannot export traces", "docs/monitoring.md"]);
    assert_warns(directory(), &[collector], &[warning]);
    assert_warns(directory(), &[collector, ("OTEL_SDK_DISABLED", "true")], &[]);
}

#[test]
fn an_embedded_store_where_redis_is_expected_is_one_warning() {
    let empty: (&str, &[&str]) = ("REDIS_URL", &["is empty, so the server uses the embedded store", "give it a value"]);
    assert_warns(directory(), &[("REDIS_URL", "")], &[empty]);
    assert_warns(directory(), &[&SECRETS[..], &[("REDIS_URL", ""), ("REDIS_PASSWORD", "planted")]].concat(), &[empty]);
    let file: (&str, &[&str]) = ("REDIS_URL_FILE", &["is empty, so the server uses the embedded store"]);
    assert_warns(directory(), &[("REDIS_URL_FILE", "")], &[file]);
    let words: &[&str] =
        &["REDIS_URL is not set, although the signing secrets are", "set REDIS_URL, or remove the secrets"];
    assert_warns(directory(), &SECRETS, &[("REDIS_URL", words)]);
    let words: &[&str] = &["has no effect without REDIS_URL", "remove REDIS_PASSWORD, REDIS_WAIT_REPLICAS"];
    let settings = [("REDIS_PASSWORD", "planted"), ("REDIS_WAIT_REPLICAS", "1")];
    assert_warns(directory(), &settings, &[("REDIS_PASSWORD", words)]);
    assert_warns(directory(), &[("PASSWORD_MIN_LENGTH", ""), ("ADDRESS_LIMIT", "")], &[]);
}

#[test]
fn an_empty_secret_or_directory_is_one_warning() {
    let settings = [("AUTH_SECRET_KEY", ""), ("REFRESH_SECRET_KEY_FILE", ""), ("DATA_DIR", "")];
    let generates: &[&str] = &["is empty, so the server generates the secret in DATA_DIR"];
    let expected = [
        ("DATA_DIR", &["is empty, so the embedded store is in ./data"][..]),
        ("AUTH_SECRET_KEY", generates),
        ("REFRESH_SECRET_KEY_FILE", generates),
    ];
    assert_warns(directory(), &settings, &expected);
}

#[test]
fn a_name_that_is_nearly_a_setting_is_warned_of() {
    let directory = directory();
    let dotenv = "REDIS_URI=redis://planted\nCOMPOSE_PROJECT_NAME=x\nREDIS_IMAGE=x\nRUST_LOG=debug\nSIGNUP_LIMIT=\n";
    write(&directory.path().join(".env"), dotenv, 0o644);
    let environment = [
        ("AUTH_SECRETKEY", "planted"),
        ("ACCESS_TOKEN_TTL", "300"),
        ("token_removal", "off"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("REDIS_SERVICE_HOST", "10.0.0.1"),
        ("HOSTNAME", "host"),
        ("PORTS", "1"),
    ];
    let app = assert_warns(
        directory,
        &environment,
        &[
            ("REDIS_URI", &["REDIS_URI in .env is not a setting and has no effect; did you mean REDIS_URL?"]),
            ("ACCESS_TOKEN_TTL", &["in the environment", "did you mean ACCESS_TOKEN_TTL_SECONDS?"]),
            ("AUTH_SECRETKEY", &["did you mean AUTH_SECRET_KEY?"]),
            ("token_removal", &["did you mean TOKEN_REMOVAL?"]),
            ("RUST_LOG", &["RUST_LOG in .env has no effect; set it in the environment"]),
        ],
    );
    assert!(!app.output().contains("planted"), "{}", app.output());
}

#[test]
fn a_missing_setting_is_named_with_the_name_that_is_nearly_right() {
    let settings =
        [("REDIS_URL", "redis://127.0.0.1:1"), ("AUTH_SECRETKEY", "planted"), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
    let (status, said) = refused_in(directory().path(), &settings);
    assert_eq!(status, 2, "{said}");
    assert_says(&said, &["AUTH_SECRET_KEY is required with Redis", "did you mean AUTH_SECRET_KEY?"]);
    assert!(!said.contains("planted"), "{said}");
}

/// `.env` is also the file of Compose, which has variables of its own.
#[test]
fn no_variable_of_the_compose_file_is_warned_of() {
    let compose = fs::read_to_string("docker-compose.yml").unwrap();
    let variables = compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
    let ours = |name: &str| name == "RUST_LOG" || SETTINGS.iter().any(|setting| setting.name == name);
    let foreign: Vec<_> = variables.filter(|name| !name.starts_with('.') && !ours(name)).collect();
    assert!(foreign.contains(&"REDIS_MAXMEMORY") && foreign.contains(&"REPLICA_COUNT"), "{foreign:?}");
    let directory = directory();
    let text: String = foreign.iter().map(|name| format!("{name}=x\n")).collect();
    write(&directory.path().join(".env"), &text, 0o644);
    let environment: Vec<_> = foreign.iter().map(|name| (*name, "x")).collect();
    assert_warns(directory, &environment, &[]);
}

#[test]
fn secrets_that_other_users_can_read_are_warned_of() {
    let chmod: &[&str] = &["names a file that other users can read", "run chmod 600 on it"];
    let files = [("AUTH_SECRET_KEY_FILE", "access"), ("REFRESH_SECRET_KEY_FILE", "refresh"), ("REDIS_URL", "")];
    let expected: Vec<(&str, &[&str])> =
        vec![("REDIS_URL", &[]), ("AUTH_SECRET_KEY_FILE", chmod), ("REFRESH_SECRET_KEY_FILE", chmod)];
    for (access, refresh, warned) in [(0o644, 0o640, 3), (0o604, 0o600, 2), (0o600, 0o400, 1)] {
        let directory = directory();
        write(&directory.path().join("access"), ACCESS_SECRET, access);
        write(&directory.path().join("refresh"), REFRESH_SECRET, refresh);
        assert_warns(directory, &files, &expected[..warned]);
    }
    // Kubernetes mounts secrets through such links. Their mode is not the operator's choice.
    let directory = directory();
    let mounted = directory.path().join("..2026_11_28_18_25_05.1");
    fs::create_dir(&mounted).unwrap();
    for (name, secret) in [("access", ACCESS_SECRET), ("refresh", REFRESH_SECRET)] {
        write(&mounted.join(name), secret, 0o644);
        symlink(mounted.join(name), directory.path().join(name)).unwrap();
    }
    assert_warns(directory, &files, &expected[..1]);
}

#[test]
fn a_dotenv_with_secrets_that_other_users_can_read_is_warned_of() {
    let secrets = format!("AUTH_SECRET_KEY={ACCESS_SECRET:?}\nREFRESH_SECRET_KEY={REFRESH_SECRET:?}\nREDIS_URL=\n");
    let open: (&str, &[&str]) = (".env", &["holds secrets, and other users can read it; run chmod 600 .env"]);
    let empty: (&str, &[&str]) = ("REDIS_URL", &[]);
    for (text, mode, expected) in [
        (&*secrets, 0o644, &[open, empty][..]),
        (&secrets, 0o640, &[open, empty]),
        (&secrets, 0o600, &[empty]),
        ("PASSWORD_MIN_LENGTH=7\n", 0o644, &[]),
    ] {
        let directory = directory();
        write(&directory.path().join(".env"), text, mode);
        assert_warns(directory, &[], expected);
    }
}

#[test]
fn files_of_windows_are_read_as_others() {
    let directory = directory();
    let dotenv = "\u{feff}PASSWORD_MIN_LENGTH=11\r\nAUTH_SECRET_KEY_FILE=access\r\nREDIS_URL=\r\n";
    write(&directory.path().join(".env"), dotenv, 0o600);
    write(&directory.path().join("access"), &format!("\u{feff}{ACCESS_SECRET}\r\n"), 0o600);
    let refresh = format!("{REFRESH_SECRET}\r\n");
    let app = assert_warns(directory, &[("REFRESH_SECRET_KEY", &refresh)], &[("REDIS_URL", &[])]);
    assert_eq!(app.sign_up(&unique_email(), "x").json()["fields"][0]["message"], "must have at least 11 characters");
    let session = app.new_session();
    // A server with the same secrets, without the marks of Windows, and with another store.
    let other = TestApp::start_in(Arc::new(tempfile::tempdir().unwrap()), &SECRETS);
    other.refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
}
