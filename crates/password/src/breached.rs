//! A list of passwords that have leaked, as Have I Been Pwned publishes it: SHA-1 hashes in ascending order.

use std::{
    io,
    path::{Path, PathBuf},
};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::{password::Password, sorted_lines::Lines};

/// The number of digits of a hash.
const DIGITS: usize = 40;
/// The number of digits that name a file of the directory form.
const PREFIX: usize = 5;

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
