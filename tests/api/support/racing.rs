//! Races of several users at once, over three replicas on Redis or on the embedded store.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    app::TestApp,
    client::PASSWORD,
    raw::Answer,
    session::{Session, assert_accepted, replicas, text},
    store::Store,
    wait::alone,
};

const USERS: usize = 5;

/// `TEST_RACE_ROUNDS`: 200 by default. `./test.sh` repeats the races with fewer rounds where it has run them before.
fn rounds() -> usize {
    std::env::var("TEST_RACE_ROUNDS").map_or(200, |text| text.parse().unwrap())
}

/// Long deadlines, because a request may wait for its turn to hash, and a request may take effect although its deadline
/// has passed. Long lifetimes, so that no session expires.
pub(crate) const PATIENT: [(&str, &str); 3] =
    [("REQUEST_TIMEOUT_SECONDS", "60"), ("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];
/// The pause between two refreshes of a client. Without the pause, hashing would starve, because it has the lowest
/// priority.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// One user in a race.
pub(crate) struct Racer<'a> {
    pub(crate) replicas: &'a [TestApp],
    turn: AtomicUsize,
}

impl<'a> Racer<'a> {
    pub(crate) fn new(replicas: &'a [TestApp], turn: usize) -> Self {
        Self { replicas, turn: AtomicUsize::new(turn) }
    }

    /// The next replica in turn.
    pub(crate) fn app(&self) -> &TestApp {
        &self.replicas[self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len()]
    }

    /// Repeats the request while the server is overloaded, or counts another guess at the same moment.
    pub(crate) fn insist(&self, send: impl Fn(&TestApp) -> Answer) -> Answer {
        loop {
            let answer = send(self.app());
            if ![429, 503].contains(&answer.status) {
                return answer;
            }
            // On a busy machine, Redis may be slow, too.
            let codes = ["too_many_attempts", "overloaded", "store_timeout"];
            assert!(codes.contains(&text(&answer, "code").as_str()), "{answer:?}");
            thread::sleep(2 * PAUSE);
        }
    }

    pub(crate) fn sign_up(&self, email: &str) {
        let answer = self.insist(|app| app.sign_up(email, PASSWORD));
        // 409: the answer to the first request was lost, but the account exists.
        assert!([201, 409].contains(&answer.status), "{answer:?}");
    }

    pub(crate) fn sign_in(&self, email: &str, password: &str) -> Session {
        let answer = self.insist(|app| app.authenticate(email, password));
        Session::of(email, &answer)
    }

    /// Asserts that every replica accepts the access token, and that one replica accepts the refresh token.
    pub(crate) fn assert_lives(&self, session: &Session) {
        for app in self.replicas {
            assert_accepted(app, &session.access_token, &session.email);
        }
        let refreshed = self.app().refresh_access_token(&session.refresh_token);
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        assert_accepted(self.app(), &text(&refreshed, "access_token"), &session.email);
    }

    /// Asserts that no replica accepts the access token, and that one replica refuses the refresh token.
    pub(crate) fn assert_dead(&self, session: &Session) {
        self.app().refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        self.assert_refused(&session.access_token);
    }

    pub(crate) fn assert_refused(&self, access_token: &str) {
        for app in self.replicas {
            app.current_user(access_token).assert_error(401, "invalid_token");
        }
    }
}

/// Races `USERS` users at once; `race` runs a user's rounds.
pub(crate) fn race(store: Store, settings: &[(&str, &str)], race: impl Fn(&Racer<'_>, usize) + Sync) {
    let _alone = alone();
    let replicas = replicas(store, &[&PATIENT, settings].concat());
    let bystander = replicas[0].new_session();
    thread::scope(|scope| {
        for user in 0..USERS {
            let (replicas, race) = (&replicas, &race);
            let racer = Racer::new(replicas, user);
            scope.spawn(move || race(&racer, rounds() / USERS));
        }
    });
    // The races must not end the session of another user.
    assert_accepted(&replicas[0], &bystander.access_token, &bystander.email);
}

/// Runs both functions at the same moment.
pub(crate) fn at_once<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            barrier.wait();
            one()
        });
        barrier.wait();
        let other = other();
        (one.join().unwrap(), other)
    })
}

/// Tells the other side of the race to stop, even after a panic.
pub(crate) struct Ended<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
