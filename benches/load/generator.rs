//! The load generators: wrk for throughput (closed loop), oha for latency at a given rate (open loop). oha measures a
//! latency from the moment when the request was due, so a stall of the server always shows.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde::Deserialize;
use serde_json::Value;

use crate::scene::directory;

/// A file of requests that wrk sends in turn.
pub(crate) struct Requests(PathBuf);

impl Requests {
    /// Each request is a method, a path, an access token and a body; the last two may be empty. See wrk.lua.
    pub(crate) fn new(name: &str, requests: impl IntoIterator<Item = [String; 4]>) -> Self {
        let path = directory().join(format!("{name}.requests"));
        let mut file = BufWriter::new(File::create(&path).unwrap());
        for request in requests {
            writeln!(file, "{}", request.join("\t")).unwrap();
        }
        file.flush().unwrap();
        Self(path)
    }

    /// Renames the file, so that other requests can use the old name.
    pub(crate) fn renamed(self, name: &str) -> Self {
        let path = directory().join(format!("{name}.requests"));
        fs::rename(self.0, &path).unwrap();
        Self(path)
    }
}

/// The result of wrk.
#[derive(Debug, Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    broken: u64,
    refused: u64,
    statuses: Vec<BTreeMap<String, u64>>,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The number of answers with this status, for a load that [`Wrk::counting`] started.
    pub(crate) fn count(&self, status: u16) -> u64 {
        self.statuses.iter().filter_map(|counts| counts.get(&status.to_string())).sum()
    }
}

/// A running wrk.
pub(crate) struct Wrk(Child);

impl Wrk {
    fn start(port: u16, requests: &Requests, connections: usize, seconds: u64, count: bool) -> Self {
        let threads = connections.min(2).to_string();
        let mut command = Command::new("wrk");
        command.args(["-t", &threads, "-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
        command.args([
            "--timeout",
            "10s",
            "--latency",
            "-s",
            concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/wrk.lua"),
        ]);
        command.arg(format!("http://127.0.0.1:{port}")).arg("--").arg(&requests.0);
        if count {
            command.arg("count");
        }
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Starts a load that expects answers of any status, and counts them by status.
    pub(crate) fn counting(port: u16, requests: &Requests, connections: usize, seconds: u64) -> Self {
        Self::start(port, requests, connections, seconds, true)
    }

    pub(crate) fn finish(self) -> Load {
        let output = self.0.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line =
            text.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or_else(|| panic!("wrk printed: {text}"));
        serde_json::from_str(line).unwrap()
    }
}

/// Sends as many requests as possible. All must succeed, because a failure has a different cost.
pub(crate) fn closed_loop(port: u16, requests: &Requests, connections: usize, seconds: u64) -> Load {
    let load = Wrk::start(port, requests, connections, seconds, false).finish();
    assert!(load.broken == 0 && load.refused == 0 && load.requests > 0, "requests failed: {load:?}");
    load
}

/// Percentiles of latency in milliseconds at a given rate.
pub(crate) struct Latency {
    /// Pairs of a percentile, from 10 to 99.99, and milliseconds.
    pub(crate) percentiles: Vec<(f64, f64)>,
}

impl Latency {
    pub(crate) fn at(&self, percentile: f64) -> f64 {
        self.percentiles.iter().find(|(at, _)| (at - percentile).abs() < 1e-6).unwrap().1
    }
}

/// Sends GET requests at `rate` a second. All must succeed.
pub(crate) fn open_loop(port: u16, path: &str, token: &str, rate: u32, seconds: u64) -> Latency {
    let mut command = Command::new(directory().join("tools/bin/oha"));
    command.args(["--no-tui", "--output-format", "json", "--latency-correction", "-c", "64"]);
    command.args(["-q", &rate.to_string(), "-z", &format!("{seconds}s")]);
    if !token.is_empty() {
        command.args(["-H", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.arg(format!("http://127.0.0.1:{port}{path}")).stderr(Stdio::null()).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let statuses = answer["statusCodeDistribution"].as_object().unwrap();
    assert!(statuses.keys().all(|status| status == "200"), "requests failed: {statuses:?}");
    let sent: u64 = statuses.values().filter_map(Value::as_u64).sum();
    let due = u64::from(rate) * seconds;
    assert!(sent * 100 >= due * 90, "oha sent {sent} of {due} requests: the machine is too busy for this rate");
    let percentile =
        |(name, seconds): (&String, &Value)| Some((name.strip_prefix('p')?.parse().ok()?, seconds.as_f64()? * 1e3));
    let mut percentiles: Vec<(f64, f64)> =
        answer["latencyPercentiles"].as_object().unwrap().iter().filter_map(percentile).collect();
    percentiles.sort_by(|one, other| one.0.total_cmp(&other.0));
    Latency { percentiles }
}
