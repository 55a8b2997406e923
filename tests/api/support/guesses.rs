//! Guesses at passwords, in sequence and at once.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{app::TestApp, raw::Answer, wait::wait_until};

/// The number of failures in a row that starts the first wait.
pub(crate) const BEFORE_THE_FIRST_WAIT: usize = 5;

/// The server trusts `X-Forwarded-For` from this network, so tests can send requests from any address.
pub(crate) const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");

/// Asserts a 429 and returns its `Retry-After`.
#[track_caller]
pub(crate) fn assert_throttled(answer: &Answer) -> u64 {
    answer.assert_error(429, "too_many_attempts");
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{answer:?}");
    seconds
}

/// Guesses until the answer is 429. Returns the number of guesses that the server compared, and the 429. A wait starts
/// when the server admits a guess, so on a slow machine the first waits may pass before the next guess. The waits
/// double, so that a later wait does not.
#[track_caller]
pub(crate) fn guess_until_throttled(guess: impl Fn() -> Answer) -> (usize, Answer) {
    for compared in 0..12 {
        let answer = guess();
        if answer.status == 429 {
            assert_throttled(&answer);
            return (compared, answer);
        }
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    panic!("none of twelve guesses in a row got a 429");
}

/// The answers to simultaneous guesses.
pub(crate) struct Burst {
    /// The number of guesses that the server compared.
    pub(crate) compared: usize,
    /// The `Retry-After` of all other guesses.
    pub(crate) waits: Vec<u64>,
    took: Duration,
}

impl Burst {
    /// Sends `count` wrong guesses at once.
    pub(crate) fn send(count: usize, guess: impl Fn(usize) -> Answer + Sync) -> Self {
        let (start, guess) = (Instant::now(), &guess);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let sent: Vec<_> = (0..count).map(|n| scope.spawn(move || guess(n))).collect();
            sent.into_iter().map(|answer| answer.join().unwrap()).collect()
        });
        let took = start.elapsed();
        let (throttled, compared): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
        for answer in &compared {
            answer.assert_error(401, "invalid_credentials");
        }
        Self { compared: compared.len(), waits: throttled.into_iter().map(assert_throttled).collect(), took }
    }

    /// Asserts that the server compared as many guesses as the limits of one account admit: five, and at most one more
    /// for each wait that passed during the burst.
    #[track_caller]
    pub(crate) fn assert_limited(&self) {
        let (mut passed, mut wait) = (0, Duration::from_secs(1));
        let mut left = self.took;
        while left >= wait {
            (left, wait, passed) = (left - wait, wait * 2, passed + 1);
        }
        let admitted = BEFORE_THE_FIRST_WAIT..=BEFORE_THE_FIRST_WAIT + passed;
        assert!(admitted.contains(&self.compared), "{} guesses were compared in {:?}", self.compared, self.took);
    }
}

/// Waits until the server compares a guess again.
pub(crate) fn wait_until_compared(guess: impl Fn() -> Answer) {
    wait_until("the wait has passed", || guess().status == 401);
}

impl TestApp {
    /// A wrong guess at the password of an account, from an address.
    pub(crate) fn guess_from(&self, address: &str, email: &str) -> Answer {
        self.authenticate_from(address, email, "wrong password")
    }
}
