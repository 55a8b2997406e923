//! Collects log lines in memory. A separate thread writes them, many lines with one system call.
//!
//! `tracing-appender` allocates for each line, makes a system call for each line, counts lines instead of bytes, and
//! adds crates to the build.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of bytes that wait to be written. Further lines are dropped, so that a reader who stops reading
/// blocks no request.
const PENDING_MAX_BYTES: usize = 2 << 20;
/// The time for which the thread collects lines before it writes them.
const GATHER: Duration = Duration::from_millis(5);
/// The longest wait for the last lines.
const FINISH: Duration = Duration::from_secs(1);
/// The capacity that a buffer keeps after a burst of lines.
const KEPT_BYTES: usize = 256 << 10;

/// Accepts lines. A clone writes to the same output.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    dropped: u64,
    ends: bool,
}

/// Its drop writes the remaining lines, and waits for that at most one second.
pub struct Guard {
    lines: Lines,
    finished: mpsc::Receiver<()>,
}

impl Lines {
    /// Starts the thread that writes to `output`. The thread calls `report_dropped` with the number of lines that were
    /// dropped since its last call.
    ///
    /// # Errors
    /// When the operating system provides no thread.
    pub(super) fn start(output: impl Write + Send + 'static, report_dropped: fn(u64)) -> io::Result<(Self, Guard)> {
        let lines = Self(Arc::new(Shared { pending: Mutex::default(), changed: Condvar::new() }));
        let (finish, finished) = mpsc::channel();
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            shared.write_to(output, report_dropped);
            // The guard may have stopped waiting.
            let _ = finish.send(());
        })?;
        Ok((lines.clone(), Guard { lines, finished }))
    }

    fn add(&self, line: &[u8]) {
        let mut pending = self.0.pending();
        if pending.bytes.len() + line.len() > PENDING_MAX_BYTES {
            pending.dropped += 1;
            return;
        }
        pending.bytes.extend_from_slice(line);
        // The thread sleeps only while nothing is pending.
        if pending.bytes.len() == line.len() {
            self.0.changed.notify_one();
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write, report_dropped: fn(u64)) {
        let mut bytes = Vec::new();
        loop {
            let (ends, dropped) = self.take(&mut bytes);
            // An error cannot be reported, because the log itself has failed.
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
            if dropped > 0 {
                report_dropped(dropped);
            } else if ends {
                return;
            }
        }
    }

    /// Waits for lines, moves them into `bytes`, which must be empty, and returns whether the log ends and how many
    /// lines were dropped.
    fn take(&self, bytes: &mut Vec<u8>) -> (bool, u64) {
        let idle = |pending: &mut Pending| pending.bytes.is_empty() && !pending.ends;
        let mut pending = self.changed.wait_while(self.pending(), idle).unwrap_or_else(PoisonError::into_inner);
        if !pending.ends {
            drop(pending);
            thread::sleep(GATHER);
            pending = self.pending();
        }
        mem::swap(&mut pending.bytes, bytes);
        (pending.ends, mem::take(&mut pending.dropped))
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Each call must hold one whole line. `tracing_subscriber` does that.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.0.pending().ends = true;
        self.lines.0.changed.notify_one();
        // A reader who has stopped reading must not keep the process alive.
        let _ = self.finished.recv_timeout(FINISH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn add_lines(lines: &Lines, count: usize) {
        for n in 0..count {
            (&mut &*lines).write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
    }

    #[test]
    fn lines_keep_their_order_and_the_guard_writes_the_last() {
        let (reader, writer) = io::pipe().unwrap();
        let (lines, guard) = Lines::start(writer, |_| unreachable!("nothing is dropped")).unwrap();
        add_lines(&lines, 1_000);
        drop(guard);
        let expected: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(io::read_to_string(reader).unwrap(), expected);
    }

    #[test]
    fn lines_are_written_while_the_log_goes_on() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (lines, _guard) = Lines::start(writer, |_| ()).unwrap();
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
        let (lines, guard) = Lines::start(writer, |count| _ = DROPPED.fetch_add(count, Ordering::Relaxed)).unwrap();
        // Nobody reads yet. The pipe becomes full, at most `PENDING_MAX_BYTES` wait, and the thread holds at most as
        // many, so a part of the lines is dropped.
        let line = [b'x'; 1 << 10];
        let count = 3 * PENDING_MAX_BYTES / line.len();
        for _ in 0..count {
            (&lines).write_all(&line).unwrap();
        }
        let written = thread::spawn(|| io::read_to_string(reader).unwrap().len() / (1 << 10));
        drop(guard);
        let (written, dropped) = (written.join().unwrap(), DROPPED.load(Ordering::Relaxed) as usize);
        assert!(dropped > 0 && written >= PENDING_MAX_BYTES / line.len(), "{written} written, {dropped} dropped");
        assert_eq!(written + dropped, count);
    }

    #[test]
    fn a_reader_who_does_not_read_holds_up_neither_lines_nor_the_end() {
        let (_reader, writer) = io::pipe().unwrap();
        let (lines, guard) = Lines::start(writer, |_| ()).unwrap();
        add_lines(&lines, 100_000);
        let start = std::time::Instant::now();
        drop(guard);
        assert!(start.elapsed() < 10 * FINISH, "{:?}", start.elapsed());
    }

    #[test]
    fn an_output_that_fails_loses_its_lines_and_nothing_else() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (lines, guard) = Lines::start(writer, |_| ()).unwrap();
        add_lines(&lines, 10);
        drop(guard);
    }
}
