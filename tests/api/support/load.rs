//! Steady traffic of several clients, and the outcome of each request.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    app::TestApp,
    client::{PASSWORD, unique_email},
    raw::{self, Answer, Connection},
    session::Session,
    wait::{wait_longer, wait_until},
};

pub(crate) const CLIENTS: usize = 8;
/// The pause between two requests of a client. It keeps the load steady and below the capacity of the machine.
const PAUSE: Duration = Duration::from_millis(5);
/// A client signs in again after this time, before its access token expires.
const TOKENS_AGE: Duration = Duration::from_secs(40);

/// Clients on one port. Each reads its profile, and at times refreshes its access token or signs in again.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    /// How often each client has signed in again.
    sign_ins: Vec<Arc<AtomicUsize>>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

struct Sent {
    path: &'static str,
    /// `None` when the connection was closed without an answer.
    status: Option<u16>,
}

/// The outcome of all requests.
pub(crate) struct Report(Vec<Sent>);

impl Report {
    /// The path and status of each request whose answer was not 200.
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
    Session::of(&email, &post(port, "/authenticate", &account).unwrap())
}

impl Load {
    /// Starts the clients. Returns when every client has signed in and the server answers requests.
    pub(crate) fn start(port: u16) -> Self {
        Self::start_with(port, TOKENS_AGE)
    }

    /// Like [`Load::start`], with clients that sign in again after `tokens_age`.
    pub(crate) fn start_with(port: u16, tokens_age: Duration) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let sign_ins: Vec<_> = (0..CLIENTS).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let clients = sign_ins.iter().enumerate().map(|(n, sign_ins)| {
            let session = new_session(port);
            let (stop, answered, sign_ins) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(sign_ins));
            // Half of the clients keep their connection open.
            let client = Client { port, keeps: n % 2 == 0, tokens_age, sign_ins };
            thread::spawn(move || client.run(session, &stop, &answered))
        });
        let load = Self { clients: clients.collect(), sign_ins, stop, answered };
        load.wait_for_more();
        load
    }

    /// Waits until 50 more requests of each client are answered.
    pub(crate) fn wait_for_more(&self) {
        let goal = self.answered.load(Ordering::Relaxed) + 50 * CLIENTS;
        wait_longer(60, "requests are answered", || self.answered.load(Ordering::Relaxed) >= goal);
    }

    /// Waits until no client uses a token of an earlier sign-in.
    pub(crate) fn wait_for_new_tokens(&self) {
        let count = || self.sign_ins.iter().map(|sign_ins| sign_ins.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = count();
        let all = || count().iter().zip(&before).all(|(now, before)| now > before);
        wait_longer(120, "every client has signed in again", all);
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

    fn nth(&self, n: usize, tokens_age: Duration) -> (&'static str, &[u8]) {
        match n {
            _ if self.signed_in.elapsed() > tokens_age => ("/authenticate", &self.authenticate),
            n if n % 50 == 49 => ("/authenticate", &self.authenticate),
            n if n % 10 == 9 => ("/refresh-access-token", &self.refresh),
            _ => ("/user", &self.user),
        }
    }
}

struct Client {
    port: u16,
    /// Whether the client keeps its connection open.
    keeps: bool,
    tokens_age: Duration,
    sign_ins: Arc<AtomicUsize>,
}

impl Client {
    fn run(&self, mut session: Session, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<Sent> {
        let (mut requests, mut sent, mut connection) = (Requests::of(&session), Vec::new(), None);
        while !stop.load(Ordering::Relaxed) {
            let (path, request) = requests.nth(sent.len(), self.tokens_age);
            let open: &mut Connection = connection.get_or_insert_with(|| Connection::open(self.port));
            let answer = open.write(request).ok().and_then(|()| open.read());
            // A server or a proxy may close a kept connection after any answer, if the answer says so.
            let stays = answer.as_ref().is_some_and(|answer| answer.header("connection") != Some("close"));
            if !stays || !self.keeps {
                connection = None;
            }
            let status = answer.as_ref().map(|answer| answer.status);
            if let (Some(answer), "/authenticate", Some(200)) = (answer, path, status) {
                session = Session::of(&session.email, &answer);
                requests = Requests::of(&session);
                self.sign_ins.fetch_add(1, Ordering::Relaxed);
            }
            sent.push(Sent { path, status });
            answered.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE);
        }
        sent
    }
}

/// Freezes a replica and then kills it, so that requests are in flight on this replica. Asserts that the load balancer
/// sends reads to another replica, and does not repeat sign-ups.
pub(crate) fn kill_in_flight(port: u16, freeze: impl FnOnce(), kill: impl FnOnce()) {
    let session = new_session(port);
    let accounts: Vec<_> = (0..8).map(|_| json!({"email": unique_email(), "password": PASSWORD})).collect();
    let read = raw::request("GET", "/user", &[("Authorization", &session.access_token)], None);
    freeze();
    let statuses: Vec<_> = thread::scope(|scope| {
        let reads: Vec<_> = (0..8).map(|_| scope.spawn(|| raw::exchange(port, &read).map(|a| a.status))).collect();
        let write = |account| scope.spawn(move || post(port, "/signup", account).unwrap());
        let writes: Vec<_> = accounts.iter().map(write).collect();
        let (mut before, mut since) = ((0, 0), Instant::now());
        wait_until("only requests on the frozen replica are left", || {
            let reading = reads.iter().filter(|read| !read.is_finished()).count();
            let writing = writes.iter().filter(|write| !write.is_finished()).count();
            if before != (reading, writing) {
                (before, since) = ((reading, writing), Instant::now());
            }
            reading > 0 && writing > 0 && since.elapsed() > Duration::from_secs(1)
        });
        eprintln!("in flight on the replica that is killed: {} reads and {} sign-ups", before.0, before.1);
        kill();
        for read in reads {
            assert_eq!(read.join().unwrap(), Some(200), "a read is sent to another replica");
        }
        writes.into_iter().map(|write| write.join().unwrap().status).collect()
    });
    assert!(statuses.contains(&502), "{statuses:?}");
    for (account, status) in accounts.iter().zip(statuses) {
        // If the load balancer had repeated a sign-up that got a 502, the account would already exist.
        let expected = match status {
            201 => 409,
            502 => 201,
            other => panic!("{other}"),
        };
        assert_eq!(post(port, "/signup", account).unwrap().status, expected);
    }
}

/// Signs up new emails from many threads until the server is gone. Returns the emails whose answer was 201.
pub(crate) fn flood_of_signups(app: &TestApp, stop: impl FnOnce()) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let email = unique_email();
                    let body = json!({"email": email, "password": PASSWORD}).to_string();
                    let headers = [("Content-Type", "application/json")];
                    let request = raw::request("POST", "/signup", &headers, Some(&body));
                    match raw::exchange(app.port(), &request) {
                        Some(answer) if answer.status == 201 => acknowledged.lock().unwrap().push(email),
                        // The server cannot compute all hashes before the deadline.
                        Some(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                        None => return,
                    }
                }
            });
        }
        wait_until("sign-ups are answered", || acknowledged.lock().unwrap().len() >= 60);
        stop();
    });
    acknowledged.into_inner().unwrap()
}
