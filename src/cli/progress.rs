//! The progress of a long command: one line on standard error, if that is a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// The shortest time between two changes of the line.
const INTERVAL: Duration = Duration::from_millis(200);
/// The number of characters of the bar.
const WIDTH: u64 = 30;

/// The progress of a command. Its drop removes the line.
pub(super) struct Progress {
    is_shown: bool,
    /// The size of the input in bytes, if it is known.
    size: Option<u64>,
    start: Instant,
    last: Instant,
}

impl Progress {
    pub(super) fn new(size: Option<u64>) -> Self {
        let now = Instant::now();
        Self { is_shown: io::stderr().is_terminal(), size, start: now, last: now }
    }

    /// Shows how many lines are done, and how many bytes of the input.
    pub(super) fn show(&mut self, lines: u64, bytes: u64) {
        if self.is_shown && self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            let elapsed = self.start.elapsed().as_secs_f64();
            let bar = self.size.map(|size| bar(bytes, size)).unwrap_or_default();
            print(&format!("\r{bar}{lines} lines, {:.0} a second\x1b[K", lines as f64 / elapsed));
        }
    }

    /// Removes the line, so that another can be printed.
    pub(super) fn hide(&self) {
        if self.is_shown {
            print("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}

fn print(text: &str) {
    // `eprint` would panic after the terminal was closed, and end the command.
    let _ = write!(io::stderr(), "{text}");
}

fn bar(done: u64, size: u64) -> String {
    let size = size.max(1);
    let done = done.min(size);
    let full = (done.saturating_mul(WIDTH) / size) as usize;
    format!("[{:30}] {:3} %, ", "#".repeat(full), done.saturating_mul(100) / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_from_nothing_to_all() {
        assert_eq!(bar(0, 10), format!("[{}]   0 %, ", " ".repeat(30)));
        assert_eq!(bar(5, 10), format!("[{}{}]  50 %, ", "#".repeat(15), " ".repeat(15)));
        for (done, size) in [(10, 10), (11, 10), (1, 0)] {
            assert!(bar(done, size).starts_with(&format!("[{}]", "#".repeat(30))), "{done} of {size}");
        }
    }
}
