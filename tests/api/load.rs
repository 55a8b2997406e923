//! Steady traffic of several clients, and what became of each request.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    app::{PASSWORD, Session, unique_email},
    raw::{self, Answer, Connection},
    redis_server::wait_longer,
};

pub(crate) const CLIENTS: usize = 8;
/// Between two requests of a client: the load is steady, and no test of how much the machine can do.
const PAUSE: Duration = Duration::from_millis(5);
/// After which a client signs in again: an access token lives 60 seconds.
const TOKENS_AGE: Duration = Duration::from_secs(40);

/// Clients of one port; each asks for its profile, and now and then refreshes its access token or signs in again.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

struct Sent {
    path: &'static str,
    /// `None` when the connection was closed without an answer.
    status: Option<u16>,
}

/// What became of the requests.
pub(crate) struct Report(Vec<Sent>);

impl Report {
    /// Statuses other than 200, with their path.
    pub(crate) fn failures(&self) -> Vec<(&'static str, Option<u16>)> {
        self.0.iter().filter(|sent| sent.status != Some(200)).map(|sent| (sent.path, sent.status)).collect()
    }

    #[track_caller]
    pub(crate) fn assert_none_failed(&self) {
        assert!(self.failures().is_empty(), "{self}: {:?}", self.failures());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests sent, {} failed", self.0.len(), self.failures().len())
    }
}

/// Sends one JSON request on a connection of its own.
pub(crate) fn post(port: u16, path: &str, body: &serde_json::Value) -> Option<Answer> {
    let request = raw::request("POST", path, &[("Content-Type", "application/json")], Some(&body.to_string()));
    raw::exchange(port, &request)
}

/// A new account, signed in through `port`.
pub(crate) fn new_session(port: u16) -> Session {
    let email = unique_email();
    let account = json!({"email": email, "password": PASSWORD});
    assert_eq!(post(port, "/signup", &account).unwrap().status, 201);
    session_in(&post(port, "/authenticate", &account).unwrap(), email)
}

/// What a sign-in answered.
fn session_in(answer: &Answer, email: String) -> Session {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    Session { email, access_token: text("access_token"), refresh_token: text("refresh_token") }
}

impl Load {
    /// Returns when every client has signed in and traffic flows.
    pub(crate) fn start(port: u16) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|n| {
            let session = new_session(port);
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            // Half of them keep their connection.
            thread::spawn(move || client(port, session, n % 2 == 0, &stop, &answered))
        });
        let load = Self { clients: clients.collect(), stop, answered };
        load.wait_for_more();
        load
    }

    /// Waits until a good deal more has been answered.
    pub(crate) fn wait_for_more(&self) {
        let goal = self.answered.load(Ordering::Relaxed) + 50 * CLIENTS;
        wait_longer(60, "requests are answered", || self.answered.load(Ordering::Relaxed) >= goal);
    }

    pub(crate) fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        Report(self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
    }
}

/// What a client sends, with the tokens of its last sign-in.
struct Requests {
    user: Vec<u8>,
    refresh: Vec<u8>,
    authenticate: Vec<u8>,
    signed_in: Instant,
}

impl Requests {
    fn of(session: &Session) -> Self {
        let json = [("Content-Type", "application/json")];
        let post = |path, body: &serde_json::Value| raw::request("POST", path, &json, Some(&body.to_string()));
        Self {
            user: raw::request("GET", "/user", &[("Authorization", &session.access_token)], None),
            refresh: post("/refresh-access-token", &json!({"refresh_token": session.refresh_token})),
            authenticate: post("/authenticate", &json!({"email": session.email, "password": PASSWORD})),
            signed_in: Instant::now(),
        }
    }

    fn nth(&self, n: usize) -> (&'static str, &[u8]) {
        match n {
            _ if self.signed_in.elapsed() > TOKENS_AGE => ("/authenticate", &self.authenticate),
            n if n % 10 == 9 => ("/refresh-access-token", &self.refresh),
            _ => ("/user", &self.user),
        }
    }
}

fn client(port: u16, mut session: Session, keeps: bool, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<Sent> {
    let (mut requests, mut sent, mut connection) = (Requests::of(&session), Vec::new(), None);
    while !stop.load(Ordering::Relaxed) {
        let (path, request) = requests.nth(sent.len());
        let open: &mut Connection = connection.get_or_insert_with(|| Connection::open(port));
        let answer = open.write(request).ok().and_then(|()| open.read());
        if answer.is_none() || !keeps {
            connection = None;
        }
        let status = answer.as_ref().map(|answer| answer.status);
        if let (Some(answer), "/authenticate", Some(200)) = (answer, path, status) {
            session = session_in(&answer, session.email);
            requests = Requests::of(&session);
        }
        sent.push(Sent { path, status });
        answered.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE);
    }
    sent
}
