//! The server as a command: its settings, and what it says when it does not start.

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

/// One hash takes longer than a request may. So an answer other than 503 shows that nothing was hashed, and a 503 that the
/// server did not answer before the work.
pub(crate) const SLOW_HASH: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "65536"), ("ARGON2_ITERATIONS", "32"), ("REQUEST_TIMEOUT_SECONDS", "1")];

/// Settings by name.
pub(crate) type Settings = BTreeMap<String, String>;

pub(super) const SERVER: &str = env!("CARGO_BIN_EXE_auth-service");

/// The server in a directory and with these settings alone: nothing of the tests' own environment reaches it.
pub(crate) fn command(directory: &Path, settings: &Settings) -> Command {
    let mut command = program(SERVER);
    command.current_dir(directory).env_clear().envs(settings).stdin(Stdio::null());
    command
}

/// What a server that refuses to start prints, after its exit status.
pub(crate) fn refused_in(directory: &Path, settings: &[(&str, &str)]) -> (i32, String) {
    let settings = settings.iter().chain(&[("PORT", "0")]).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let output = run_to_end(command(directory, &settings));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap_or_else(|| panic!("killed: {said}")), said)
}

/// What a server prints that wrong settings keep from starting: the exit status is 2, and no secret is shown. A secret
/// has `planted` in it.
#[track_caller]
pub(crate) fn refused(settings: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (status, said) = refused_in(directory.path(), &[&SECRETS, settings].concat());
    assert_eq!(status, 2, "{said}");
    assert!(!said.contains("panicked") && !said.contains("planted") && !said.contains(ACCESS_SECRET), "{said}");
    said
}

/// Asserts that a message has all of these words.
#[track_caller]
pub(crate) fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Runs a program that should end by itself; panics when it does not.
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

/// The settings of a test over the tests' defaults.
pub(super) fn with_defaults(settings: &[(&str, &str)]) -> Settings {
    // The cheapest hash, and no limit for the one address that all tests come from: the tests of these set their own.
    // Hashing has the lowest priority, so on a busy machine a request needs a long deadline.
    let defaults = [
        ("PORT", "0"),
        ("ARGON2_MEMORY_KIB", "7168"),
        ("ARGON2_ITERATIONS", "1"),
        ("REQUEST_TIMEOUT_SECONDS", "20"),
        ("LOG_FORMAT", "json"),
        ("ADDRESS_LIMIT", "0"),
    ];
    defaults.iter().chain(settings).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Adds the files that TLS to Redis needs, unless the test has set others.
pub(super) fn add_certificates(settings: &mut Settings) -> Option<Arc<Certificates>> {
    settings.get("REDIS_URL").filter(|url| url.starts_with("rediss"))?;
    let certificates = Certificates::shared();
    for (name, value) in certificates.settings() {
        settings.entry(name.to_owned()).or_insert(value);
    }
    Some(certificates)
}
