//! Collects log lines in memory. A separate thread writes them, many lines with one system call.
//!
//! `tracing-appender` allocates for each line, makes a system call for each line, counts lines instead of bytes, and
//! adds crates to the build.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{metrics::Metrics, parts::write_in_parts};

/// The maximum number of bytes that wait to be written. Further lines are dropped, so that a reader who stops reading
/// blocks no request. Lines of the audit trail are kept nevertheless.
const PENDING_MAX_BYTES: usize = 2 << 20;
/// When more bytes of the audit trail wait to be written, no further use case begins that may add a line.
const KEPT_MAX_BYTES: usize = 1 << 20;
/// The time for which the thread collects lines before it writes them.
const GATHER: Duration = Duration::from_millis(5);
/// The longest wait for the last lines, if the reader has stopped reading.
const FINISH: Duration = Duration::from_secs(1);
/// The longest wait for the last lines, if the reader is slow.
const FINISH_MAX: Duration = Duration::from_secs(10);
/// The capacity that a buffer keeps after a burst of lines.
const KEPT_CAPACITY: usize = 256 << 10;

/// Accepts lines. A clone writes to the same output.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    /// The number of parts that the thread has written.
    parts: AtomicU64,
    /// Whether too many bytes of the audit trail are pending.
    full: watch::Sender<bool>,
    metrics: Metrics,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many of the bytes must not be dropped.
    kept: usize,
    /// The last byte of each line that must not be dropped, by its place in `bytes`.
    kept_ends: Vec<usize>,
    dropped: u64,
    ends: bool,
}

/// Its drop writes the remaining lines. It waits for a reader who reads, but at most one second for one who does not.
pub(super) struct Guard {
    lines: Lines,
    finished: mpsc::Receiver<()>,
}

impl Lines {
    /// Starts the thread that writes to `output`, without a buffer. The thread calls `report_dropped` with the number of lines that were
    /// dropped since its last call.
    ///
    /// # Errors
    /// When the operating system provides no thread.
    pub(super) fn start(
        thread_name: &str,
        output: impl Write + Send + 'static,
        metrics: &Metrics,
        report_dropped: fn(u64),
    ) -> io::Result<(Self, Guard)> {
        let (full, _) = watch::channel(false);
        let (pending, changed, metrics) = (Mutex::default(), Condvar::new(), metrics.clone());
        let lines = Self(Arc::new(Shared { pending, changed, parts: AtomicU64::new(0), full, metrics }));
        let (finish, finished) = mpsc::channel();
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name(thread_name.to_owned()).spawn(move || {
            shared.write_to(output, report_dropped);
            // The guard may have stopped waiting.
            let _ = finish.send(());
        })?;
        Ok((lines.clone(), Guard { lines, finished }))
    }

    /// Becomes true when too many bytes of the audit trail are pending.
    pub(super) fn full(&self) -> watch::Receiver<bool> {
        self.0.full.subscribe()
    }

    /// Adds a line, which is dropped if too many bytes wait to be written.
    pub(super) fn add(&self, line: &[u8]) {
        let mut pending = self.0.pending();
        if pending.bytes.len() + line.len() > PENDING_MAX_BYTES {
            pending.dropped += 1;
            self.0.metrics.dropped.inc();
            return;
        }
        self.0.push(&mut pending, line);
    }

    /// Adds whole lines that must not be dropped.
    pub(super) fn keep(&self, lines: &[u8]) {
        let mut pending = self.0.pending();
        pending.kept += lines.len();
        if pending.kept > KEPT_MAX_BYTES {
            self.0.full.send_if_modified(|full| !mem::replace(full, true));
        }
        let (start, ends) = (pending.bytes.len(), lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n'));
        pending.kept_ends.extend(ends.map(|(at, _)| start + at));
        self.0.push(&mut pending, lines);
    }

    /// As [`Lines::keep`], but waits while too many of such lines are pending. Only a thread that may block calls this.
    pub(super) fn keep_in_turn(&self, lines: &[u8]) {
        while *self.0.full.borrow() {
            thread::sleep(GATHER);
        }
        self.keep(lines);
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, pending: &mut Pending, lines: &[u8]) {
        pending.bytes.extend_from_slice(lines);
        // The thread sleeps only while nothing is pending.
        if pending.bytes.len() == lines.len() {
            self.changed.notify_one();
        }
    }

    fn write_to(&self, mut output: impl Write, report_dropped: fn(u64)) {
        let (mut bytes, mut kept_ends) = (Vec::new(), Vec::new());
        loop {
            let (ends, dropped) = self.take(&mut bytes, &mut kept_ends);
            write_in_parts(&mut output, &bytes, |missing| {
                let lost = kept_ends.iter().filter(|end| missing.contains(*end)).count();
                self.metrics.lost.inc_by(lost as u64);
                self.parts.fetch_add(1, Relaxed);
            });
            bytes.clear();
            bytes.shrink_to(KEPT_CAPACITY);
            kept_ends.clear();
            kept_ends.shrink_to(KEPT_CAPACITY / 256);
            if dropped > 0 {
                report_dropped(dropped);
            } else if ends {
                return;
            }
        }
    }

    /// Waits for lines, moves them into `bytes` and the ends of kept lines into `kept_ends`, which must both be empty,
    /// and returns whether the log ends and how many lines were dropped.
    fn take(&self, bytes: &mut Vec<u8>, kept_ends: &mut Vec<usize>) -> (bool, u64) {
        let idle = |pending: &mut Pending| pending.bytes.is_empty() && !pending.ends;
        let mut pending = self.changed.wait_while(self.pending(), idle).unwrap_or_else(PoisonError::into_inner);
        if !pending.ends {
            drop(pending);
            thread::sleep(GATHER);
            pending = self.pending();
        }
        mem::swap(&mut pending.bytes, bytes);
        mem::swap(&mut pending.kept_ends, kept_ends);
        pending.kept = 0;
        self.full.send_if_modified(mem::take);
        (pending.ends, mem::take(&mut pending.dropped))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = &self.lines.0;
        shared.pending().ends = true;
        shared.changed.notify_one();
        let start = Instant::now();
        loop {
            let before = shared.parts.load(Relaxed);
            let timed_out = self.finished.recv_timeout(FINISH) == Err(mpsc::RecvTimeoutError::Timeout);
            // A reader who has stopped reading must not keep the process alive.
            if !timed_out || shared.parts.load(Relaxed) == before || start.elapsed() > FINISH_MAX {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn add_lines(lines: &Lines, count: usize) {
        for n in 0..count {
            lines.add(format!("line {n}\n").as_bytes());
        }
    }

    #[test]
    fn lines_keep_their_order_and_the_guard_writes_the_last() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, guard) =
            Lines::start("log", writer, &Metrics::default(), |_| unreachable!("nothing is dropped")).unwrap();
        add_lines(&lines, 1_000);
        drop(guard);
        let expected: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(io::read_to_string(reader).unwrap(), expected);
    }

    #[test]
    fn lines_are_written_while_the_log_goes_on() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (lines, _guard) = Lines::start("log", writer, &Metrics::default(), |_| ()).unwrap();
        let mut text = [0; 7];
        for _ in 0..3 {
            add_lines(&lines, 1);
            io::Read::read_exact(&mut reader, &mut text).unwrap();
            assert_eq!(&text, b"line 0\n");
        }
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_counted() {
        static DROPPED: AtomicU64 = AtomicU64::new(0);
        let (reader, writer) = io::pipe().unwrap();
        let (lines, guard) =
            Lines::start("log", writer, &Metrics::default(), |count| _ = DROPPED.fetch_add(count, Ordering::Relaxed))
                .unwrap();
        // Nobody reads yet. The pipe becomes full, at most `PENDING_MAX_BYTES` wait, and the thread holds at most as
        // many, so a part of the lines is dropped.
        let line = [b'x'; 1 << 10];
        let count = 3 * PENDING_MAX_BYTES / line.len();
        for _ in 0..count {
            lines.add(&line);
        }
        let written = thread::spawn(|| io::read_to_string(reader).unwrap().len() / (1 << 10));
        drop(guard);
        let (written, dropped) = (written.join().unwrap(), DROPPED.load(Ordering::Relaxed) as usize);
        assert!(dropped > 0 && written >= PENDING_MAX_BYTES / line.len(), "{written} written, {dropped} dropped");
        assert_eq!(written + dropped, count);
    }

    #[test]
    fn kept_lines_are_not_dropped_and_fill_the_trail() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, guard) = Lines::start("log", writer, &Metrics::default(), |_| ()).unwrap();
        let full = lines.full();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for n in 0..8 * PENDING_MAX_BYTES / line.len() {
            lines.add(&line);
            if n % 8 == 0 {
                lines.keep(format!("kept {n}\n").as_bytes());
            }
        }
        assert!(!*full.borrow());
        while !*full.borrow() {
            lines.keep(&line);
        }
        let written = thread::spawn(|| io::read_to_string(reader).unwrap());
        lines.keep_in_turn(b"last\n");
        drop(guard);
        let written = written.join().unwrap();
        let kept: Vec<_> = written.lines().filter_map(|line| line.strip_prefix("kept ")).collect();
        assert_eq!(kept, (0..8 * PENDING_MAX_BYTES / line.len()).step_by(8).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(written.ends_with("last\n") && !*full.borrow());
        assert!(written.len() < 4 * PENDING_MAX_BYTES, "other lines are dropped");
    }

    #[test]
    fn a_reader_who_does_not_read_holds_up_neither_lines_nor_the_end() {
        let (_reader, writer) = io::pipe().unwrap();
        let (lines, guard) = Lines::start("log", writer, &Metrics::default(), |_| ()).unwrap();
        add_lines(&lines, 100_000);
        let start = std::time::Instant::now();
        drop(guard);
        assert!(start.elapsed() < 10 * FINISH, "{:?}", start.elapsed());
    }

    #[test]
    fn an_output_that_fails_loses_its_lines_and_nothing_else() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (lines, guard) = Lines::start("log", writer, &Metrics::default(), |_| ()).unwrap();
        add_lines(&lines, 10);
        drop(guard);
    }
}
