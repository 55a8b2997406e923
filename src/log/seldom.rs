//! Warnings whose number does not depend on how often clients call.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The minimum time between two warnings of the same kind.
const INTERVAL: Duration = Duration::from_secs(60);

/// Lets one warning of a kind through in each minute, and counts what happens in between.
pub struct Seldom(Mutex<State>);

struct State {
    last: Option<Instant>,
    since_last: u64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

impl Seldom {
    /// The first event is due at once.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State { last: None, since_last: 0 }))
    }

    /// Counts an event. If a warning is due, returns the number of events since the last warning.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.since_last += 1;
        if state.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.since_last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_in_a_minute_is_due_and_says_how_many_there_were() {
        let seldom = Seldom::new();
        assert_eq!([(); 4].map(|()| seldom.due()), [Some(1), None, None, None]);
        seldom.0.lock().unwrap().last = Instant::now().checked_sub(INTERVAL);
        assert_eq!([seldom.due(), seldom.due()], [Some(4), None]);
    }
}
