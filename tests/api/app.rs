//! The real server, as a process on a port of its own, with one method for each route.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    raw::{self, Answer},
    redis_server::{RedisServer, signal, wait_until},
    runner::Store,
    topology::Certificates,
};

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const ACCESS_SECRET: &str = "an access secret of the tests, 32+ bytes";
pub(crate) const REFRESH_SECRET: &str = "a refresh secret of the tests, 32+ bytes";

/// A running server; killed when dropped.
pub(crate) struct TestApp {
    port: u16,
    /// None of a deployment that somebody else has brought up.
    child: Option<Child>,
    output: Arc<Mutex<Vec<String>>>,
    settings: BTreeMap<String, String>,
    /// The working directory, in which the data directory is.
    directory: Arc<TempDir>,
}

/// The tokens of a sign-in.
pub(crate) struct Session {
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// An address that no other test uses.
pub(crate) fn unique_email() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("user-{}-{}@example.com", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl TestApp {
    /// On the shared Redis, or on an embedded store of its own.
    pub(crate) fn start(store: Store) -> Self {
        match published_port() {
            Some(port) => Self::at(port),
            None => Self::start_with(store, &[]),
        }
    }

    /// A deployment with the default settings.
    fn at(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap().into();
        Self { port, child: None, output: Arc::default(), settings: BTreeMap::new(), directory }
    }

    /// With settings over the tests' defaults.
    pub(crate) fn start_with(store: Store, settings: &[(&str, &str)]) -> Self {
        match store {
            Store::Embedded => Self::start_in(tempfile::tempdir().unwrap().into(), settings),
            Store::Redis => Self::start_on(&RedisServer::shared_url(), settings),
        }
    }

    /// As a replica on a Redis of the test's.
    pub(crate) fn start_on(redis_url: &str, settings: &[(&str, &str)]) -> Self {
        let redis =
            [("REDIS_URL", redis_url), ("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)];
        Self::start_in(tempfile::tempdir().unwrap().into(), &[&redis, settings].concat())
    }

    /// In a working directory of the test's: what an earlier server stored in `data` there is there.
    pub(crate) fn start_in(directory: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        Self::spawn(directory, with_defaults(settings))
    }

    /// On an embedded store whose disk the test can make full, by `prlimit --fsize`: a shell has the server ignore the
    /// signal that would end it at the limit.
    pub(crate) fn start_on_small_disk(settings: &[(&str, &str)]) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let settings = with_defaults(settings);
        let server = command(directory.path(), &settings);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\""]).arg(server.get_program());
        shell.current_dir(directory.path()).env_clear().envs(&settings).stdin(Stdio::null());
        Self::run(shell, directory, settings)
    }

    fn spawn(directory: Arc<TempDir>, settings: BTreeMap<String, String>) -> Self {
        assert!(published_port().is_none(), "this test is not about the deployment: register it under with_settings");
        Self::run(command(directory.path(), &settings), directory, settings)
    }

    fn run(mut command: Command, directory: Arc<TempDir>, settings: BTreeMap<String, String>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), Arc::clone(&output));
        collect(child.stderr.take().unwrap(), Arc::clone(&output));
        let mut app = Self { port: 0, child: Some(child), output, settings, directory };
        wait_until("the server listens", || {
            if let Some(status) = app.child().try_wait().unwrap() {
                panic!("the server ended with {status}: {}", app.output());
            }
            app.port = app.listening_port().unwrap_or(0);
            app.port != 0
        });
        app
    }

    fn listening_port(&self) -> Option<u16> {
        let output = self.output();
        let (_, rest) = output.split_once("listening on http://")?;
        rest.split([',', '"']).next()?.rsplit(':').next()?.parse().ok()
    }

    /// Kills it without notice and starts it again, with the same settings and data, on a new port.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.kill();
        self.restart()
    }

    /// Starts it again after it was killed, likewise.
    pub(crate) fn restart(self) -> Self {
        Self::spawn(Arc::clone(&self.directory), self.settings.clone())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn working_directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// All that it has printed so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// Its log lines so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.output.lock().unwrap().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Its log lines of requests, in the order of their answers.
    pub(crate) fn request_log(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["message"] == "request").collect()
    }

    /// CPU time that it has used, in clock ticks; Linux only.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name, in parentheses, may itself hold spaces.
        let (_, rest) = stat.rsplit_once(')').unwrap();
        rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child().try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Starts where the server should refuse to: its exit status, and all that it said.
    pub(crate) fn refused(directory: &Path, settings: &[(&str, &str)]) -> (i32, String) {
        let settings = settings.iter().chain(&[("PORT", "0")]).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let mut child = command(directory, &settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        // For the case that it runs after all.
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap_or_else(|| panic!("it goes on: {said}")), said)
    }

    /// Runs the command line with this server's settings and data.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        command(self.directory.path(), &self.settings).args(arguments).output().unwrap()
    }

    /// Any request; a body is sent as JSON.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut headers = headers.to_vec();
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let bytes = raw::request(method, path, &headers, body);
        raw::exchange(self.port, &bytes).unwrap_or_else(|| panic!("no answer; the server says: {}", self.output()))
    }

    /// A request with a JSON body and nothing else.
    pub(crate) fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[], Some(&body.to_string()))
    }

    pub(crate) fn sign_up(&self, email: &str, password: &str) -> Answer {
        self.send_json("POST", "/signup", &json!({"email": email, "password": password}))
    }

    pub(crate) fn authenticate(&self, email: &str, password: &str) -> Answer {
        self.send_json("POST", "/authenticate", &json!({"email": email, "password": password}))
    }

    pub(crate) fn current_user(&self, access_token: &str) -> Answer {
        self.send("GET", "/user", &[("Authorization", &format!("Bearer {access_token}"))], None)
    }

    pub(crate) fn refresh_access_token(&self, refresh_token: &str) -> Answer {
        self.send_json("POST", "/refresh-access-token", &json!({"refresh_token": refresh_token}))
    }

    pub(crate) fn remove_access_token(&self, email: &str) -> Answer {
        self.send_json("DELETE", "/access-token", &json!({"email": email}))
    }

    /// A new account, signed in.
    pub(crate) fn new_session(&self) -> Session {
        let email = unique_email();
        let answer = self.sign_up(&email, PASSWORD);
        assert_eq!(answer.status, 201, "{answer:?}");
        self.session_of(&email)
    }

    /// Another sign-in of an account whose password is [`PASSWORD`].
    pub(crate) fn session_of(&self, email: &str) -> Session {
        let answer = self.authenticate(email, PASSWORD);
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Session { email: email.to_owned(), access_token: text("access_token"), refresh_token: text("refresh_token") }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn with_defaults(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    // The cheapest hash that the settings allow, and no limit for the one address that all tests come from: few tests
    // are about these, and set them. Hashing has the lowest priority: on a busy machine it may take long all the same.
    let defaults = [
        ("PORT", "0"),
        ("ARGON2_MEMORY_KIB", "7168"),
        ("ARGON2_ITERATIONS", "1"),
        ("REQUEST_TIMEOUT_SECONDS", "20"),
        ("LOG_FORMAT", "json"),
        ("ADDRESS_LIMIT", "0"),
    ];
    let mut settings: BTreeMap<_, _> =
        defaults.iter().chain(settings).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    if settings.get("REDIS_URL").is_some_and(|url| url.starts_with("rediss")) {
        for (name, value) in Certificates::shared().settings() {
            settings.entry(name.to_owned()).or_insert(value);
        }
    }
    settings
}

/// Where `deploy/test-docker.sh` has a deployment, on which tests that want no settings of their own then run.
pub(crate) fn published_port() -> Option<u16> {
    Some(std::env::var("TEST_PUBLISHED_PORT").ok()?.parse().unwrap())
}

/// The program, in a directory and with settings; nothing of the tests' own environment reaches it.
pub(crate) fn command(directory: &Path, settings: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
    command.current_dir(directory).env_clear().envs(settings).stdin(Stdio::null());
    command
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lock().unwrap().push(line);
        }
    });
}
