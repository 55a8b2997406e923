//! Tests of the clock, which shows the time of Redis.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use auth_service_records::clock::Clock;

use crate::scene::{POLICY, Server, connect, url, wait_for};

/// A clock that is an hour ahead of Redis, like the clock of a machine that is set wrong.
fn wrong_clock() -> Clock {
    let clock = Clock::new();
    clock.set((now() + 3_600) * 1_000_000, Instant::now());
    clock
}

/// The time of this machine. Redis uses the same clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn assert_right(clock: &Clock) {
    assert!(clock.now_seconds().abs_diff(now()) <= 1, "{clock:?}");
}

#[tokio::test]
async fn the_first_request_sees_the_time_of_redis_however_late_redis_starts() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), wrong_clock());
    let store = connect(&url(&directory), POLICY, clock.clone()).await;
    assert!(clock.now_seconds() > now() + 3_000);
    let _server = Server::start(directory);
    wait_for(&store).await;
    assert_right(&clock);
}

#[tokio::test]
async fn the_clock_follows_a_redis_whose_clock_was_set() {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let (_server, clock) = (Server::start(directory), wrong_clock());
    let store = connect(&url, POLICY, clock.clone()).await;
    wait_for(&store).await;
    assert_right(&clock);
    // As if the clock of Redis had been set back by an hour.
    clock.set((now() + 3_600) * 1_000_000, Instant::now());
    let deadline = Instant::now() + Duration::from_secs(10);
    while clock.now_seconds() > now() + 3_000 {
        assert!(Instant::now() < deadline, "{clock:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_right(&clock);
}
