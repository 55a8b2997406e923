//! Simultaneous guesses, guesses from other addresses, and what guesses reveal about an account.

use rstest::rstest;

use crate::support::{
    BEFORE_THE_FIRST_WAIT, Burst, PASSWORD, PROXY, RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, guess_until_throttled, tag, unique_address, unique_email,
};

#[rstest]
fn simultaneous_guesses_are_all_counted(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    for email in [app.new_account(), unique_email()] {
        let burst = Burst::send(50, |_| app.guess_from(&unique_address(), &email));
        burst.assert_limited();
        assert_eq!(burst.compared + burst.waits.len(), 50);
        assert!(burst.waits.iter().all(|wait| *wait >= 1), "{:?}", burst.waits);
    }
}

#[rstest]
fn simultaneous_calls_are_all_counted_against_their_address(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY, ("ADDRESS_LIMIT", "7")]);
    let address = unique_address();
    let burst = Burst::send(50, |_| app.guess_from(&address, &unique_email()));
    assert_eq!((burst.compared, burst.waits.len()), (7, 43));
}

#[test]
fn the_count_in_redis_is_the_number_of_guesses_that_were_compared() {
    let redis = RedisServer::start(&[]);
    let replicas = [(); 3].map(|()| TestApp::start_on(&redis.url(), &[PROXY]));
    let email = replicas[0].new_account();
    let burst = Burst::send(50, |n| replicas[n % 3].guess_from(&unique_address(), &email));
    let counted: usize = redis.command(&["HGET", &format!("as:{{{}}}:f", tag(&email)), "n"]);
    assert_eq!(counted, burst.compared);
}

#[rstest]
fn a_known_address_has_a_count_of_its_own_and_is_limited_too(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let email = app.new_account();
    let (home, office) = (unique_address(), unique_address());
    for address in [&home, &office] {
        assert_eq!(app.authenticate_from(address, &email, PASSWORD).status, 200);
    }
    let burst = Burst::send(20, |_| app.guess_from(&home, &email));
    burst.assert_limited();
    assert!(!burst.waits.is_empty());
    // Other addresses need not wait.
    for address in [&office, &unique_address()] {
        assert_eq!(app.guess_from(address, &email).status, 401);
    }
    assert_eq!(app.authenticate_from(&office, &email, PASSWORD).status, 200);
}

/// The account knows the address of the sign-up, so the owner can sign in from there even before the first sign-in.
#[rstest]
fn guesses_from_elsewhere_never_stop_the_owner(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let email = app.new_account();
    for _ in 0..3 {
        let burst = Burst::send(20, |_| app.guess_from(&unique_address(), &email));
        assert!(!burst.waits.is_empty());
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200, "from the address of the sign-up");
    }
}

#[rstest]
fn an_account_and_an_unknown_email_are_limited_alike(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start_with(store, &[PROXY]);
    let (account, unknown, address) = (app.new_account(), unique_email(), unique_address());
    let bursts = [&account, &unknown].map(|email| Burst::send(20, |_| app.guess_from(&address, email)));
    for burst in &bursts {
        burst.assert_limited();
    }
    // The first wait is one second for both, unless it has already passed.
    if bursts.iter().all(|burst| burst.compared == BEFORE_THE_FIRST_WAIT) {
        assert_eq!(bursts[0].waits, bursts[1].waits);
    }
    let refusal = |email: &str| {
        let (compared, mut answer) = guess_until_throttled(|| app.guess_from(&address, email));
        assert!(compared <= 2, "the waits are long by now: {compared}");
        answer.headers.retain(|(name, _)| !["x-request-id", "date", "retry-after"].contains(&name.as_str()));
        (answer.status, answer.headers, answer.body)
    };
    assert_eq!(refusal(&account), refusal(&unknown));
}
