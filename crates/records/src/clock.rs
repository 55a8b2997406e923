//! The clock that all replicas share, its difference from the clock of this machine, and the RFC 3339 format of times.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The clock of the store. Between two readings of the store's time, the monotonic clock of this machine advances the
/// clock, so steps of this machine's wall clock have no effect. All clones share one clock.
///
/// Until the store has set the clock, it shows 0. So no token seems expired, and a request fails only because the store
/// is not there.
#[derive(Clone)]
pub struct Clock(Arc<State>);

struct State {
    /// The zero of the monotonic clock.
    start: Instant,
    /// The time at `start`, in microseconds since the Unix epoch. 0 until the clock is set.
    origin_micros: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that waits for [`Clock::set`].
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(State { start: Instant::now(), origin_micros: AtomicU64::new(0) }))
    }

    /// Whether the clock has been set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.origin_micros.load(Ordering::Relaxed) != 0
    }

    /// Sets the clock. The time of the store was `time_micros`, in microseconds since the Unix epoch, at the moment
    /// `at`.
    pub fn set(&self, time_micros: u64, at: Instant) {
        let since_start = micros(at.saturating_duration_since(self.0.start));
        self.0.origin_micros.store(time_micros.saturating_sub(since_start), Ordering::Relaxed);
    }

    /// The current time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        self.now_micros() / 1_000
    }

    /// The current time, in seconds since the Unix epoch.
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        self.now_micros() / 1_000_000
    }

    fn now_micros(&self) -> u64 {
        match self.0.origin_micros.load(Ordering::Relaxed) {
            0 => 0,
            origin => origin + micros(self.0.start.elapsed()),
        }
    }

    /// The difference between this clock and the clock of this machine. `None` until the clock is set.
    #[must_use]
    pub fn skew(&self) -> Option<Skew> {
        self.is_set().then(|| Skew::between(Duration::from_micros(self.now_micros()), machine_time()))
    }
}

/// How far the clock of the store is from the clock of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    distance: Duration,
    is_ahead: bool,
}

impl Skew {
    /// Tokens live for a minute, so a difference of more than a second matters.
    const MOST: Duration = Duration::from_secs(1);

    /// The difference between two times since the Unix epoch.
    #[must_use]
    pub fn between(store: Duration, machine: Duration) -> Self {
        Self { distance: store.abs_diff(machine), is_ahead: store > machine }
    }

    /// The time of this machine minus the time of the store, in seconds.
    #[must_use]
    pub fn machine_ahead_seconds(self) -> f64 {
        let seconds = self.distance.as_secs_f64();
        if self.is_ahead { -seconds } else { seconds }
    }

    /// Whether an operator should set a clock.
    #[must_use]
    pub fn matters(self) -> bool {
        self.distance > Self::MOST
    }

    /// Whether an operator who knows of the difference `known` should hear of this difference too: it has changed by
    /// more than a second, and by more than half of what it was.
    #[must_use]
    pub fn is_news_after(self, known: Option<Self>) -> bool {
        let Some(known) = known else { return self.matters() };
        let changed = if known.is_ahead == self.is_ahead {
            known.distance.abs_diff(self.distance)
        } else {
            known.distance + self.distance
        };
        changed > Self::MOST.max(known.distance / 2)
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.is_ahead { "ahead of" } else { "behind" };
        if self.matters() {
            write!(f, "{:.1} s {direction} this machine's", self.distance.as_secs_f64())
        } else {
            write!(f, "{} ms {direction} this machine's", self.distance.as_millis())
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now_millis()).finish()
    }
}

/// The time of this machine's wall clock, since the Unix epoch.
#[must_use]
pub fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The last second that [`rfc3339`] can format.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads a time as seconds since the Unix epoch: RFC 3339, also with a blank instead of the `T`. A time without an offset
/// is in UTC. `None` for a time before 1970 or after 9999, and for any other text.
#[must_use]
pub fn parse_time(text: &str) -> Option<u64> {
    let at_offset = text.len().checked_sub("+00:00".len())?;
    let (time, offset) = match text.split_at_checked(at_offset)? {
        (time, offset) if time.contains(':') && offset.starts_with(['+', '-']) => {
            ((!time.ends_with('Z')).then_some(time)?, offset_seconds(offset)?)
        }
        _ => (text, 0),
    };
    let time = humantime::parse_rfc3339_weak(time).ok()?.duration_since(UNIX_EPOCH).ok()?;
    time.as_secs().checked_add_signed(-offset).filter(|time| *time <= LAST_SECOND)
}

/// Reads an offset from UTC, such as `+02:00`.
fn offset_seconds(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    (hours < 24 && minutes < 60).then_some(if text.starts_with('-') { -seconds } else { seconds })
}

/// Formats seconds since the Unix epoch as an RFC 3339 time in UTC.
#[must_use]
pub fn rfc3339(unix_seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let seconds = 1_700_000_000;
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13:20.987654",
            "2023-11-14T22:13:20.5+00:00",
            "2023-11-15T00:13:20+02:00",
            "2023-11-14 18:43:20-03:30",
        ] {
            assert_eq!(parse_time(text), Some(seconds), "{text}");
        }
        assert_eq!(parse_time(&rfc3339(LAST_SECOND)), Some(LAST_SECOND));
        for text in [
            "",
            "now",
            "2023-11-14",
            "2023-11-14T22:13:20+2:00",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20Z+02:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2023-13-14T22:13:20Z",
            "2023-11-14T22:13:\u{e9}0Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_shows_the_time_that_the_store_said_and_goes_on() {
        let clock = Clock::new();
        assert_eq!((clock.is_set(), clock.now_seconds(), clock.skew()), (false, 0, None));
        clock.set(1_000_000_000, Instant::now());
        let first = clock.now_millis();
        assert!((1_000_000..1_001_000).contains(&first), "{first}");
        assert!(clock.clone().now_millis() >= first);
        assert!(clock.skew().is_some_and(Skew::matters));
    }

    fn skew(store_millis: u64) -> Skew {
        Skew::between(Duration::from_millis(store_millis), Duration::from_secs(1_000))
    }

    #[test]
    fn a_difference_names_its_direction() {
        assert_eq!(skew(1_600_000).to_string(), "600.0 s ahead of this machine's");
        assert_eq!(skew(400_000).to_string(), "600.0 s behind this machine's");
        assert_eq!(skew(1_000_012).to_string(), "12 ms ahead of this machine's");
        assert_eq!((skew(1_001_000).matters(), skew(998_999).matters()), (false, true));
        let seconds = [skew(1_000_500), skew(999_500)].map(Skew::machine_ahead_seconds);
        assert!(seconds[0] == -0.5 && seconds[1] == 0.5, "{seconds:?}");
    }

    #[test]
    fn a_difference_is_news_when_it_changes_much() {
        let known = Some(skew(1_600_000));
        assert!(!skew(1_000_900).is_news_after(None) && skew(1_001_100).is_news_after(None));
        for (store_millis, is_news) in
            [(1_600_000, false), (1_800_000, false), (1_901_000, true), (1_000_000, true), (400_000, true)]
        {
            assert_eq!(skew(store_millis).is_news_after(known), is_news, "{store_millis}");
        }
        // The difference that was small enough again is known too.
        assert!(!skew(1_000_800).is_news_after(Some(skew(1_000_000))));
    }
}
