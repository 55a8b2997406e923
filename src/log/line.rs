//! One line of the log: whether it belongs to the audit trail, and may therefore not be dropped.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::writer::Lines;

/// The target of every line of the audit trail.
pub const TRAIL: &str = "audit";

/// Whether an event is a line of the audit trail. A warning about a setting has the same target, but is for the operator
/// who reads the log.
pub(super) fn is_of_trail(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TRAIL && *metadata.level() == Level::INFO
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, kept: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, kept: is_of_trail(metadata) }
    }
}

/// Accepts one line. Each write must hold the whole line, and `tracing_subscriber` does that.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    kept: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.kept {
            self.lines.keep(line);
        } else {
            self.lines.add(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
