//! The lines of the input: numbered, of bounded length, without byte order mark and carriage returns.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// The longest line, in bytes, without its line break.
pub(super) const LONGEST_LINE: usize = 64 * 1024;

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    /// The line is longer than [`LONGEST_LINE`].
    TooLong,
}

/// Reads lines. It holds one line in memory, however long the input and its lines are.
pub(super) struct Input {
    source: Box<dyn BufRead>,
    /// The size of the input, if it is a file.
    pub(super) size: Option<u64>,
    /// The number of bytes so far.
    pub(super) bytes: u64,
    /// The number of the last line, from 1.
    pub(super) number: u64,
    line: Vec<u8>,
}

impl Input {
    /// Opens a file, or standard input for the path `-`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(Box::new(BufReader::new(io::stdin())), None));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            // Only the first read would fail, when the import has already created a store.
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(Box::new(BufReader::new(file)), size))
    }

    fn new(source: Box<dyn BufRead>, size: Option<u64>) -> Self {
        Self { source, size, bytes: 0, number: 0, line: Vec::new() }
    }

    /// The next line that is not blank. `None` after the last one.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let Some(fits) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            if !fits {
                return Ok(Some(Line::TooLong));
            }
            if self.number == 1 && self.line.starts_with("\u{feff}".as_bytes()) {
                self.line.drain(.."\u{feff}".len());
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line::Text(self.line.trim_ascii())));
            }
        }
    }

    /// Reads up to the next line break. Returns whether the line fits, or `None` at the end of the input.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut any, mut fits) = (false, true);
        loop {
            let chunk = match self.source.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(any.then_some(fits));
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let text = &chunk[..end.unwrap_or(chunk.len())];
            fits &= self.line.len() + text.len() <= LONGEST_LINE;
            if fits {
                self.line.extend_from_slice(text);
            }
            let used = text.len() + usize::from(end.is_some());
            self.source.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and the texts of all lines. A line that is too long has no text.
    fn lines(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let source = BufReader::with_capacity(7, io::Cursor::new(text.to_vec()));
        let mut input = Input::new(Box::new(source), None);
        let mut lines = Vec::new();
        while let Some(line) = input.next_line().unwrap() {
            let text = match line {
                Line::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
                Line::TooLong => None,
            };
            lines.push((input.number, text));
        }
        assert_eq!(input.bytes, text.len() as u64);
        lines
    }

    #[test]
    fn blank_lines_are_counted_and_left_out() {
        let text = |number, text: &str| (number, Some(text.to_owned()));
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\xef\xbb\xbffirst line\r\n\r\n \t\nlast"), [text(1, "first line"), text(4, "last")]);
        assert_eq!(lines(b"\xef\xbb\xbf\n2\n\n"), [text(2, "2")]);
    }

    #[test]
    fn a_line_that_is_too_long_does_not_spoil_the_next() {
        let longest = "x".repeat(LONGEST_LINE);
        let all = lines(format!("{longest}\n{longest}x\nnext\n{longest}xyz").as_bytes());
        assert_eq!(all, [(1, Some(longest)), (2, None), (3, Some("next".to_owned())), (4, None)]);
    }
}
