//! A new password: from the terminal or from standard input, never from an argument, which other users of the machine
//! can see.

use std::io::{self, IsTerminal, Read, Write};

use auth_service_password::{PASSWORD_MAX_BYTES, Password, hash_here};
use auth_service_records::{error::Error, user::Email};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::output::Failed;
use crate::config::{Config, Sources};

/// Reads a new password for this user, and hashes it. The rules of the settings apply, as at sign-up.
pub(super) fn new_password_hash(sources: &Sources, email: &Email) -> Result<String, Failed> {
    let settings = Config::load_passwords(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    let text = read().map_err(|error| Failed::new("no_password", format!("the password cannot be read: {error}")))?;
    let text = text.ok_or_else(|| Failed::wrong_usage("the two passwords differ"))?;
    let password = Password::checked(&text, settings.min_length)
        .map_err(|problem| Failed::wrong_usage(format!("the password {problem}")))?;
    hash_here(&password, email.as_str(), settings.cost, &settings.rules).map_err(|error| match error {
        Error::WeakPassword { problem, .. } => Failed::wrong_usage(format!("the password {problem}")),
        other => other.into(),
    })
}

/// The password, without the line break after it. `None` if the user has typed two different passwords.
fn read() -> io::Result<Option<String>> {
    if io::stdin().is_terminal() {
        let password = prompt("Password: ")?;
        let again = prompt("The same password again: ")?;
        return Ok((password == again).then_some(password));
    }
    let mut text = String::new();
    // A longer password is refused, so the rest of the input does not matter.
    io::stdin().take(PASSWORD_MAX_BYTES as u64 + 2).read_to_string(&mut text)?;
    Ok(Some(without_line_break(text)))
}

/// Reads a line from the terminal, which does not show it.
fn prompt(text: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let line = ask(text);
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    line
}

fn ask(text: &str) -> io::Result<String> {
    write!(io::stderr(), "{text}")?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(without_line_break(line))
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_password() {
        for (text, password) in [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), (" ", " ")] {
            assert_eq!(without_line_break(text.to_owned()), password);
        }
    }
}
