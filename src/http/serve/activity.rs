//! The phase of each connection, and how long it may last.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

/// The maximum time for the head of a request to arrive. For the first request, the time starts when the connection is
/// accepted (OWASP ASVS 5.0, clause 13.2.6).
const HEAD_TIMEOUT: Duration = Duration::from_secs(8);
/// At shutdown: the maximum time for the first bytes to arrive on a connection. A load balancer that has just connected
/// is about to send a request, and may not repeat this request when the connection closes.
const LAST_FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeouts of connections and of the shutdown.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
    /// At shutdown: how long requests in flight may take.
    pub shutdown: Duration,
}

/// The limits of one worker's connections.
pub(super) struct Limits {
    keep_alive: Duration,
    closing: AtomicBool,
}

impl Limits {
    pub(super) fn new(keep_alive: Duration) -> Self {
        Self { keep_alive, closing: AtomicBool::new(false) }
    }

    /// From now on, every connection without a request ends. One that has just been accepted gets a second to send it.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// The phase of one connection. Its stream and its service update the phase, and the worker's sweep checks it.
pub(super) struct Activity {
    limits: Arc<Limits>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    since: Instant,
    /// Wakes the task that waits to read.
    reader: Option<Waker>,
    /// Whether the connection ends, to make room for another one, unless a request begins first.
    gives_way: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has arrived yet.
    New,
    /// The head of a request has begun to arrive.
    Head,
    /// A request is being served.
    Serving,
    /// The answer is on its way out.
    Sending,
    /// Between two requests.
    Idle,
}

impl Activity {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        let state = State { phase: Phase::New, since: Instant::now(), reader: None, gives_way: false };
        Self { limits, state: Mutex::new(state) }
    }

    pub(super) fn bytes_arrived(&self) {
        let mut state = self.state();
        match state.phase {
            // The time for the head has run since the connection was accepted.
            Phase::New => (state.phase, state.gives_way) = (Phase::Head, false),
            Phase::Idle => state.begin(Phase::Head),
            Phase::Head | Phase::Serving | Phase::Sending => {}
        }
    }

    pub(super) fn request_arrived(&self) {
        self.state().begin(Phase::Serving);
    }

    pub(super) fn request_answered(&self) {
        self.state().begin(Phase::Sending);
    }

    /// All output is written.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        if state.phase == Phase::Sending {
            state.begin(Phase::Idle);
        }
    }

    /// Records that the connection has nothing to read, and how to wake it. Returns whether its time is over.
    pub(super) fn waits_to_read(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        match &mut state.reader {
            Some(reader) => reader.clone_from(waker),
            reader @ None => *reader = Some(waker.clone()),
        }
        self.limits.are_over(&state)
    }

    /// If the time of the connection is over, wakes it to read again, so that it ends if nothing has arrived.
    pub(super) fn wake_if_over(&self) {
        self.wake_reader_if_over(&self.state());
    }

    /// The time since which the connection has had no request: since its last answer, or since it was accepted. `None`
    /// while it has a request, or is already giving way.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.is_idle() && !state.gives_way).then_some(state.since)
    }

    /// Ends the connection if it has been idle since then. A request that begins first is still served. Returns whether
    /// the connection was idle.
    pub(super) fn give_way(&self, idle_since: Instant) -> bool {
        let mut state = self.state();
        if !state.is_idle() || state.since != idle_since {
            return false;
        }
        state.gives_way = true;
        self.wake_reader_if_over(&state);
        true
    }

    /// Whether the connection is about to end. `false` if a request has begun after [`Activity::give_way`].
    pub(super) fn gives_way(&self) -> bool {
        self.state().gives_way
    }

    fn wake_reader_if_over(&self, state: &State) {
        if let Some(reader) = state.reader.as_ref().filter(|_| self.limits.are_over(state)) {
            reader.wake_by_ref();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
        self.gives_way = false;
    }

    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Idle)
    }
}

impl Limits {
    /// A request that has begun is cut off only if its head takes too long.
    fn are_over(&self, state: &State) -> bool {
        let limit = match state.phase {
            Phase::Serving | Phase::Sending => return false,
            Phase::New | Phase::Idle if state.gives_way => return true,
            Phase::New if self.closing.load(Ordering::Relaxed) => LAST_FIRST_BYTES_TIMEOUT,
            Phase::Idle if self.closing.load(Ordering::Relaxed) => return true,
            Phase::New | Phase::Head => HEAD_TIMEOUT,
            Phase::Idle => self.keep_alive,
        };
        state.since.elapsed() >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(activity: &Activity) -> bool {
        activity.waits_to_read(Waker::noop())
    }

    fn serve(activity: &Activity) {
        activity.bytes_arrived();
        activity.request_arrived();
        activity.request_answered();
        activity.flushed();
    }

    #[test]
    fn only_an_idle_connection_is_over_after_the_keep_alive() {
        let activity = Activity::new(Arc::new(Limits::new(Duration::ZERO)));
        assert!(!is_over(&activity), "nothing has arrived yet");
        for _ in 0..2 {
            activity.bytes_arrived();
            assert!(!is_over(&activity), "a head arrives");
            activity.request_arrived();
            activity.bytes_arrived();
            activity.flushed();
            assert!(!is_over(&activity), "a request is served, of which the body has arrived and a 100 has gone out");
            activity.request_answered();
            assert!(!is_over(&activity), "the answer goes out");
            activity.flushed();
            assert!(is_over(&activity), "idle");
        }
    }

    #[test]
    fn closing_ends_what_has_no_request() {
        let limits = Arc::new(Limits::new(Duration::from_secs(75)));
        let connections: [_; 4] = std::array::from_fn(|_| Activity::new(Arc::clone(&limits)));
        let [new, idle, head, serving] = &connections;
        serve(idle);
        serve(head);
        head.bytes_arrived();
        serving.request_arrived();
        assert_eq!(connections.each_ref().map(is_over), [false; 4]);
        limits.close();
        assert_eq!(connections.each_ref().map(is_over), [false, true, false, false], "a request may be on its way");
        new.state().since -= LAST_FIRST_BYTES_TIMEOUT;
        assert_eq!(connections.each_ref().map(is_over), [true, true, false, false]);
    }

    #[test]
    fn only_an_idle_connection_gives_way_and_only_until_a_request_begins() {
        let limits = Arc::new(Limits::new(Duration::from_secs(75)));
        let connections: [_; 4] = std::array::from_fn(|_| Activity::new(Arc::clone(&limits)));
        let [new, idle, head, serving] = &connections;
        serve(idle);
        head.bytes_arrived();
        serving.request_arrived();
        for begun in [head, serving] {
            let since = begun.state().since;
            assert!(begun.idle_since().is_none() && !begun.give_way(since));
        }
        for empty in [new, idle] {
            let since = empty.idle_since().unwrap();
            assert!(!empty.give_way(since + Duration::from_nanos(1)), "idle since another moment");
            assert!(empty.give_way(since) && empty.gives_way() && is_over(empty));
            assert!(empty.idle_since().is_none(), "it gives way once");
            empty.bytes_arrived();
            assert!(!empty.gives_way() && !is_over(empty), "a request has begun");
        }
    }

    #[test]
    fn a_head_that_takes_too_long_is_over() {
        let limits = Arc::new(Limits::new(Duration::from_secs(75)));
        let connections: [_; 4] = std::array::from_fn(|_| Activity::new(Arc::clone(&limits)));
        let [_new, idle, head, serving] = &connections;
        serve(idle);
        head.bytes_arrived();
        serving.request_arrived();
        for activity in &connections {
            activity.state().since -= HEAD_TIMEOUT;
        }
        assert_eq!(connections.each_ref().map(is_over), [true, false, true, false]);
    }
}
