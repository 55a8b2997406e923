//! A file of hashes in ascending order. The file may take tens of gigabytes, so a search reads only the lines that it
//! compares.

use std::{cmp::Ordering, fs::File, io, os::unix::fs::FileExt, path::Path};

/// The maximum length of a line with its line break: the digits, a colon, and a count.
const LINE_MAX: usize = 64;
/// The number of lines whose order the server checks at the start. Have I Been Pwned has also published lists in the
/// order of frequency, in which a binary search finds nothing.
const CHECKED_LINES: u64 = 100;

/// A file with lines in ascending order.
pub(crate) struct Lines {
    file: File,
    bytes: u64,
}

/// A line of a file.
struct Line {
    /// The digits of the hash, in capital letters.
    hash: Vec<u8>,
    start: u64,
    /// Where the next line starts.
    end: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(explain)?;
        let metadata = file.metadata().map_err(explain)?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(invalid(&format!("{} is empty, or is not a regular file", path.display())));
        }
        Ok(Self { file, bytes: metadata.len() })
    }

    /// Checks lines from all parts of the file: their form, and their order.
    pub(crate) fn check(&self, digits: usize) -> io::Result<()> {
        let mut last = Vec::new();
        for part in 0..CHECKED_LINES {
            let Some(line) = self.line_from(self.bytes / CHECKED_LINES * part, digits)? else { break };
            if line.hash < last {
                return Err(invalid("a line is out of order"));
            }
            last = line.hash;
        }
        Ok(())
    }

    /// Whether one of the lines begins with exactly these digits. A binary search: the wanted line starts at `low` or
    /// later, and before `high`.
    pub(crate) fn contain(&self, digits: &str) -> io::Result<bool> {
        let (mut low, mut high) = (0, self.bytes);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.line_from(middle, digits.len())?.filter(|line| line.start < high) {
                None => high = middle,
                Some(line) => match line.hash.as_slice().cmp(digits.as_bytes()) {
                    Ordering::Equal => return Ok(true),
                    Ordering::Less => low = line.end,
                    Ordering::Greater => high = middle,
                },
            }
        }
        Ok(false)
    }

    /// The first line that starts at `offset` or later. `None` if no line does. Its hash must have `digits` digits.
    fn line_from(&self, offset: u64, digits: usize) -> io::Result<Option<Line>> {
        let mut buffer = [0; 2 * LINE_MAX];
        // The byte before `offset` tells whether a line starts there.
        let from = offset.saturating_sub(1);
        let read = self.read_at(from, &mut buffer)?;
        let text = &buffer[..read];
        let skipped = if offset == 0 { Some(0) } else { after_line_break(text) };
        let Some(skipped) = skipped else {
            return if read == buffer.len() { Err(invalid("a line is too long")) } else { Ok(None) };
        };
        let text = &text[skipped..];
        if text.is_empty() {
            return Ok(None);
        }
        let length = after_line_break(text).unwrap_or(text.len());
        let start = from + skipped as u64;
        Ok(Some(Line { hash: hash_of(&text[..length], digits)?, start, end: start + length as u64 }))
    }

    /// Fills the buffer, or reads up to the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

fn after_line_break(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| *byte == b'\n').map(|position| position + 1)
}

/// The hash at the beginning of a line.
fn hash_of(line: &[u8], digits: usize) -> io::Result<Vec<u8>> {
    let hash = line.split(|byte| matches!(byte, b':' | b'\r' | b'\n')).next().unwrap_or_default();
    if hash.len() != digits || !hash.iter().all(u8::is_ascii_hexdigit) {
        return Err(invalid(&format!("a line does not begin with {digits} hexadecimal digits")));
    }
    Ok(hash.to_ascii_uppercase())
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
