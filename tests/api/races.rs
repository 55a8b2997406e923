//! Races: what two requests at the same moment leave behind, over three replicas on Redis and on the embedded store.
//!
//! Each race is run for several users at once, two hundred times or more. After each round no token that should be dead
//! is accepted anywhere, and none that should live is refused.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    app::{PASSWORD, Session, TestApp, unique_email},
    raw::Answer,
    runner::{Store, alone},
    session::{assert_accepted, replicas, text},
    suite,
};

suite! {
    every_store: [
        refresh_against_removal,
        refresh_and_sign_in_against_password_change,
        sign_in_against_user_deletion,
        two_rotations_at_once,
        two_sessions_that_end_each_other,
        few_sign_ins_at_once_keep_to_the_session_limit,
        two_hundred_sign_ins_at_once_keep_to_the_session_limit,
    ]
}

const ROUNDS: usize = 200;
const USERS: usize = 5;

/// Long deadlines: in a storm of hashes a request may wait its turn, and one that is cut off may still have happened.
/// Long lives: what dies was ended.
const PATIENT: [(&str, &str); 3] =
    [("REQUEST_TIMEOUT_SECONDS", "60"), ("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];
/// Between two of a client's refreshes: hashing has the lowest priority, and without a pause would not get far.
const PAUSE: Duration = Duration::from_millis(5);

/// One user's place in a race.
struct Racer<'a> {
    replicas: &'a [TestApp],
    turn: AtomicUsize,
}

impl Racer<'_> {
    /// Another replica each time, where there is another.
    fn app(&self) -> &TestApp {
        &self.replicas[self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len()]
    }

    /// Sends until the hashing queue has a place.
    fn insist(&self, send: impl Fn(&TestApp) -> Answer) -> Answer {
        loop {
            let answer = send(self.app());
            if answer.status != 503 {
                return answer;
            }
            // On a machine that is busy with more than this test Redis may be late, too.
            assert!(["overloaded", "store_timeout"].contains(&text(&answer, "code").as_str()), "{answer:?}");
            thread::sleep(2 * PAUSE);
        }
    }

    fn sign_up(&self, email: &str) {
        let answer = self.insist(|app| app.sign_up(email, PASSWORD));
        // 409 after an answer that was lost: then the account is there.
        assert!([201, 409].contains(&answer.status), "{answer:?}");
    }

    fn sign_in(&self, email: &str, password: &str) -> Session {
        let answer = self.insist(|app| app.authenticate(email, password));
        session(email, &answer)
    }

    /// The access token at every replica, the refresh token, which costs more, at another one each time.
    fn assert_lives(&self, session: &Session) {
        for app in self.replicas {
            assert_accepted(app, &session.access_token, &session.email);
        }
        let refreshed = self.app().refresh_access_token(&session.refresh_token);
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        assert_accepted(self.app(), &text(&refreshed, "access_token"), &session.email);
    }

    /// Likewise.
    fn assert_dead(&self, session: &Session) {
        self.app().refresh_access_token(&session.refresh_token).assert_error(404, "token_not_found");
        self.assert_refused(&session.access_token);
    }

    fn assert_refused(&self, access_token: &str) {
        for app in self.replicas {
            app.current_user(access_token).assert_error(401, "invalid_token");
        }
    }
}

fn session(email: &str, answer: &Answer) -> Session {
    assert_eq!(answer.status, 200, "{answer:?}");
    Session {
        email: email.to_owned(),
        access_token: text(answer, "access_token"),
        refresh_token: text(answer, "refresh_token"),
    }
}

/// Races `USERS` users at once; `race` runs a user's rounds.
fn race(store: Store, settings: &[(&str, &str)], race: impl Fn(&Racer<'_>, usize) + Sync) {
    let _alone = alone();
    let replicas = replicas(store, &[&PATIENT, settings].concat());
    let bystander = replicas[0].new_session();
    thread::scope(|scope| {
        for user in 0..USERS {
            let (replicas, race) = (&replicas, &race);
            let racer = Racer { replicas, turn: AtomicUsize::new(user) };
            scope.spawn(move || race(&racer, ROUNDS / USERS));
        }
    });
    // Of all that was ended, nothing was somebody else's.
    assert_accepted(&replicas[0], &bystander.access_token, &bystander.email);
}

/// Starts both at the same moment.
fn at_once<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
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

/// Says so when it goes, be it in a panic: the other side of the race would else never stop.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Refreshes without a pause until `done` and once more after it; the access tokens it got, and the last answer.
fn refresh_until(racer: &Racer<'_>, refresh_token: &str, done: &AtomicBool) -> (Vec<String>, Answer) {
    let mut access_tokens = Vec::new();
    loop {
        thread::sleep(PAUSE);
        let last = done.load(Ordering::SeqCst);
        let answer = racer.app().refresh_access_token(refresh_token);
        if answer.status == 200 {
            access_tokens.push(text(&answer, "access_token"));
        }
        if last {
            return (access_tokens, answer);
        }
    }
}

/// The tokens of `session`, and the last and the first that refreshes gave, are dead at every replica.
fn assert_all_dead(racer: &Racer<'_>, session: &Session, access_tokens: &[String]) {
    racer.assert_dead(session);
    for token in access_tokens.iter().take(1).chain(access_tokens.iter().rev().take(2)) {
        racer.assert_refused(token);
    }
}

fn refresh_against_removal(store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        for _ in 0..rounds {
            let session = racer.sign_in(&email, PASSWORD);
            let done = AtomicBool::new(false);
            let ((access_tokens, last), removed) = at_once(
                || refresh_until(racer, &session.refresh_token, &done),
                || {
                    let _ended = Ended(&done);
                    racer.app().remove_access_token(&email)
                },
            );
            removed.assert(200, &json!({"result": "Access token removed"}));
            last.assert_error(404, "token_not_found");
            assert_all_dead(racer, &session, &access_tokens);
        }
        racer.assert_lives(&racer.sign_in(&email, PASSWORD));
    });
}

fn refresh_and_sign_in_against_password_change(store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let kept = racer.sign_in(&email, PASSWORD);
        let (mut old, mut new) = (PASSWORD.to_owned(), "battery staple".to_owned());
        for _ in 0..rounds {
            let ended = racer.sign_in(&email, &old);
            let done = AtomicBool::new(false);
            let (ended_refreshes, kept_refreshes, late, changed) = thread::scope(|scope| {
                let ended_refreshes = scope.spawn(|| refresh_until(racer, &ended.refresh_token, &done));
                let kept_refreshes = scope.spawn(|| refresh_until(racer, &kept.refresh_token, &done));
                let late = scope.spawn(|| racer.insist(|app| app.authenticate(&email, &old)));
                let changed = {
                    let _ended = Ended(&done);
                    racer.insist(|app| app.change_password(&kept.access_token, &old, &new))
                };
                (ended_refreshes.join().unwrap(), kept_refreshes.join().unwrap(), late.join().unwrap(), changed)
            });
            assert_eq!(changed.status, 200, "{changed:?}");
            ended_refreshes.1.assert_error(404, "token_not_found");
            assert_all_dead(racer, &ended, &ended_refreshes.0);
            // With the old password one may just have come in before the change, and then is out after it.
            match late.status {
                200 => racer.assert_dead(&session(&email, &late)),
                _ => late.assert_error(401, "invalid_credentials"),
            }
            assert_eq!(kept_refreshes.1.status, 200, "{kept_refreshes:?}");
            racer.assert_lives(&kept);
            let tokens = kept_refreshes.0;
            for token in tokens.iter().take(1).chain(tokens.iter().rev().take(2)) {
                assert_accepted(racer.app(), token, &email);
            }
            std::mem::swap(&mut old, &mut new);
        }
    });
}

fn sign_in_against_user_deletion(store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        let mut buried: Vec<Session> = Vec::new();
        for _ in 0..rounds {
            racer.sign_up(&email);
            let first = racer.sign_in(&email, PASSWORD);
            racer.assert_lives(&first);
            // The sessions of the account that had this email before stay dead.
            for session in &buried {
                racer.assert_dead(session);
            }
            let (sign_ins, deleted) = at_once(
                || [0, 1].map(|_| racer.insist(|app| app.authenticate(&email, PASSWORD))),
                || racer.insist(|app| app.delete_user(&first.access_token, PASSWORD)),
            );
            deleted.assert(200, &json!({"result": "Account deleted"}));
            buried = vec![first];
            for answer in sign_ins {
                match answer.status {
                    200 => buried.push(session(&email, &answer)),
                    _ => answer.assert_error(401, "invalid_credentials"),
                }
            }
            for session in &buried {
                racer.assert_dead(session);
            }
        }
    });
}

fn two_rotations_at_once(store: Store) {
    race(store, &[("REFRESH_TOKEN_ROTATION", "on"), ("REFRESH_GRACE_SECONDS", "60")], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let mut refresh_token = racer.sign_in(&email, PASSWORD).refresh_token;
        for _ in 0..rounds {
            let refresh = || racer.app().refresh_access_token(&refresh_token);
            let (one, other) = at_once(refresh, refresh);
            let (one, other) = (session(&email, &one), session(&email, &other));
            assert_eq!(one.refresh_token, other.refresh_token);
            assert_ne!(one.refresh_token, refresh_token);
            for app in racer.replicas {
                assert_accepted(app, &one.access_token, &email);
                assert_accepted(app, &other.access_token, &email);
            }
            refresh_token = one.refresh_token;
        }
    });
}

/// One ends all sessions, the other all but itself: whoever comes second has no session left to ask with.
fn two_sessions_that_end_each_other(store: Store) {
    race(store, &[], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        for _ in 0..rounds {
            let (all, others) = (racer.sign_in(&email, PASSWORD), racer.sign_in(&email, PASSWORD));
            let (all_ended, others_ended) = at_once(
                || racer.app().send_as(&all.access_token, "DELETE", "/sessions", None),
                || racer.app().send_as(&others.access_token, "DELETE", "/sessions?except=current", None),
            );
            racer.assert_dead(&all);
            if others_ended.status == 200 {
                all_ended.assert_error(401, "invalid_token");
                racer.assert_lives(&others);
            } else {
                others_ended.assert_error(401, "invalid_token");
                assert_eq!(all_ended.status, 200, "{all_ended:?}");
                racer.assert_dead(&others);
            }
        }
    });
}

/// Signs in so often at once; the sessions in no order.
fn sign_in_at_once(racer: &Racer<'_>, email: &str, times: usize) -> Vec<Session> {
    let barrier = Barrier::new(times);
    thread::scope(|scope| {
        let sign_ins = (0..times).map(|_| {
            scope.spawn(|| {
                barrier.wait();
                racer.sign_in(email, PASSWORD)
            })
        });
        sign_ins.collect::<Vec<_>>().into_iter().map(|sign_in| sign_in.join().unwrap()).collect()
    })
}

/// Exactly `limit` of `sessions` live, and these are the ones that are listed.
fn assert_limited(racer: &Racer<'_>, sessions: &[Session], limit: usize) {
    let app = racer.app();
    let lives = |session: &&Session| app.current_user(&session.access_token).status == 200;
    let (live, dead): (Vec<_>, Vec<_>) = sessions.iter().partition(lives);
    assert_eq!(live.len(), limit);
    let mut ids: Vec<_> = live.iter().map(|session| session.id()).collect();
    ids.sort();
    for app in racer.replicas {
        let mut listed = app.session_ids(&live[0].access_token);
        listed.sort();
        assert_eq!(listed, ids);
    }
    for session in live {
        racer.assert_lives(session);
    }
    for session in dead {
        racer.assert_dead(session);
    }
}

fn few_sign_ins_at_once_keep_to_the_session_limit(store: Store) {
    race(store, &[("MAX_SESSIONS_PER_USER", "2")], |racer, rounds| {
        let email = unique_email();
        racer.sign_up(&email);
        let mut before = Vec::new();
        for _ in 0..rounds {
            let sessions = sign_in_at_once(racer, &email, 3);
            assert_limited(racer, &sessions, 2);
            // What was there before is older, and has given way.
            for session in &before {
                racer.assert_dead(session);
            }
            before = sessions;
        }
    });
}

fn two_hundred_sign_ins_at_once_keep_to_the_session_limit(store: Store) {
    let _alone = alone();
    let replicas = replicas(store, &[&PATIENT[..], &[("MAX_SESSIONS_PER_USER", "10")]].concat());
    let racer = Racer { replicas: &replicas, turn: AtomicUsize::new(0) };
    let older = replicas[0].new_session();
    let sessions = sign_in_at_once(&racer, &older.email, 200);
    racer.assert_dead(&older);
    assert_limited(&racer, &sessions, 10);
}
