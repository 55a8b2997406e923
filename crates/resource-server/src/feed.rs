//! What the verifier knows of the revocation feed: the revoked ids, and how old this knowledge is.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use auth_service_token::{Id, Kid};

/// The least time for which an id stays after the feed has dropped the id.
///
/// The feed drops an id when all tokens with this id have expired by the clock of the store. The clock of this machine
/// may be behind the clock of the store by as much as this.
pub(crate) const KEPT: Duration = Duration::from_mins(5);

/// The revoked ids, and the time up to which they are complete.
pub(crate) struct Feed {
    /// The oldest age at which the feed is trusted.
    bound: Duration,
    known: RwLock<Known>,
}

/// Two generations of ids. A whole window of the feed starts a generation, and its start deletes the older one. So an id
/// stays for a generation longer than the feed has it, and the memory is bounded by twice the ids of a window and those
/// of [`KEPT`].
#[derive(Default)]
struct Known {
    /// Every id that was published before this time is known. `None` before the first answer.
    complete_as_of: Option<Instant>,
    ids: HashSet<Id>,
    older_ids: HashSet<Id>,
    /// When the current generation started.
    started: Option<Instant>,
    /// Revoked signing keys. They stay for good, so that no cache can bring a key back. They are few, because an operator
    /// revokes each of them by hand.
    keys: HashSet<Kid>,
}

/// What the feed says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No id of the token is in the feed, and the feed is fresh.
    Live,
    /// An id of the token is in the feed.
    Revoked,
    /// No id of the token is in the feed, but the feed is older than its bound.
    Unknown,
}

impl Feed {
    pub(crate) fn new(bound: Duration) -> Self {
        Self { bound, known: RwLock::default() }
    }

    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// How old the knowledge is. `None` before the first answer.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.read().complete_as_of.map(|time| time.elapsed())
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age <= self.bound)
    }

    /// Looks for the ids of a token.
    pub(crate) fn standing(&self, sid: Id, eid: Id) -> Standing {
        let known = self.read();
        let has = |id| known.ids.contains(id) || known.older_ids.contains(id);
        if has(&sid) || has(&eid) {
            return Standing::Revoked;
        }
        let is_fresh = known.complete_as_of.is_some_and(|time| time.elapsed() <= self.bound);
        if is_fresh { Standing::Live } else { Standing::Unknown }
    }

    pub(crate) fn is_revoked_key(&self, kid: &Kid) -> bool {
        self.read().keys.contains(kid)
    }

    /// Adds the ids of an answer. `is_window` says that the answer is the whole window of the feed. Returns whether the
    /// answer names a signing key that was not known to be revoked.
    pub(crate) fn add(&self, ids: &[Id], keys: &[Kid], is_window: bool) -> bool {
        let mut known = self.write();
        // An answer of a replica that is behind may lack ids that are already known, so a generation lasts a while.
        if is_window && known.started.is_none_or(|started| started.elapsed() >= KEPT) {
            known.older_ids = std::mem::take(&mut known.ids);
            known.started = Some(Instant::now());
        }
        known.ids.extend(ids);
        let before = known.keys.len();
        known.keys.extend(keys);
        known.keys.len() > before
    }

    /// Whether it is time to ask for the whole window, which lets the older generation go.
    pub(crate) fn needs_window(&self) -> bool {
        self.read().started.is_none_or(|started| started.elapsed() >= KEPT)
    }

    /// Notes that everything published before `time` has been added.
    pub(crate) fn complete_as_of(&self, time: Instant) {
        let mut known = self.write();
        known.complete_as_of = known.complete_as_of.max(Some(time));
    }

    /// Nothing panics while it holds the lock.
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn id(n: u8) -> Id {
        Id::digest(&[n])
    }

    fn long_ago() -> Instant {
        Instant::now().checked_sub(KEPT).unwrap()
    }

    #[test]
    fn a_feed_without_an_answer_is_not_trusted() {
        let feed = Feed::new(BOUND);
        assert_eq!((feed.age(), feed.standing(id(1), id(2))), (None, Standing::Unknown));
        // The server says that its own knowledge is old.
        feed.complete_as_of(long_ago());
        assert!(feed.age().is_some_and(|age| age >= KEPT));
        assert_eq!((feed.is_fresh(), feed.standing(id(1), id(2))), (false, Standing::Unknown));
    }

    #[test]
    fn a_session_and_an_epoch_are_revoked_also_while_the_feed_is_stale() {
        let feed = Feed::new(BOUND);
        feed.add(&[id(1)], &[], true);
        assert_eq!(feed.standing(id(1), id(2)), Standing::Revoked);
        assert_eq!(feed.standing(id(2), id(1)), Standing::Revoked);
        assert_eq!(feed.standing(id(2), id(3)), Standing::Unknown);
    }

    #[test]
    fn a_fresh_feed_is_trusted_also_after_an_older_answer() {
        let feed = Feed::new(Duration::from_mins(1));
        feed.complete_as_of(Instant::now());
        feed.complete_as_of(long_ago());
        assert_eq!((feed.is_fresh(), feed.standing(id(1), id(2))), (true, Standing::Live));
    }

    #[test]
    fn a_window_of_a_replica_that_is_behind_forgets_nothing() {
        let feed = Feed::new(BOUND);
        feed.add(&[id(1)], &[], true);
        for _ in 0..3 {
            feed.add(&[], &[], true);
        }
        assert_eq!(feed.standing(id(1), id(2)), Standing::Revoked);
    }

    #[test]
    fn an_id_goes_with_the_second_window_that_lacks_it() {
        let feed = Feed::new(BOUND);
        let age = || feed.write().started = Some(long_ago());
        feed.add(&[id(1)], &[], true);
        for standing in [Standing::Revoked, Standing::Unknown] {
            age();
            assert!(feed.needs_window());
            feed.add(&[id(2)], &[], true);
            assert!(!feed.needs_window());
            assert_eq!(feed.standing(id(1), id(9)), standing);
        }
        assert_eq!(feed.standing(id(2), id(9)), Standing::Revoked);
    }
}
