//! Light traffic of clients, which goes on during faults.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

use serde_json::json;

use crate::support::{PASSWORD, Session, TestApp, load::post, raw, unique_email};

/// Requests in the background, which ignore errors. They end when dropped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Calls `send` on several threads, with a pause after each call. `send` gets the number of the call.
    pub(crate) fn of(threads: usize, pause: Duration, send: impl Fn(usize) + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stopped, send) = (Arc::clone(&stop), send.clone());
            thread::spawn(move || {
                for n in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    send(n);
                    sleep(pause);
                }
            })
        };
        Self { clients: (0..threads).map(client).collect(), stop }
    }

    /// Token checks, refreshes and sign-ins of one client, on each replica in turn.
    pub(crate) fn usual(apps: &[TestApp]) -> Self {
        let ports: Vec<_> = apps.iter().map(TestApp::port).collect();
        let client = Arc::new(std::sync::Mutex::new(Client { email: unique_email(), session: None }));
        let send = move |n| client.lock().unwrap().send(ports[n % ports.len()], n / ports.len());
        Self::of(1, Duration::from_millis(20), send)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
    }
}

struct Client {
    email: String,
    session: Option<Session>,
}

impl Client {
    /// The n-th request on this port.
    fn send(&mut self, port: u16, n: usize) {
        let Some(session) = self.session.as_ref().filter(|_| n % 40 != 39) else {
            return self.sign_in(port);
        };
        if n % 10 == 9 {
            let _ = post(port, "/refresh-access-token", &json!({"refresh_token": session.refresh_token}));
        } else {
            let token = [("Authorization", session.access_token.as_str())];
            let _ = raw::exchange(port, &raw::request("GET", "/user", &token, None));
        }
    }

    /// Signs in. Signs up first if there is no session, because the accounts may be lost.
    fn sign_in(&mut self, port: u16) {
        let account = json!({"email": self.email, "password": PASSWORD});
        if self.session.is_none() {
            let _ = post(port, "/signup", &account);
        }
        let Some(answer) = post(port, "/authenticate", &account) else { return };
        match answer.status {
            200 => self.session = Some(Session::of(&self.email, &answer)),
            401 => self.session = None,
            _ => {}
        }
    }
}
