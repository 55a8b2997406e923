//! Reads `.env` in the working directory.

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, Read},
    str,
};

use auth_service_records::file;

/// The file, by its name in the working directory.
pub(super) const DOTENV: &str = ".env";

/// The values of the lines that can be read, and a sentence about each line that cannot.
///
/// A sentence gives the number of a line and never its text, because a line may hold a secret.
pub(super) fn read() -> (HashMap<String, String>, Vec<String>) {
    match file::read(DOTENV) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
        Err(error) => (HashMap::new(), vec![format!("{DOTENV} cannot be read: {error}; correct or remove the file")]),
    }
}

fn parse(bytes: &[u8]) -> (HashMap<String, String>, Vec<String>) {
    let (mut values, mut problems) = (HashMap::new(), Vec::new());
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            problems.push(format!("{DOTENV} line {line} is not UTF-8 text; save the file as UTF-8"));
            return (values, problems);
        }
    };
    let read = Cell::new(0);
    for line in dotenvy::from_read_iter(Lines { rest: text, read: &read }) {
        match line {
            Ok((name, value)) => {
                values.insert(name, value);
            }
            Err(dotenvy::Error::LineParse(text, _)) => {
                // A quote that is not closed goes on over further lines.
                let further = text.trim_end().matches('\n').count();
                let line = read.get().saturating_sub(further);
                let advice = "quote values that have spaces, and close each quote";
                problems.push(format!("{DOTENV} line {line} is not NAME=value; {advice}"));
            }
            // Reading from memory has no other error. The iterator would return such an error forever.
            Err(_) => break,
        }
    }
    (values, problems)
}

/// Gives out one line for each call, so that `read`, the number of lines, is also that of the line that is being
/// parsed.
struct Lines<'a> {
    rest: &'a str,
    read: &'a Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.split_inclusive('\n').next().unwrap_or_default();
        let mut length = line.len().min(buffer.len());
        while !line.is_char_boundary(length) {
            length -= 1;
        }
        let (part, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(part.as_bytes());
        if length > 0 && length == line.len() {
            self.read.set(self.read.get() + 1);
        }
        self.rest = rest;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn lines(text: &str) -> Vec<String> {
        let (values, problems) = parse(text.as_bytes());
        assert!(problems.iter().all(|problem| !problem.contains("planted")), "{problems:?}");
        assert!(values.get("PORT").is_none_or(|port| port == "1"), "{values:?}");
        let number = |problem: &String| problem.split(' ').nth(2).unwrap().to_owned();
        problems.iter().map(number).collect()
    }

    #[test]
    fn each_bad_line_is_named_by_its_number() {
        assert_eq!(lines("PORT=1\n"), [""; 0]);
        assert_eq!(lines("planted planted\n"), ["1"]);
        assert_eq!(lines("# comment\n\nPORT=1\nplanted\nHOST=x\nA=planted planted"), ["4", "6"]);
        assert_eq!(lines("PORT=1\r\n\r\nplanted\r\n"), ["3"]);
        // The value of A has two lines.
        assert_eq!(lines("A='x\ny'\nplanted\nPORT=1\n"), ["3"]);
        assert_eq!(lines("PORT=1\nA='planted\nB=planted\nC=planted\n"), ["2"]);
        assert_eq!(lines("PORT=1\nA=\"planted\nB=planted"), ["2"]);
        let long = "x".repeat(100_000);
        assert_eq!(lines(&format!("A={long}\nB={long} {long}\nPORT=1\n")), ["2"]);
        let (_, problems) = parse(b"PORT=1\nA=plant\xffed\n");
        assert_eq!(problems, [".env line 2 is not UTF-8 text; save the file as UTF-8"]);
    }

    #[test]
    fn values_come_without_carriage_returns() {
        let (values, problems) = parse(b"PORT=1\r\nHOST=\"a b\"\r\nA=\xc3\xa9\r\n");
        assert_eq!(problems, [""; 0]);
        assert_eq!((&*values["PORT"], &*values["HOST"], &*values["A"]), ("1", "a b", "é"));
    }
}
