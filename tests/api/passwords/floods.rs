//! Floods of sign-ins: everything else goes on, and other clients keep their turn.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Connection, Data, PASSWORD, PROXY, Session, Store, TestApp, alone, raw, unique_email, wait_longer,
};

/// Hashes so costly that a hundred clients ask for more than the server can make before the deadline.
const COSTLY: [(&str, &str); 3] = [PROXY, ("ARGON2_MEMORY_KIB", "19456"), ("ARGON2_ITERATIONS", "32")];
const LONG: [(&str, &str); 2] = [("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];

/// A server with costly hashes, and a session from before.
fn start() -> (TestApp, Session) {
    let data = Data::new(Store::Embedded);
    let session = data.start(&LONG).new_session();
    (data.start(&COSTLY), session)
}

/// Clients of one address that sign in without pause, each time with another email.
struct Flood<'a> {
    app: &'a TestApp,
    over: AtomicBool,
    overloaded: AtomicUsize,
}

impl Flood<'_> {
    fn client(&self) {
        let mut connection = Connection::open(self.app.port());
        while !self.over.load(Ordering::Relaxed) {
            let body = json!({"email": unique_email(), "password": PASSWORD}).to_string();
            let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", "192.0.2.66")];
            connection.write(&raw::request("POST", "/authenticate", &headers, Some(&body))).unwrap();
            let answer = connection.read().unwrap();
            if answer.status == 401 {
                continue;
            }
            // A busy machine may hash more slowly than the server has estimated.
            let late = answer.json()["code"] == "deadline_exceeded";
            answer.assert_error(503, if late { "deadline_exceeded" } else { "overloaded" });
            assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
            self.overloaded.fetch_add(usize::from(!late), Ordering::Relaxed);
            // The flood is of hashes, not of refusals.
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed) >= 20
    }
}

/// Ends the flood, also when the test panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `test` in a flood that the server refuses a part of.
fn in_flood(app: &TestApp, test: impl FnOnce()) {
    let _turn = alone();
    let flood = Flood { app, over: AtomicBool::new(false), overloaded: AtomicUsize::new(0) };
    thread::scope(|scope| {
        let _ended = Ended(&flood.over);
        for _ in 0..100 {
            scope.spawn(|| flood.client());
        }
        wait_longer(60, "the server refuses sign-ins", || flood.is_overloaded());
        test();
    });
}

#[test]
fn token_checks_go_on_while_sign_ins_flood_in() {
    let (app, session) = start();
    in_flood(&app, || {
        for _ in 0..200 {
            assert_eq!(app.send("GET", "/livez", &[], None).status, 200);
            assert_eq!(app.current_user(&session.access_token).status, 200);
        }
    });
    let (peak, cores) = (app.memory("VmHWM"), thread::available_parallelism().unwrap().get());
    assert!(peak < 100 + cores * 40, "{peak} MiB, though a hash takes 19 MiB and {cores} run at a time");
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200, "good again after the flood");
}

#[test]
fn a_flood_from_one_address_leaves_others_their_turn() {
    let (app, Session { email, .. }) = start();
    in_flood(&app, || {
        for _ in 0..3 {
            let answer = app.authenticate_from("203.0.113.5", &email, PASSWORD);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
}
