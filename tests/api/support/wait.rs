//! Waits for a condition instead of a fixed time, and locks for tests that need the whole machine.

use std::{
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Waits until `condition` holds; panics after ten seconds.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_longer(10, what, condition);
}

/// Waits until `condition` holds; panics after `seconds`. The pauses between two looks grow with the time that has
/// passed, because a condition is often a request, and many tests wait at the same time.
#[track_caller]
pub(crate) fn wait_longer(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        let passed = start.elapsed();
        assert!(passed < Duration::from_secs(seconds), "still not true after {seconds} seconds: {what}");
        sleep((passed / 20).clamp(Duration::from_millis(5), Duration::from_millis(50)));
    }
}

/// Seconds since the Unix epoch. All servers of a test share this machine's clock.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits until the clock shows more than `seconds`.
#[track_caller]
pub(crate) fn wait_until_after(seconds: u64) {
    let left = seconds.saturating_sub(unix_seconds()) + 10;
    wait_longer(left, "the clock has moved on", || unix_seconds() > seconds);
}

static TURN: RwLock<()> = RwLock::new(());

/// Ends when dropped.
pub(crate) enum Turn {
    Alone(#[expect(dead_code, reason = "held until the turn ends")] RwLockWriteGuard<'static, ()>),
    NotBesideLoad(#[expect(dead_code, reason = "held until the turn ends")] RwLockReadGuard<'static, ()>),
}

/// A lock for tests that load or need the whole machine: only one of these tests runs at a time.
pub(crate) fn alone() -> Turn {
    Turn::Alone(TURN.write().unwrap_or_else(PoisonError::into_inner))
}

/// A lock for tests that fail if an answer is late, but mostly wait: they may run beside each other, and not beside a
/// test that is [`alone`].
pub(crate) fn not_beside_load() -> Turn {
    Turn::NotBesideLoad(TURN.read().unwrap_or_else(PoisonError::into_inner))
}
