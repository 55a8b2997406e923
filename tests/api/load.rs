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
    redis_server::wait_until,
};

pub(crate) const CLIENTS: usize = 8;
/// Between two requests of a client: the load is steady, and no test of how much the machine can do.
const PAUSE: Duration = Duration::from_millis(5);
/// Tokens live 60 seconds, and no load may go on for ever.
const LONGEST: Duration = Duration::from_secs(50);

/// Clients of one port; each asks for its profile, and now and then refreshes its access token.
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
    let body = post(port, "/authenticate", &account).unwrap().json();
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
            thread::spawn(move || client(port, &session, n % 2 == 0, &stop, &answered))
        });
        let load = Self { clients: clients.collect(), stop, answered };
        load.wait_for_more();
        load
    }

    /// Waits until a good deal more has been answered.
    pub(crate) fn wait_for_more(&self) {
        let goal = self.answered.load(Ordering::Relaxed) + 50 * CLIENTS;
        wait_until("requests are answered", || self.answered.load(Ordering::Relaxed) >= goal);
    }

    pub(crate) fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        Report(self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
    }
}

fn client(port: u16, session: &Session, keeps: bool, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<Sent> {
    let bearer = format!("Bearer {}", session.access_token);
    let user = raw::request("GET", "/user", &[("Authorization", &bearer)], None);
    let refresh = json!({"refresh_token": session.refresh_token}).to_string();
    let json = [("Content-Type", "application/json")];
    let refresh = raw::request("POST", "/refresh-access-token", &json, Some(&refresh));
    let (start, mut sent, mut connection) = (Instant::now(), Vec::new(), None);
    while !stop.load(Ordering::Relaxed) && start.elapsed() < LONGEST {
        let (path, request) = if sent.len() % 10 == 9 { ("/refresh-access-token", &refresh) } else { ("/user", &user) };
        let open: &mut Connection = connection.get_or_insert_with(|| Connection::open(port));
        let status = open.write(request).ok().and_then(|()| open.read()).map(|answer| answer.status);
        if status.is_none() || !keeps {
            connection = None;
        }
        sent.push(Sent { path, status });
        answered.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE);
    }
    sent
}
