//! The real server, as a process on a port of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    command::{SECRETS, SERVER, Settings, add_certificates, command, with_defaults},
    process::{Process, program, signal},
    shared::Shared,
    signing_key::add_signing_key,
    store::Store,
    wait::wait_longer,
};

/// A running server, killed when dropped.
pub(crate) struct TestApp {
    port: u16,
    /// None for a deployment that the test did not start.
    process: Option<Process>,
    output: Arc<Mutex<Vec<String>>>,
    /// One for standard output and one for standard error.
    collectors: Vec<JoinHandle<()>>,
    settings: Settings,
    /// The working directory. The data directory is in it.
    directory: Arc<TempDir>,
    /// Keeps the shared Redis running as long as a server uses it.
    redis: Option<Arc<Shared>>,
    /// Keeps the certificate files as long as a server uses them.
    _certificates: Option<Arc<Certificates>>,
}

/// The data of servers that start one after the other, with different settings.
pub(crate) enum Data {
    Redis(Arc<Shared>),
    Embedded(Arc<TempDir>),
}

impl Data {
    pub(crate) fn new(store: Store) -> Self {
        match store {
            Store::Redis => Self::Redis(Shared::get()),
            Store::Embedded => Self::Embedded(Arc::new(tempfile::tempdir().unwrap())),
        }
    }

    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> TestApp {
        match self {
            Self::Redis(shared) => TestApp::start_on_shared(shared, settings),
            Self::Embedded(directory) => TestApp::start_in(Arc::clone(directory), settings),
        }
    }
}

impl TestApp {
    /// A server with the default settings, on the shared Redis or on an embedded store of its own. With
    /// `TEST_PUBLISHED_PORT`, the deployment on that port.
    pub(crate) fn start(store: Store) -> Self {
        match published_port() {
            Some(port) => Self::at(port),
            None => Self::start_with(store, &[]),
        }
    }

    fn at(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap().into();
        Self {
            port,
            process: None,
            output: Arc::default(),
            collectors: Vec::new(),
            settings: Settings::new(),
            directory,
            redis: None,
            _certificates: None,
        }
    }

    /// A server with `settings`, which override the defaults of the tests.
    pub(crate) fn start_with(store: Store, settings: &[(&str, &str)]) -> Self {
        Data::new(store).start(settings)
    }

    fn start_on_shared(shared: &Arc<Shared>, settings: &[(&str, &str)]) -> Self {
        let mut app = Self::start_on(&shared.url(), settings);
        app.redis = Some(Arc::clone(shared));
        app
    }

    /// A replica on a Redis that the test started.
    pub(crate) fn start_on(redis_url: &str, settings: &[(&str, &str)]) -> Self {
        let url = [("REDIS_URL", redis_url)];
        Self::start_in(tempfile::tempdir().unwrap().into(), &[&url, &SECRETS[..], settings].concat())
    }

    /// A server in a working directory that the test provides. The server uses an embedded store that an earlier server
    /// left there.
    pub(crate) fn start_in(directory: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        Self::run(directory, with_defaults(settings), command)
    }

    /// A server on an embedded store whose disk the test can fill by `prlimit --fsize`. The shell makes the server
    /// ignore SIGXFSZ, which would kill the server at the limit.
    pub(crate) fn start_on_small_disk(settings: &[(&str, &str)]) -> Self {
        Self::run(Arc::new(tempfile::tempdir().unwrap()), with_defaults(settings), |directory, settings| {
            let mut shell = program("/bin/sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\"", SERVER]);
            shell.current_dir(directory).env_clear().envs(settings).stdin(Stdio::null());
            shell
        })
    }

    fn run(directory: Arc<TempDir>, mut settings: Settings, command: fn(&Path, &Settings) -> Command) -> Self {
        assert!(published_port().is_none(), "only tests in contract/ can run on a deployment");
        let certificates = add_certificates(&mut settings);
        add_signing_key(&mut settings, directory.path());
        let mut command = command(directory.path(), &settings);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(command);
        let output = Arc::new(Mutex::new(Vec::new()));
        let collectors = vec![
            collect(process.child().stdout.take().unwrap(), Arc::clone(&output)),
            collect(process.child().stderr.take().unwrap(), Arc::clone(&output)),
        ];
        let mut app = Self {
            port: 0,
            process: Some(process),
            output,
            collectors,
            settings,
            directory,
            redis: None,
            _certificates: certificates,
        };
        // A server computes one hash before it listens, which takes a while with the costliest parameters.
        wait_longer(60, "the server listens", || {
            if let Some(status) = app.process().status() {
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

    /// Kills the server and starts it again, with the same settings and data, on a new port.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.kill();
        self.restart()
    }

    /// Restarts a server that has ended, with the same settings and data, on a new port.
    pub(crate) fn restart(self) -> Self {
        let (directory, settings) = (Arc::clone(&self.directory), self.settings.clone());
        let mut app = Self::run(directory, settings, command);
        app.redis.clone_from(&self.redis);
        app
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().pid()
    }

    pub(crate) fn working_directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// All that the server has printed so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// The log lines so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.output.lock().unwrap().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The log lines of requests, in the order of their answers.
    pub(crate) fn request_log(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["message"] == "request").collect()
    }

    /// A size from `/proc/PID/status` in MiB, such as `VmRSS`. Linux only.
    pub(crate) fn memory(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process().kill();
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits until the server has ended by itself and all that it printed is in [`TestApp::output`].
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.process().wait();
        for collector in self.collectors.drain(..) {
            collector.join().unwrap();
        }
        status
    }

    /// Runs the command line with this server's settings and data.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        command(self.directory.path(), &self.settings).args(arguments).output().unwrap()
    }

    /// Like [`TestApp::cli`], with this text on standard input.
    pub(crate) fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = command(self.directory.path(), &self.settings);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = thread::spawn(move || {
            // The command may end before it has read everything.
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    /// Stops a server on the embedded store, because only one process can open this store.
    pub(crate) fn aside(mut self, store: Store) -> Self {
        if store == Store::Embedded {
            self.kill();
        }
        self
    }

    /// Restarts the server if [`TestApp::aside`] has stopped it.
    pub(crate) fn back(self, store: Store) -> Self {
        if store == Store::Embedded { self.restart() } else { self }
    }
}

/// The port of a deployment that `deploy/test-docker.sh` has started, for the tests in `contract/`.
fn published_port() -> Option<u16> {
    Some(std::env::var("TEST_PUBLISHED_PORT").ok()?.parse().unwrap())
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lock().unwrap().push(line);
        }
    })
}
