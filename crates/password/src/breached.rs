//! A list of passwords that have leaked, as Have I Been Pwned publishes it: SHA-1 hashes in ascending order. The list
//! may take tens of gigabytes, so a search reads only the lines that it compares.

use std::{
    cmp::Ordering,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    str,
};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::password::Password;

/// The number of digits of a hash.
const DIGITS: usize = 40;
/// The number of digits that name a file of the directory form.
const PREFIX: usize = 5;
/// The maximum length of a line with its line break: the digits, a colon, and a count.
const LINE_MAX: usize = 64;
/// The number of lines whose order the server checks at the start. Have I Been Pwned has also published lists in the
/// order of frequency, in which a binary search finds nothing.
const CHECKED_LINES: u64 = 100;

/// The list, in one of the two forms that the downloader of Have I Been Pwned writes
/// (<https://github.com/HaveIBeenPwned/PwnedPasswordsDownloader>):
///
/// - one file, whose lines are `HASH:COUNT`,
/// - a directory with a file for each prefix of five digits, such as `0A1B2.txt`, whose lines are `REST:COUNT`.
///
/// Each search opens the list again, so that an operator can replace the list while the server runs.
#[derive(Debug, Clone)]
pub struct BreachedPasswords {
    path: PathBuf,
}

impl BreachedPasswords {
    /// The list at this path. Checks some of its lines.
    ///
    /// # Errors
    /// Why the list cannot be used, as the rest of a sentence that starts with the name of a setting.
    pub fn open(path: &Path) -> Result<Self, String> {
        let list = Self { path: path.to_owned() };
        for first in ["0", "F"] {
            let checked = list.lines(&first.repeat(DIGITS)).and_then(|(lines, digits)| lines.check(digits.len()));
            checked.map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => format!("must name a list of SHA-1 hashes in ascending order: {error}"),
                _ => format!("names a list that cannot be read: {error}"),
            })?;
        }
        Ok(list)
    }

    /// Whether the list has the password, as the client sent it or in NFC.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub(crate) fn contains(&self, password: &Password) -> io::Result<bool> {
        for text in [password.as_str(), password.as_sent()] {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
            let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
            let (lines, digits) = self.lines(&hash)?;
            if lines.contain(digits)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The file that has this hash if the list has the hash, and the digits at the beginning of its line.
    fn lines<'h>(&self, hash: &'h str) -> io::Result<(Lines, &'h str)> {
        if !self.path.is_dir() {
            return Ok((Lines::open(&self.path)?, hash));
        }
        let (prefix, rest) = hash.split_at(PREFIX);
        Ok((Lines::open(&self.path.join(format!("{prefix}.txt")))?, rest))
    }
}

/// A file with lines in ascending order.
struct Lines {
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
    fn open(path: &Path) -> io::Result<Self> {
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(explain)?;
        let metadata = file.metadata().map_err(explain)?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(invalid(&format!("{} is empty, or is not a regular file", path.display())));
        }
        Ok(Self { file, bytes: metadata.len() })
    }

    /// Checks lines from all parts of the file: their form, and their order.
    fn check(&self, digits: usize) -> io::Result<()> {
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
    fn contain(&self, digits: &str) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn sha1(text: &str) -> String {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn hashes(count: usize) -> Vec<String> {
        let mut hashes: Vec<_> = (0..count).map(|n| sha1(&format!("leaked {n}"))).collect();
        hashes.sort();
        hashes
    }

    fn list(text: &str) -> (TempDir, Result<BreachedPasswords, String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list.txt");
        fs::write(&path, text).unwrap();
        let list = BreachedPasswords::open(&path);
        (directory, list)
    }

    fn contains(list: &BreachedPasswords, text: &str) -> bool {
        list.contains(&Password::new(text)).unwrap()
    }

    #[test]
    fn every_password_of_a_list_is_found_and_no_other() {
        for count in [1, 2, 3, 100, 1_000] {
            let hashes = hashes(count);
            for (line_break, last) in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "")] {
                let lines: Vec<_> =
                    hashes.iter().enumerate().map(|(n, hash)| format!("{hash}:{}", n * n * n)).collect();
                let (_directory, list) = list(&(lines.join(line_break) + last));
                let list = list.unwrap();
                for n in 0..count {
                    assert!(contains(&list, &format!("leaked {n}")), "{n} of {count}");
                    assert!(!contains(&list, &format!("other {n}")), "{n} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_list_may_lack_counts_and_have_small_letters() {
        let (_directory, list) = list(&hashes(50).join("\n").to_lowercase());
        assert!(contains(&list.unwrap(), "leaked 49"));
    }

    #[test]
    fn a_directory_has_a_file_for_each_prefix() {
        let directory = tempfile::tempdir().unwrap();
        for (prefix, line) in [("00000", "0".repeat(35)), ("FFFFF", "F".repeat(35))] {
            fs::write(directory.path().join(format!("{prefix}.txt")), line + ":1\r\n").unwrap();
        }
        let hash = sha1("leaked");
        let file = directory.path().join(format!("{}.txt", &hash[..5]));
        let list = BreachedPasswords::open(directory.path()).unwrap();
        assert!(list.contains(&Password::new("leaked")).is_err(), "a file is missing");
        fs::write(&file, format!("{}:7\r\n", &hash[5..])).unwrap();
        assert!(contains(&list, "leaked"));
        fs::write(&file, format!("{}:7\r\n", "0".repeat(35))).unwrap();
        assert!(!contains(&list, "leaked"));
    }

    #[test]
    fn both_spellings_of_a_password_are_found() {
        for spelling in ["caf\u{e9} noir", "cafe\u{301} noir"] {
            let (_directory, list) = list(&format!("{}:1\n", sha1(spelling)));
            assert!(contains(&list.unwrap(), "cafe\u{301} noir"), "{spelling}");
        }
    }

    #[test]
    fn another_file_is_refused() {
        for (text, why) in [
            ("", "is empty"),
            ("password\n", "40 hexadecimal digits"),
            (&hashes(200).into_iter().rev().collect::<Vec<_>>().join("\n"), "out of order"),
            // The NTLM hashes, which Have I Been Pwned publishes too.
            ("32ED87BDB5FDC5E9CBA88547376818D4:1\n", "40 hexadecimal digits"),
            (&"A".repeat(1_000), "a line"),
        ] {
            let refused = list(text).1.unwrap_err();
            assert!(refused.starts_with("must name a list of SHA-1 hashes") && refused.contains(why), "{refused}");
        }
        let refused = BreachedPasswords::open(Path::new("/no/such/list")).unwrap_err();
        assert!(refused.starts_with("names a list that cannot be read: /no/such/list"), "{refused}");
    }
}
