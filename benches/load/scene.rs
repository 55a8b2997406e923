//! The processes that are measured: a private Redis, the server, the floors and the peer.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::floors::{Floor, Shape};

pub(crate) const ACCESS_SECRET: &str = "an access secret of the benchmark, 32+ bytes";
pub(crate) const REFRESH_SECRET: &str = "a refresh secret of the benchmark, 32+ bytes";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Longer than a run takes, so that sessions live throughout.
pub(crate) const TTL_SECONDS: u64 = 3_600;
/// Twice the lifetime of an access token, as in the default settings.
pub(crate) const REFRESH_TTL_SECONDS: u64 = 2 * TTL_SECONDS;

/// The wall clock, in seconds since the Unix epoch.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The directory for all files that a run leaves behind.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}

/// A process that is killed when this value is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// CPU time of all threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name may contain anything, so the fields are counted from its end. User and system time are in ticks of
        // 10 ms.
        let fields: Vec<_> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// A figure of /proc/PID/status in MiB: `VmRSS` is the memory now, `VmHWM` the most so far.
    pub(crate) fn memory_mib(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn wait_until_ready(&self) {
        for _ in 0..10_000 {
            if Client::try_open(self.port).is_some_and(|mut client| client.send("GET", "/readyz", "", "").is_some()) {
                return;
            }
            sleep(Duration::from_millis(1));
        }
        panic!("nothing answers on port {}", self.port);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A private Redis without persistence.
pub(crate) struct Redis {
    process: Process,
    _directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(directory.path()).stdout(Stdio::null());
        let redis = Self { process: Process { child: command.spawn().unwrap(), port }, _directory: directory };
        for _ in 0..5_000 {
            if redis.connect().is_ok() {
                return redis;
            }
            sleep(Duration::from_millis(1));
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.process.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.process.port
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url())?.get_connection()
    }

    pub(crate) fn used_memory(&self) -> u64 {
        let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query(&mut self.connect().unwrap()).unwrap();
        info.get("used_memory").unwrap()
    }

    pub(crate) fn version(&self) -> String {
        let info: redis::InfoDict = redis::cmd("INFO").arg("server").query(&mut self.connect().unwrap()).unwrap();
        info.get("redis_version").unwrap()
    }
}

/// The server with the default settings, and its log in a file.
pub(crate) fn server(settings: &[(&str, &str)]) -> Process {
    let port = free_port();
    let log = File::create(directory().join("server.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-service"));
    command.env_clear().current_dir(directory()).stdout(log).stderr(Stdio::inherit());
    command.envs([("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)]);
    command.env("PORT", port.to_string());
    command.env("ACCESS_TOKEN_TTL_SECONDS", TTL_SECONDS.to_string());
    command.env("REFRESH_TOKEN_TTL_SECONDS", REFRESH_TTL_SECONDS.to_string());
    command.envs(settings.iter().copied());
    let process = Process { child: command.spawn().unwrap(), port };
    process.wait_until_ready();
    process
}

/// Milliseconds from exec until `/readyz` is 200.
pub(crate) fn milliseconds_until_ready(settings: &[(&str, &str)]) -> (f64, Process) {
    let start = Instant::now();
    let process = server(settings);
    (start.elapsed().as_secs_f64() * 1e3, process)
}

/// A floor, see [`crate::floors`].
pub(crate) fn floor(floor: Floor, shape: Shape, redis: &Redis) -> Process {
    let process = itself(&["floor", floor.word(), shape.word(), &redis.url()]);
    process.wait_until_ready();
    process
}

/// An API behind the middleware, see [`crate::api`].
pub(crate) fn api(server: &str) -> Process {
    itself(&["api", server])
}

/// This program with these arguments. It prints its port when it listens.
fn itself(arguments: &[&str]) -> Process {
    let mut command = Command::new(env::current_exe().unwrap());
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Process { child, port: line.trim().parse().unwrap() }
}

/// The Go server.
pub(crate) fn peer(redis: &Redis) -> Process {
    let port = free_port();
    let mut command = Command::new(directory().join("peer"));
    command.args([port.to_string(), format!("127.0.0.1:{}", redis.port())]).env("AUTH_SECRET_KEY", ACCESS_SECRET);
    let process = Process { child: command.spawn().unwrap(), port };
    process.wait_until_ready();
    process
}

/// A keep-alive connection for one request at a time.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    fn try_open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self(BufReader::new(stream)))
    }

    pub(crate) fn open(port: u16) -> Self {
        Self::try_open(port).unwrap()
    }

    /// The status of the answer, whether it has `Retry-After`, and its body. `None` when the connection ends.
    pub(crate) fn send(&mut self, method: &str, path: &str, token: &str, body: &str) -> Option<(u16, bool, String)> {
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: {token}\r\n") };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}");
        let content = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all((head + &content).as_bytes()).ok()?;
        let (mut status, mut length, mut retry_after) = (0, 0, false);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if status == 0 {
                status = line.split(' ').nth(1)?.parse().ok()?;
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            } else if line.is_empty() {
                break;
            }
            retry_after |= line.starts_with("retry-after:");
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((status, retry_after, String::from_utf8(body).ok()?))
    }
}

/// A description of this machine.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let system = read("/etc/os-release");
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let cores = thread::available_parallelism().unwrap();
    let kernel = read("/proc/sys/kernel/osrelease");
    let (cpu, system) = (cpu.trim_start_matches(['\t', ' ', ':']), system.trim_matches('"'));
    format!("{cores} cores of {cpu}, {system}, Linux {}", kernel.trim())
}
