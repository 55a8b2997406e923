//! A real Prometheus with the rules and the configuration of `deploy/monitoring`.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Process, free_port, program, wait_longer};

pub(crate) const DIRECTORY: &str = "deploy/monitoring";
/// With this speed, five minutes are ten seconds, and Prometheus scrapes twice a second.
const SPEED: u32 = 30;
/// The only threshold in the rules that is a duration of minutes.
const AGE_OF_WEBHOOK: &str = "auth_service_webhook_oldest_event_age_seconds) > ";

/// The divisor for the durations in the rules and in the configuration.
pub(crate) fn speed() -> u32 {
    static CHOSEN: LazyLock<u32> =
        LazyLock::new(|| env::var("TEST_MONITORING_SPEED").map_or(SPEED, |speed| speed.parse().unwrap()));
    *CHOSEN
}

/// A running Prometheus, killed when dropped.
pub(crate) struct Prometheus {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts a Prometheus that watches the replicas whose metrics are on these ports.
    pub(crate) fn start(replicas: &[u16]) -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let read = |name: &str| fs::read_to_string(format!("{DIRECTORY}/{name}")).unwrap();
        let write = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
        write("alerts.yml", with_younger_webhooks(&faster(&read("alerts.yml"))));
        write("prometheus.yml", faster(&with_targets(&read("prometheus.yml"), replicas)));
        let mut command = program("prometheus");
        command
            .arg(format!("--config.file={}", directory.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let prometheus = Self { port, _process: Process::start(command), _directory: directory };
        wait_longer(60, "Prometheus answers", || get(port, "/-/ready").is_some());
        prometheus
    }

    fn ask(&self, path: &str) -> Value {
        let body = get(self.port, path).unwrap_or_else(|| panic!("Prometheus does not answer {path}"));
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body:?}"));
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series that an expression gives now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask(&format!("/api/v1/query?query={}", encode(expression)));
        data["result"].as_array().unwrap().clone()
    }

    /// The names of the alerts that fire now.
    pub(crate) fn firing(&self) -> BTreeSet<String> {
        let data = self.ask("/api/v1/alerts");
        let alerts = data["alerts"].as_array().unwrap().iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// The names of the alerts that have fired since this time.
    pub(crate) fn fired(&self, since: Instant) -> BTreeSet<String> {
        let window = since.elapsed().as_millis().max(1);
        let query = format!(r#"count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{window}ms]))"#);
        let alerts = self.query(&query);
        alerts.iter().map(|series| series["metric"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// The rules as Prometheus has read them.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let data = self.ask("/api/v1/rules");
        let groups = data["groups"].as_array().unwrap().iter();
        groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    /// The names of all metrics.
    pub(crate) fn metrics(&self) -> BTreeSet<String> {
        let data = self.ask("/api/v1/label/__name__/values");
        data.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Waits until Prometheus has scraped this many replicas.
    pub(crate) fn wait_for_replicas(&self, count: usize) {
        wait_longer(60, "Prometheus scrapes the replicas", || self.query("up == 1").len() == count);
    }
}

/// Uses HTTP/1.0, because the chunks of HTTP/1.1 would need a parser.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).is_some_and(|status| status == "200").then(|| body.to_owned())
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Divides the durations by the speed: `[5m]`, and the values of `for`, `scrape_interval` and `evaluation_interval`.
fn faster(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = ["[", "for: ", "_interval: "].iter().filter_map(|before| end_of(rest, before)).min() {
        let (before, after) = rest.split_at(at);
        result += before;
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let seconds = match after[digits..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            _ => 0,
        };
        rest = after;
        if let (Ok(count), 1..) = (after[..digits].parse::<u32>(), seconds) {
            result += &format!("{}ms", count * seconds * 1_000 / speed());
            rest = &after[digits + 1..];
        }
    }
    result + rest
}

fn end_of(text: &str, before: &str) -> Option<usize> {
    text.find(before).map(|at| at + before.len())
}

/// The rules with a lower limit for the age of a webhook that waits.
fn with_younger_webhooks(rules: &str) -> String {
    let limit = format!("{AGE_OF_WEBHOOK}60\n");
    assert!(rules.contains(&limit), "no rule has the limit {limit}");
    rules.replace(&limit, &format!("{AGE_OF_WEBHOOK}{}\n", 60.0 / f64::from(speed())))
}

/// The configuration with these local ports instead of DNS names.
fn with_targets(text: &str, ports: &[u16]) -> String {
    let targets: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let lines = text.lines().map(|line| match line.trim_start() {
        "dns_sd_configs:" => "    static_configs:".to_owned(),
        names if names.starts_with("- {names:") => format!("      - {{targets: [{}]}}", targets.join(", ")),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
