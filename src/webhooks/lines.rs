//! The events that wait in memory for their delivery. The events of a user form a line, and only the first of a line is
//! on its way, so that a receiver gets them in their order.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use auth_service_records::outbox::{Announcement, Queued};

/// The lines. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lines: HashMap<String, VecDeque<Queued>>,
    events: usize,
}

impl Lines {
    /// The number of events in all lines.
    pub(super) fn events(&self) -> usize {
        self.lock().events
    }

    /// The number of lines. Each has a task.
    pub(super) fn count(&self) -> usize {
        self.lock().lines.len()
    }

    /// Adds an event at the end of its line. Returns the name of the line if the line is new. The caller then starts a
    /// task that delivers the events of this line.
    pub(super) fn add(&self, event: Queued) -> Option<String> {
        let name = name(&event.announcement);
        let mut state = self.lock();
        state.events += 1;
        if let Some(line) = state.lines.get_mut(&name) {
            line.push_back(event);
            return None;
        }
        state.lines.insert(name.clone(), VecDeque::from([event]));
        Some(name)
    }

    /// The first event of a line.
    pub(super) fn first(&self, name: &str) -> Option<Queued> {
        self.lock().lines.get(name)?.front().cloned()
    }

    /// Removes the first event of a line. The line ends with its last event.
    pub(super) fn remove_first(&self, name: &str) {
        let mut state = self.lock();
        let Some(line) = state.lines.get_mut(name) else { return };
        line.pop_front();
        if line.is_empty() {
            state.lines.remove(name);
        }
        state.events -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user's id. An event without a user has a line of its own.
fn name(event: &Announcement) -> String {
    event.user_id.map_or_else(|| event.id.to_string(), |id| id.to_string())
}
