//! The server as a command: its settings, and its output if it refuses to start.

use std::{
    collections::BTreeMap,
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use super::{
    certificates::Certificates,
    process::{Process, program},
};

pub(crate) const ACCESS_SECRET: &str = "an access secret of the tests, 32+ bytes";
pub(crate) const REFRESH_SECRET: &str = "a refresh secret of the tests, 32+ bytes";
pub(crate) const SECRETS: [(&str, &str); 2] =
    [("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];

/// For a test of HS256 tokens, which also runs with `TEST_ACCESS_TOKEN_ALGORITHM=ES256`.
pub(crate) const HS256: (&str, &str) = ("ACCESS_TOKEN_ALGORITHM", "HS256");

/// One hash takes longer than the deadline of a request. So a 503 `deadline_exceeded` shows that the server hashed.
/// While all hashing threads are busy, further requests get 503 `overloaded`.
pub(crate) const SLOW_HASH: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "65536"), ("ARGON2_ITERATIONS", "32"), ("REQUEST_TIMEOUT_SECONDS", "1")];

/// Settings by name.
pub(crate) type Settings = BTreeMap<String, String>;

pub(super) const SERVER: &str = env!("CARGO_BIN_EXE_auth-service");

/// A command that runs the server in `directory` with only these settings, and without the environment of the tests.
pub(crate) fn command(directory: &Path, settings: &Settings) -> Command {
    let mut command = program(SERVER);
    command.current_dir(directory).env_clear().envs(settings).stdin(Stdio::null());
    command
}

/// The exit status and the output of a server that refuses to start.
pub(crate) fn refused_in(directory: &Path, settings: &[(&str, &str)]) -> (i32, String) {
    let settings = settings.iter().chain(&[("PORT", "0")]).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let output = run_to_end(command(directory, &settings));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap_or_else(|| panic!("killed: {said}")), said)
}

/// The output of a server that refuses to start because of wrong settings. Asserts that the exit status is 2, and that
/// the output shows no secret. A secret of a test contains `planted`.
#[track_caller]
pub(crate) fn refused(settings: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (status, said) = refused_in(directory.path(), &[&SECRETS, settings].concat());
    assert_eq!(status, 2, "{said}");
    assert!(!said.contains("panicked") && !said.contains("planted") && !said.contains(ACCESS_SECRET), "{said}");
    said
}

/// Asserts that a message contains all of these words.
#[track_caller]
pub(crate) fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Runs a program to its end. Panics if the program does not end by itself.
#[track_caller]
pub(crate) fn run_to_end(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(command);
    let status = process.wait();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    process.child().stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    process.child().stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status, stdout, stderr }
}

/// The settings of a test, and the defaults of the tests for all other settings.
pub(super) fn with_defaults(settings: &[(&str, &str)]) -> Settings {
    // The cheapest hash saves time. All tests share one address, so this address has no limit. Tests of hashes and of
    // limits set their own values. Hashing has the lowest priority, so a request needs a long deadline on a busy
    // machine.
    let defaults = [
        ("PORT", "0"),
        ("ARGON2_MEMORY_KIB", "7168"),
        ("ARGON2_ITERATIONS", "1"),
        ("REQUEST_TIMEOUT_SECONDS", "20"),
        ("LOG_FORMAT", "json"),
        ("ADDRESS_LIMIT", "0"),
        ("SIGNUP_LIMIT_PER_HOUR", "0"),
    ];
    defaults.iter().chain(settings).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Adds the certificate files for TLS to Redis, unless the test has set other files.
pub(super) fn add_certificates(settings: &mut Settings) -> Option<Arc<Certificates>> {
    settings.get("REDIS_URL").filter(|url| url.starts_with("rediss"))?;
    let certificates = Certificates::shared();
    for (name, value) in certificates.settings() {
        settings.entry(name.to_owned()).or_insert(value);
    }
    Some(certificates)
}
