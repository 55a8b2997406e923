//! What the verifier knows of the revocation feed: the revoked ids, and how old this knowledge is.

use std::{
    collections::HashSet,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
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
    /// `complete_as_of` counts from this time.
    base: Instant,
    /// In microseconds. The set has every id that was published before this time. Zero means that there is no such time.
    complete_as_of: AtomicU64,
    revoked: RwLock<Revoked>,
}

/// Two generations of ids. A whole window of the feed starts a generation, and its start deletes the older one. So an id
/// stays for a generation longer than the feed has it, and the memory is bounded by twice the ids of a window and those
/// of [`KEPT`].
struct Revoked {
    ids: HashSet<Id>,
    older_ids: HashSet<Id>,
    /// When the present generation started.
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
        let (ids, older_ids) = (HashSet::new(), HashSet::new());
        let revoked = RwLock::new(Revoked { ids, older_ids, started: None, keys: HashSet::new() });
        Self { bound, base: Instant::now(), complete_as_of: AtomicU64::new(0), revoked }
    }

    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// How old the knowledge is. `None` before the first answer.
    pub(crate) fn age(&self) -> Option<Duration> {
        let complete_as_of = match self.complete_as_of.load(Ordering::Acquire) {
            0 => return None,
            micros => Duration::from_micros(micros),
        };
        Some(self.base.elapsed().saturating_sub(complete_as_of))
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age <= self.bound)
    }

    /// Looks for the ids of a token.
    pub(crate) fn standing(&self, sid: Id, eid: Id) -> Standing {
        // The age comes first: the set that is read afterwards is at least as new.
        let is_fresh = self.is_fresh();
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let has = |id| revoked.ids.contains(id) || revoked.older_ids.contains(id);
        match has(&sid) || has(&eid) {
            true => Standing::Revoked,
            false if is_fresh => Standing::Live,
            false => Standing::Unknown,
        }
    }

    pub(crate) fn is_revoked_key(&self, kid: &Kid) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).keys.contains(kid)
    }

    /// Adds the ids of an answer. `is_window` says that the answer is the whole window of the feed. Returns whether the
    /// answer names a signing key that was not known to be revoked.
    pub(crate) fn add(&self, ids: &[Id], keys: &[Kid], is_window: bool) -> bool {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        // An answer of a replica that is behind may lack ids that are already known, so a generation lasts a while.
        if is_window && revoked.started.is_none_or(|started| started.elapsed() >= KEPT) {
            revoked.older_ids = std::mem::take(&mut revoked.ids);
            revoked.started = Some(Instant::now());
        }
        revoked.ids.extend(ids);
        let known = revoked.keys.len();
        revoked.keys.extend(keys);
        revoked.keys.len() > known
    }

    /// Whether it is time to ask for the whole window, which lets the older generation go.
    pub(crate) fn needs_window(&self) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.started.is_none_or(|started| started.elapsed() >= KEPT)
    }

    /// Notes that everything published before `time` has been added.
    pub(crate) fn complete_as_of(&self, time: Instant) {
        let since = time.saturating_duration_since(self.base);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        self.complete_as_of.fetch_max(micros, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn id(n: u8) -> Id {
        Id::digest(&[n])
    }

    #[test]
    fn a_feed_without_an_answer_is_not_trusted() {
        let feed = Feed::new(BOUND);
        assert_eq!((feed.age(), feed.standing(id(1), id(2))), (None, Standing::Unknown));
        // The server says that its own knowledge is older than this verifier.
        feed.complete_as_of(Instant::now().checked_sub(Duration::from_mins(1)).unwrap());
        assert_eq!((feed.age(), feed.standing(id(1), id(2))), (None, Standing::Unknown));
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
    fn a_fresh_feed_is_trusted_and_age_never_grows_by_an_older_answer() {
        let feed = Feed::new(Duration::from_mins(10));
        std::thread::sleep(Duration::from_millis(1));
        feed.complete_as_of(Instant::now());
        let before = feed.complete_as_of.load(Ordering::Relaxed);
        feed.complete_as_of(feed.base);
        assert_eq!(feed.complete_as_of.load(Ordering::Relaxed), before);
        assert_eq!(feed.standing(id(1), id(2)), Standing::Live);
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
        let age = || feed.revoked.write().unwrap().started = Instant::now().checked_sub(KEPT);
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
