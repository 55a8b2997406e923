//! A verifier elsewhere that follows the feed of revocations, while tokens are refreshed and ended at the same time.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use crate::support::{
    CREDENTIALS, PASSWORD, RESOURCE_SERVERS, RedisServer, Session, TestApp, alone, claims, number, text,
};

/// A verifier trusts the feed only while it is at most this old.
const BOUND: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(500);
/// The users whose tokens end. The tokens of every eleventh user stay.
const USERS: usize = 220;
const AT_ONCE: usize = 10;
const REFRESHERS: usize = 3;

/// An answer that the verifier has got.
struct Poll {
    done: Instant,
    complete_as_of: Instant,
}

/// What the verifier knows, and when it has learned it, by its own clock.
#[derive(Default)]
struct Verifier {
    polls: Vec<Poll>,
    learned: HashMap<String, Instant>,
}

impl Verifier {
    fn follow(&mut self, app: &TestApp, stop: &AtomicBool) {
        let mut path = "/revocations".to_owned();
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let answer = app.send("GET", &path, &[CREDENTIALS], None);
            if answer.status == 200 {
                let done = Instant::now();
                for id in answer.json()["revoked"].as_array().unwrap() {
                    self.learned.entry(id.as_str().unwrap().to_owned()).or_insert(done);
                }
                path = format!("/revocations?after={}", text(&answer, "cursor"));
                let age = Duration::from_millis(number(&answer, "age_ms"));
                self.polls.push(Poll { done, complete_as_of: start - age });
            }
            sleep((start + POLL).saturating_duration_since(Instant::now()));
        }
    }

    fn learned(&self, token: &str) -> Option<Instant> {
        let claims = claims(token);
        ["eid", "sid"].iter().filter_map(|name| self.learned.get(claims[name].as_str().unwrap())).min().copied()
    }

    /// Whether the verifier accepts the token at any time after `from`.
    fn accepts_after(&self, token: &str, from: Instant) -> bool {
        let learned = self.learned(token);
        let next = self.polls.iter().skip(1).map(|poll| poll.done);
        self.polls.iter().zip(next).any(|(poll, next)| {
            let (start, end) = (poll.done.max(from), next.min(poll.complete_as_of + BOUND));
            let end = learned.map_or(end, |learned| end.min(learned));
            start < end
        })
    }
}

/// The tokens of a user, and when their end was acknowledged.
struct Raced {
    tokens: Vec<String>,
    ended: Option<Instant>,
}

/// Refreshes at all replicas while one of them ends the tokens.
fn race(replicas: &[TestApp], n: usize) -> Raced {
    let session = replicas[n % 3].new_session();
    let over = AtomicBool::new(false);
    let refreshed = AtomicUsize::new(0);
    thread::scope(|scope| {
        let refreshers: Vec<_> = (0..REFRESHERS)
            .map(|replica| {
                let (session, over, refreshed) = (&session, &over, &refreshed);
                scope.spawn(move || {
                    let mut tokens = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let answer = replicas[replica].refresh_access_token(&session.refresh_token);
                        if answer.status != 200 {
                            break;
                        }
                        tokens.push(text(&answer, "access_token"));
                        refreshed.fetch_add(1, Ordering::Relaxed);
                    }
                    tokens
                })
            })
            .collect();
        let begin = Instant::now();
        while refreshed.load(Ordering::Relaxed) < 6 && begin.elapsed() < BOUND {
            sleep(Duration::from_millis(1));
        }
        let ended = end(&replicas[(n + 1) % 3], &session, n % 11).then(Instant::now);
        sleep(Duration::from_millis(20));
        over.store(true, Ordering::Relaxed);
        let mut tokens: Vec<_> = refreshers.into_iter().flat_map(|refresher| refresher.join().unwrap()).collect();
        tokens.push(session.access_token.clone());
        // After a change of the password, the session that has changed it goes on with another `eid`.
        let eid = &claims(&session.access_token)["eid"];
        tokens.retain(|token| claims(token)["eid"] == *eid);
        Raced { tokens, ended }
    })
}

/// Ends the tokens of the session. Returns `false` if they stay.
fn end(app: &TestApp, session: &Session, way: usize) -> bool {
    let (token, email) = (session.access_token.as_str(), session.email.as_str());
    let answer = match way {
        0 => return false,
        1 => app.send_as(token, "POST", "/signout", None),
        2 => app.send_as(token, "DELETE", "/sessions", None),
        3 => app.send_as(token, "DELETE", &format!("/sessions/{}", session.id()), None),
        4 => app.change_password(token, PASSWORD, "another password"),
        5 => app.delete_user(token, PASSWORD),
        6 => {
            assert!(app.cli(&["tokens", "revoke", email]).status.success());
            return true;
        }
        _ => app.remove_access_token(email),
    };
    assert_eq!(answer.status, 200, "{way}: {answer:?}");
    true
}

#[test]
fn no_verifier_accepts_a_token_past_the_bound_after_its_end() {
    let _alone = alone();
    let redis = RedisServer::start(&[]);
    let settings = [RESOURCE_SERVERS, ("ADDRESS_LIMIT", "0"), ("SIGNUP_LIMIT_PER_HOUR", "0")];
    let replicas: Vec<_> = (0..3).map(|_| TestApp::start_on(&redis.url(), &settings)).collect();
    let (stop, mut verifier) = (AtomicBool::new(false), Verifier::default());
    let raced = thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut verifier = Verifier::default();
            verifier.follow(&replicas[0], &stop);
            verifier
        });
        let mut raced = Vec::new();
        for first in (0..USERS).step_by(AT_ONCE) {
            let replicas = &replicas;
            let races: Vec<_> =
                (first..(first + AT_ONCE).min(USERS)).map(|n| scope.spawn(move || race(replicas, n))).collect();
            raced.extend(races.into_iter().map(|race| race.join().unwrap()));
        }
        sleep(3 * BOUND);
        stop.store(true, Ordering::Relaxed);
        verifier = follower.join().unwrap();
        raced
    });
    let (mut ended, mut late, mut live, mut refused) = (0, 0, 0, 0);
    for Raced { tokens, ended: at } in &raced {
        match at {
            Some(at) => {
                ended += tokens.len();
                late += tokens.iter().filter(|token| verifier.accepts_after(token, *at + BOUND)).count();
            }
            None => {
                live += tokens.len();
                refused += tokens.iter().filter(|token| verifier.learned(token).is_some()).count();
            }
        }
    }
    eprintln!(
        "{ended} tokens ended, {late} of them accepted more than 1 s later; {live} live tokens, {refused} refused; {} \
         polls",
        verifier.polls.len()
    );
    assert!(ended >= 1_000 && verifier.polls.len() > 5, "{ended}");
    assert_eq!((late, refused), (0, 0));
}
