//! The revocations that still matter, in memory, and the answer to a verifier that knows a part of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use auth_service_records::revocation::{Revocation, StreamId};

use super::cursor::{Cursor, OVERLAP_MILLIS};

/// The maximum number of entries: about 100 MB. Beyond, the window is no longer read, so its age grows, and verifiers stop
/// to trust it, instead of missing a revocation.
const ENTRIES_MAX: usize = 500_000;
/// How long every answer is the whole window after an entry has arrived whose place is far behind the latest one.
const WHOLE: Duration = Duration::from_secs(60);

/// The window of one process.
pub(super) struct Window {
    entries: BTreeMap<StreamId, Entry>,
    /// The latest place ever seen, even if its entry is gone.
    cursor: Cursor,
    /// Until then, every answer is the whole window.
    whole_until: Option<Instant>,
    /// How long an entry stays: at least as long as a token.
    keep: Duration,
}

struct Entry {
    ids: Vec<String>,
    /// When this process has read the entry. The entry's place is by the clock of the store, which may be set.
    read_at: Instant,
}

/// The answer to a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations {
    /// The `after` of the next request.
    pub cursor: Cursor,
    /// The time since the feed was last read, in milliseconds. Every revocation from before then is known.
    pub age_ms: u64,
    /// Whether `revoked` is the whole window.
    pub reset: bool,
    /// The revoked ids. The verifier may know some of them already.
    pub revoked: Vec<String>,
    /// Whether a verifier that knows the answer with this cursor learns nothing new from this one.
    pub settled: bool,
}

impl Window {
    pub(super) fn new(keep: Duration) -> Self {
        Self { entries: BTreeMap::new(), cursor: Cursor::default(), whole_until: None, keep }
    }

    /// Whether the window takes more entries.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < ENTRIES_MAX
    }

    /// Adds entries, which may be known.
    pub(super) fn add(&mut self, read: Vec<Revocation>, now: Instant) {
        for Revocation { id, revoked } in read {
            if self.entries.contains_key(&id) {
                continue;
            }
            // A store that has lost its data, and whose clock was set back, gives such places. A verifier may have a
            // later cursor.
            if id.millis < self.cursor.overlap() {
                self.whole_until = Some(now + WHOLE);
            }
            self.cursor.latest = self.cursor.latest.max(id);
            self.entries.insert(id, Entry { ids: revoked, read_at: now });
        }
        self.cursor.recent = self.recent();
    }

    /// Forgets the entries that no longer matter. The entries of the overlap stay, because each read returns them again.
    pub(super) fn forget(&mut self, now: Instant) {
        let (overlap, keep) = (self.cursor.overlap(), self.keep);
        self.entries.retain(|id, entry| id.millis >= overlap || now.saturating_duration_since(entry.read_at) < keep);
    }

    /// The number of entries of the overlap. Two replicas with the same latest entry differ in this number if one of them
    /// lacks an entry before the latest one, as after a failover.
    fn recent(&self) -> usize {
        self.entries.range(StreamId { millis: self.cursor.overlap(), number: 0 }..).count()
    }

    /// The answer to a verifier that knows the entries up to `after`.
    pub(super) fn after(&self, after: Option<&str>, age: Duration, now: Instant) -> Revocations {
        let own = self.cursor;
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let known = after.and_then(Cursor::parse).filter(|after| self.continues(*after, now));
        let Some(known) = known else {
            let revoked = self.ids_from(0);
            return Revocations { cursor: own, age_ms, reset: true, revoked, settled: false };
        };
        // A cursor of a replica that is ahead stays, so that the verifier does not go back. Entries before this cursor
        // may be unknown to that replica.
        let (cursor, settled) = if known.latest > own.latest { (known, false) } else { (own, true) };
        Revocations { cursor, age_ms, reset: false, revoked: self.ids_from(known.overlap()), settled }
    }

    /// Whether the entries from the overlap of `after` on are all that the verifier lacks.
    fn continues(&self, after: Cursor, now: Instant) -> bool {
        let keep = u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX);
        let latest = self.cursor.latest.millis;
        let is_ahead = after.latest.millis > latest.saturating_add(OVERLAP_MILLIS);
        let is_old = after.latest.millis.saturating_add(keep) < latest;
        !is_ahead && !is_old && self.whole_until.is_none_or(|until| until <= now)
    }

    fn ids_from(&self, millis: u64) -> Vec<String> {
        let entries = self.entries.range(StreamId { millis, number: 0 }..);
        entries.flat_map(|(_, entry)| entry.ids.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(95);

    fn entry(millis: u64, id: &str) -> Revocation {
        Revocation { id: StreamId { millis, number: 0 }, revoked: vec![id.to_owned()] }
    }

    fn ids(answer: &Revocations) -> String {
        answer.revoked.concat()
    }

    /// The window, the time of its reads, and its answer to a cursor.
    struct Scene(Window, Instant);

    impl Scene {
        fn new(entries: &[(u64, &str)]) -> Self {
            let mut scene = Self(Window::new(KEEP), Instant::now());
            scene.read(entries);
            scene
        }

        fn read(&mut self, entries: &[(u64, &str)]) {
            self.0.add(entries.iter().map(|(millis, id)| entry(*millis, id)).collect(), self.1);
        }

        fn after(&self, cursor: &str) -> Revocations {
            self.0.after(Some(cursor), Duration::ZERO, self.1)
        }
    }

    #[test]
    fn an_answer_overlaps_what_the_verifier_knows() {
        let scene = Scene::new(&[(10_000, "a"), (20_000, "b"), (24_000, "c"), (26_000, "d")]);
        let whole = scene.0.after(None, Duration::from_millis(7), scene.1);
        assert_eq!((whole.reset, ids(&whole).as_str(), whole.age_ms), (true, "abcd", 7));
        assert_eq!(whole.cursor.to_string(), "26000-0-2");
        let next = scene.after("24000-0-2");
        assert_eq!((next.reset, ids(&next).as_str(), next.settled), (false, "bcd", true), "{next:?}");
        let same = scene.after("26000-0-2");
        assert_eq!((same.cursor, ids(&same).as_str(), same.settled), (whole.cursor, "cd", true));
    }

    #[test]
    fn an_unknown_or_old_cursor_gets_the_whole_window() {
        let scene = Scene::new(&[(200_000, "a"), (300_000, "b")]);
        for cursor in ["", "x", "300000-0", "300000-0-1-1", "100000-0-1", "305001-0-1", "18446744073709551615-0-0"] {
            let answer = scene.after(cursor);
            assert_eq!((answer.reset, ids(&answer).as_str()), (true, "ab"), "{cursor}");
        }
    }

    #[test]
    fn a_cursor_of_a_replica_that_is_ahead_stays() {
        let scene = Scene::new(&[(200_000, "a"), (300_000, "b")]);
        let answer = scene.after("304000-0-1");
        assert_eq!((answer.cursor.to_string().as_str(), ids(&answer).as_str()), ("304000-0-1", "b"));
        assert!(!answer.reset && !answer.settled);
    }

    #[test]
    fn an_entry_that_arrives_late_changes_the_cursor() {
        let mut scene = Scene::new(&[(300_000, "a")]);
        let before = scene.after("300000-0-1").cursor;
        scene.read(&[(298_000, "b")]);
        let answer = scene.after(&before.to_string());
        assert_ne!(answer.cursor, before);
        assert_eq!(ids(&answer), "ba");
    }

    #[test]
    fn after_a_step_back_of_the_clock_every_answer_is_whole_for_a_while() {
        let mut scene = Scene::new(&[(300_000, "a")]);
        scene.read(&[(100_000, "b")]);
        let answer = scene.after("300000-0-1");
        assert_eq!((answer.reset, ids(&answer).as_str(), answer.settled), (true, "ba", false));
        scene.1 += WHOLE;
        assert!(!scene.after("300000-0-1").reset);
    }

    #[test]
    fn an_entry_goes_when_its_tokens_have_expired() {
        let mut scene = Scene::new(&[(100_000, "a"), (300_000, "b"), (302_000, "c")]);
        scene.0.forget(scene.1 + KEEP / 2);
        assert_eq!(ids(&scene.after("")), "abc");
        scene.0.forget(scene.1 + KEEP);
        assert_eq!(ids(&scene.after("")), "bc", "each read returns the overlap again");
        assert_eq!(scene.after("").cursor.to_string(), "302000-0-2");
    }
}
