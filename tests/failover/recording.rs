//! Clients that send requests without pause while servers fail, and a record of the answers.

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

use crate::support::{Answer, PASSWORD, TestApp, raw, unique_email, wait_longer};

const CLIENTS: usize = 4;
/// How long the load continues before and after each failure.
pub(super) const BREATH: Duration = Duration::from_millis(700);
/// The name of the requests that use the watched session.
const WATCHED: &str = "watched user";
/// A client gets a 503 within one second. The rest allows for a busy machine.
const PATIENCE: Duration = Duration::from_millis(1_500);

impl Tokens {
    fn of(session: &Answer) -> Self {
        let body = session.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// A server with long lifetimes, so that no token expires.
pub(super) fn start(url: &str) -> TestApp {
    let day = "86400";
    let settings = [
        ("REDIS_WAIT_REPLICAS", &*wait_replicas()),
        ("ACCESS_TOKEN_TTL_SECONDS", day),
        ("REFRESH_TOKEN_TTL_SECONDS", day),
    ];
    TestApp::start_on(url, &settings)
}

/// `RECORDER_ROUNDS`: 4 by default, one for each kind of failure.
pub(super) fn rounds() -> usize {
    std::env::var("RECORDER_ROUNDS").map_or(4, |text| text.parse().unwrap())
}

/// `RECORDER_WAIT_REPLICAS`: 1 by default. With 0, the test counts lost writes, but does not fail.
fn wait_replicas() -> String {
    std::env::var("RECORDER_WAIT_REPLICAS").unwrap_or_else(|_| "1".to_owned())
}

/// The tokens of one sign-in.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

/// The answers that clients got.
#[derive(Default)]
struct Record {
    /// Number of answers by route and status or code.
    answers: BTreeMap<String, usize>,
    signed_up: Vec<String>,
    /// The tokens whose removal the server has acknowledged.
    removed: Vec<Tokens>,
    /// How many of the removed tokens a check has tried.
    checked: usize,
    /// How many of the checked tokens the server still accepted.
    undone: usize,
    /// Answers that no failure excuses.
    wrong: Vec<String>,
    slowest: Duration,
    slowest_failure: Duration,
    /// When a request of the watched session last succeeded, and the longest time between two successes.
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

pub(super) struct Recorder<'a> {
    app: &'a TestApp,
    record: Mutex<Record>,
    stop: AtomicBool,
    /// A session that the replicas have before the failure, so the server must never refuse it.
    watched: Mutex<Option<Tokens>>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
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

    /// Signs up, signs in, reads the profile, refreshes, and in every second round removes the tokens, in a loop.
    fn run_client(&self) {
        let mut count = 0;
        while !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let email = unique_email();
            let account = json!({"email": email, "password": PASSWORD});
            // A client repeats a sign-up that was not acknowledged.
            let mut answer = self.post("sign up", "POST", "/signup", &account);
            for _ in 0..8 {
                if answer.as_ref().is_some_and(|answer| answer.status != 503) {
                    break;
                }
                answer = self.post("sign up again", "POST", "/signup", &account);
            }
            if answer.as_ref().is_some_and(|answer| answer.status == 409) {
                self.record.lock().unwrap().wrong.push(format!("the repeated sign-up got {answer:?}"));
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

    /// Runs clients as long as `failures` runs.
    pub(super) fn run(&self, failures: impl FnOnce()) {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.run_client());
            }
            scope.spawn(|| self.watch());
            failures();
            self.stop.store(true, Ordering::Relaxed);
        });
    }

    /// Reads the profile of the watched session without pause.
    fn watch(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(Tokens { access, .. }) = self.watched.lock().unwrap().clone() else {
                sleep(Duration::from_millis(5));
                continue;
            };
            let request = raw::request("GET", "/user", &[("Authorization", &access)], None);
            let answer = self.ask(WATCHED, &request);
            if !answer.as_ref().is_some_and(|answer| [200, 503].contains(&answer.status)) {
                self.record.lock().unwrap().wrong.push(format!("the watched session: {answer:?}"));
            }
        }
    }

    /// Opens the watched session of this round. `replicate` waits until the replicas have it.
    pub(super) fn begin_round(&self, replicate: impl Fn(&str)) -> String {
        let email = unique_email();
        let account = json!({"email": email, "password": PASSWORD});
        self.insist(|| self.post("sign up", "POST", "/signup", &account).filter(|answer| answer.status == 201));
        let session = self.insist(|| self.post("sign in", "POST", "/authenticate", &account));
        replicate(&email);
        *self.watched.lock().unwrap() = Some(Tokens::of(&session));
        self.record.lock().unwrap().last_success = None;
        email
    }

    /// Counts the removed tokens that the server still accepts.
    pub(super) fn end_round(&self) {
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

    /// Repeats the request until the answer is not 503.
    fn insist(&self, ask: impl Fn() -> Option<Answer>) -> Answer {
        let mut answer = None;
        wait_longer(20, "the answer is not 503", || {
            answer = ask().filter(|answer| answer.status != 503);
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Asserts that every user with an acknowledged sign-up can sign in, and that the server accepts no removed token.
    pub(super) fn assert_nothing_lost(&self, name: &str) {
        let record = std::mem::take(&mut *self.record.lock().unwrap());
        let lost = record.signed_up.iter().filter(|email| {
            let account = json!({"email": email, "password": PASSWORD});
            self.insist(|| self.post("", "POST", "/authenticate", &account)).status != 200
        });
        let lost = lost.count();
        let alive = record.removed.iter().filter(|tokens| self.is_accepted(tokens)).count();
        let sent: usize = record.answers.values().sum();
        eprintln!(
            "recorder, {name}, {} rounds, REDIS_WAIT_REPLICAS={}: {sent} requests; {} sign-ups acknowledged, {lost} \
             lost; {} removals acknowledged, {} accepted after the round, {alive} at the end; longest without service \
             {:.1} s; slowest answer {:.1} s, slowest failure {:.1} s; {} wrong",
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
        assert!(record.signed_up.len() > 20 && record.removed.len() > 5, "too few writes were acknowledged");
        assert!(!self.app.output().contains("panicked"), "{}", self.app.output());
        assert!(record.slowest_failure < PATIENCE, "a failure took {:?}", record.slowest_failure);
        if wait_replicas() != "0" {
            assert_eq!((lost, record.undone, alive), (0, 0, 0), "acknowledged writes were lost");
            assert!(record.wrong.is_empty(), "{:#?}", record.wrong);
        }
    }
}
