//! Clients that never pause while a primary is killed, frozen, handed over and cut off, and a record of what they were
//! told: what was acknowledged must still be so after each round and at the end. Tokens live for a day, so that none is
//! refused for its age.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    app::{PASSWORD, TestApp, unique_email},
    raw::{self, Answer},
    redis_server::{wait_longer, wait_until},
    runner::alone,
    suite,
    topologies::{self, wait_for_replicas},
    topology::{Cluster, SERVICE, Sentinels},
};

suite! {
    redis: [nothing_acknowledged_is_lost_under_sentinels, nothing_acknowledged_is_lost_in_a_cluster]
}

const CLIENTS: usize = 4;
/// How long clients go on before and after each trouble.
const BREATH: Duration = Duration::from_millis(700);
/// The session that is there before each trouble, on the server that the trouble comes to.
const WATCHED: &str = "watched user";
/// The second in which a client hears of an outage, and what a machine that runs all of this may add.
const PATIENCE: Duration = Duration::from_millis(1_500);

impl Tokens {
    fn of(session: &Answer) -> Self {
        let body = session.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// Ours, on what the test breaks.
fn start(url: &str) -> TestApp {
    let day = "86400";
    let settings = [
        ("REDIS_WAIT_REPLICAS", &*wait_replicas()),
        ("ACCESS_TOKEN_TTL_SECONDS", day),
        ("REFRESH_TOKEN_TTL_SECONDS", day),
    ];
    TestApp::start_on(url, &settings)
}

/// `RECORDER_ROUNDS`: 4 unless set, one of each trouble.
fn rounds() -> usize {
    std::env::var("RECORDER_ROUNDS").map_or(4, |text| text.parse().unwrap())
}

/// `RECORDER_WAIT_REPLICAS`: 1 unless set. With 0 losses are counted and allowed.
fn wait_replicas() -> String {
    std::env::var("RECORDER_WAIT_REPLICAS").unwrap_or_else(|_| "1".to_owned())
}

/// Of one sign-in.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

/// What clients were told.
#[derive(Default)]
struct Record {
    /// By route and status or code.
    answers: BTreeMap<String, usize>,
    signed_up: Vec<String>,
    /// Removed with an acknowledgement.
    removed: Vec<Tokens>,
    /// How many of those were looked at, and how many were accepted then.
    checked: usize,
    undone: usize,
    /// Answers that no trouble excuses.
    wrong: Vec<String>,
    slowest: Duration,
    slowest_failure: Duration,
    /// When the watched session last had success, and the longest time that it had none.
    last_success: Option<Instant>,
    longest_silence: Duration,
}

impl Record {
    fn note(&mut self, what: &str, answer: Option<&Answer>, took: Duration) {
        let outcome = match answer {
            None => "no answer".to_owned(),
            Some(answer) if answer.status >= 400 => {
                format!("{} {}", answer.status, answer.json()["code"].as_str().unwrap_or_default())
            }
            Some(answer) if what == WATCHED => {
                let silence = self.last_success.map_or(Duration::ZERO, |last| last.elapsed());
                self.longest_silence = self.longest_silence.max(silence);
                self.last_success = Some(Instant::now());
                answer.status.to_string()
            }
            Some(answer) => answer.status.to_string(),
        };
        *self.answers.entry(format!("{what}: {outcome}")).or_default() += 1;
        self.slowest = self.slowest.max(took);
        if answer.is_none_or(|answer| answer.status >= 500) {
            self.slowest_failure = self.slowest_failure.max(took);
        }
        if answer.is_none_or(|answer| answer.status == 500) {
            self.wrong.push(format!("{what}: {answer:?}"));
        }
    }
}

struct Recorder<'a> {
    app: &'a TestApp,
    record: Mutex<Record>,
    stop: AtomicBool,
    /// A session from before the trouble, which the replicas have: while it lasts it is never refused.
    watched: Mutex<Option<Tokens>>,
}

impl<'a> Recorder<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self { app, record: Mutex::default(), stop: AtomicBool::new(false), watched: Mutex::default() }
    }

    fn ask(&self, what: &str, bytes: &[u8]) -> Option<Answer> {
        let start = Instant::now();
        let answer = raw::exchange(self.app.port(), bytes);
        self.record.lock().unwrap().note(what, answer.as_ref(), start.elapsed());
        answer
    }

    fn post(&self, what: &str, method: &str, path: &str, body: &serde_json::Value) -> Option<Answer> {
        let headers = [("Content-Type", "application/json")];
        self.ask(what, &raw::request(method, path, &headers, Some(&body.to_string())))
    }

    fn refresh(&self, token: &str) -> Option<Answer> {
        self.post("refresh", "POST", "/refresh-access-token", &json!({"refresh_token": token}))
    }

    fn get_user(&self, token: &str) -> Option<Answer> {
        self.ask("user", &raw::request("GET", "/user", &[("Authorization", token)], None))
    }

    /// Sign up, sign in, look, refresh, and every other time remove; again and again.
    fn run_client(&self) {
        let mut count = 0;
        while !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let email = unique_email();
            let account = json!({"email": email, "password": PASSWORD});
            // A client sends again what was not acknowledged.
            let mut answer = self.post("sign up", "POST", "/signup", &account);
            for _ in 0..8 {
                if answer.as_ref().is_some_and(|answer| answer.status != 503) {
                    break;
                }
                answer = self.post("sign up again", "POST", "/signup", &account);
            }
            if answer.as_ref().is_some_and(|answer| answer.status == 409) {
                self.record.lock().unwrap().wrong.push(format!("the same sign-up again is {answer:?}"));
            }
            if answer.is_none_or(|answer| answer.status != 201) {
                continue;
            }
            self.record.lock().unwrap().signed_up.push(email.clone());
            let Some(session) = self.post("sign in", "POST", "/authenticate", &account) else { continue };
            if session.status != 200 {
                continue;
            }
            let tokens = Tokens::of(&session);
            self.get_user(&tokens.access);
            self.refresh(&tokens.refresh);
            if count % 2 == 0 {
                let removal = self.post("remove", "DELETE", "/access-token", &json!({"email": email}));
                if removal.is_some_and(|answer| answer.status == 200) {
                    self.record.lock().unwrap().removed.push(tokens);
                }
            }
        }
    }

    /// Runs clients while `trouble` comes and goes.
    fn run(&self, trouble: impl FnOnce()) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.run_client());
            }
            scope.spawn(|| self.watch());
            trouble();
            self.stop.store(true, Ordering::Relaxed);
        });
    }

    /// Asks for the watched session's user without pause.
    fn watch(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(Tokens { access, .. }) = self.watched.lock().unwrap().clone() else {
                sleep(Duration::from_millis(5));
                continue;
            };
            let request = raw::request("GET", "/user", &[("Authorization", &access)], None);
            let answer = self.ask(WATCHED, &request);
            if !answer.as_ref().is_some_and(|answer| [200, 503].contains(&answer.status)) {
                self.record.lock().unwrap().wrong.push(format!("the watched session's user is {answer:?}"));
            }
        }
    }

    /// Opens the session to watch in the round that begins, and has `replicate` wait until the replicas have it.
    fn begin_round(&self, replicate: impl Fn(&str)) -> String {
        let email = unique_email();
        let account = json!({"email": email, "password": PASSWORD});
        self.insist(|| self.post("sign up", "POST", "/signup", &account).filter(|answer| answer.status == 201));
        let session = self.insist(|| self.post("sign in", "POST", "/authenticate", &account));
        replicate(&email);
        *self.watched.lock().unwrap() = Some(Tokens::of(&session));
        self.record.lock().unwrap().last_success = None;
        email
    }

    /// No token that was removed before now is accepted.
    fn end_round(&self) {
        let removed = {
            let mut record = self.record.lock().unwrap();
            let from = record.checked;
            record.checked = record.removed.len();
            record.removed[from..].to_vec()
        };
        let undone = removed.iter().filter(|tokens| self.is_accepted(tokens)).count();
        self.record.lock().unwrap().undone += undone;
    }

    fn is_accepted(&self, tokens: &Tokens) -> bool {
        let quiet = |method, path, headers: &[(&str, &str)], body: Option<String>| {
            let headers = [headers, &[("Content-Type", "application/json")]].concat();
            let request = raw::request(method, path, &headers, body.as_deref());
            self.insist(|| raw::exchange(self.app.port(), &request)).status
        };
        let refresh = json!({"refresh_token": tokens.refresh}).to_string();
        quiet("GET", "/user", &[("Authorization", &tokens.access)], None) == 200
            || quiet("POST", "/refresh-access-token", &[], Some(refresh)) == 200
    }

    /// Asks again until there is an answer that is no 503.
    fn insist(&self, ask: impl Fn() -> Option<Answer>) -> Answer {
        let mut answer = None;
        wait_longer(20, "there is an answer", || {
            answer = ask().filter(|answer| answer.status != 503);
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Every acknowledged sign-up signs in, and no removed token is accepted.
    fn assert_nothing_lost(&self, name: &str) {
        let record = std::mem::take(&mut *self.record.lock().unwrap());
        let lost = record.signed_up.iter().filter(|email| {
            let account = json!({"email": email, "password": PASSWORD});
            self.insist(|| self.post("", "POST", "/authenticate", &account)).status != 200
        });
        let lost = lost.count();
        let alive = record.removed.iter().filter(|tokens| self.is_accepted(tokens)).count();
        let sent: usize = record.answers.values().sum();
        eprintln!(
            "recorder, {name}, {} rounds, REDIS_WAIT_REPLICAS={}: {sent} requests; {} sign-ups acknowledged, {lost} lost; \
             {} removals acknowledged, {} accepted after the round, {alive} at the end; longest without service {:.1} s; \
             slowest answer {:.1} s, slowest failure {:.1} s; {} wrong",
            rounds(),
            wait_replicas(),
            record.signed_up.len(),
            record.removed.len(),
            record.undone,
            record.longest_silence.as_secs_f64(),
            record.slowest.as_secs_f64(),
            record.slowest_failure.as_secs_f64(),
            record.wrong.len(),
        );
        for (what, count) in &record.answers {
            eprintln!("  {count:6} {what}");
        }
        assert!(record.signed_up.len() > 20 && record.removed.len() > 5, "too little happened");
        assert!(!self.app.output().contains("panicked"), "{}", self.app.output());
        assert!(record.slowest_failure < PATIENCE, "a failure took {:?}", record.slowest_failure);
        if wait_replicas() != "0" {
            assert_eq!((lost, record.undone, alive), (0, 0, 0), "acknowledged and lost");
            assert!(record.wrong.is_empty(), "{:#?}", record.wrong);
        }
    }
}

fn nothing_acknowledged_is_lost_under_sentinels() {
    let _turn = alone();
    let mut sentinels = Sentinels::start();
    let app = start(&sentinels.url());
    let recorder = Recorder::new(&app);
    recorder.run(|| {
        for round in 0..rounds() {
            sleep(BREATH);
            let primary = sentinels.primary();
            recorder.begin_round(|_| assert_eq!(wait_for_replicas(&sentinels.servers[primary]), 2));
            match round % 4 {
                0 => {
                    sentinels.servers[primary].kill();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.servers[primary].restart();
                }
                1 => {
                    sentinels.servers[primary].freeze();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.servers[primary].thaw();
                }
                2 => {
                    let () = sentinels.ask(0, &["FAILOVER", SERVICE]).unwrap();
                    sentinels.wait_for_failover(primary);
                }
                _ => {
                    sentinels.networks[primary].cut_off();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.networks[primary].mend();
                }
            }
            wait_longer(60, "all servers are back", || sentinels.is_whole());
            recorder.end_round();
        }
        sleep(BREATH);
    });
    recorder.assert_nothing_lost("Sentinel");
}

fn nothing_acknowledged_is_lost_in_a_cluster() {
    let _turn = alone();
    let mut cluster =
        Cluster::start(&["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"]);
    let app = start(&cluster.url());
    let recorder = Recorder::new(&app);
    recorder.run(|| {
        for round in 0..rounds() {
            sleep(BREATH);
            let email = recorder.begin_round(|email| cluster.wait_for_replica(&topologies::key(email)));
            let key = topologies::key(&email);
            let primary = cluster.owner(0, &key);
            match round % 4 {
                0 => {
                    cluster.servers[primary].kill();
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.servers[primary].restart();
                }
                2 => {
                    let replica = cluster.replica_of(primary);
                    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER"]);
                    cluster.wait_for_failover(primary, &key);
                }
                // The nodes still hear each other, so that nobody takes over by itself.
                3 => {
                    let replica = cluster.replica_of(primary);
                    cluster.networks[primary].cut_off();
                    sleep(BREATH);
                    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER", "FORCE"]);
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.networks[primary].mend();
                }
                _ => {
                    cluster.servers[primary].freeze();
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.servers[primary].thaw();
                }
            }
            wait_longer(60, "all servers are back", || cluster.is_whole());
            recorder.end_round();
        }
        sleep(BREATH);
    });
    wait_until("the cluster is whole", || cluster.is_whole());
    recorder.assert_nothing_lost("Cluster");
}
