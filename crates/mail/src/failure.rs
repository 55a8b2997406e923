//! Why a try to deliver a mail has failed.

use std::{error::Error as _, fmt, io};

use lettre::transport::smtp::Error;

/// The step of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The connection, the greeting and EHLO.
    Connect,
    /// As `Connect`, with TLS from the first byte.
    ConnectByTls,
    /// STARTTLS.
    StartTls,
    /// The user name and the password.
    Login,
    /// The address of the user.
    Recipient,
    /// The sender or the mail.
    Mail,
}

/// The reasons, as the metrics name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// No connection, or a server that takes no commands.
    Unreachable,
    /// No encryption that this server trusts.
    Tls,
    /// The server does not accept the user name and the password.
    Login,
    /// The try took too long.
    Timeout,
    /// The server has asked for a later try (RFC 5321, section 4.2.1: 4yz).
    Busy,
    /// The server refuses the address of the user for good.
    Recipient,
    /// The server refuses the sender or the mail for good.
    Refused,
    /// The connection has ended before the answer, or the answer was not SMTP.
    Broken,
}

impl Reason {
    /// All reasons.
    pub(crate) const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Tls,
        Self::Login,
        Self::Timeout,
        Self::Busy,
        Self::Recipient,
        Self::Refused,
        Self::Broken,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Recipient => "recipient",
            Self::Refused => "refused",
            Self::Broken => "broken",
        }
    }
}

/// A failed try. `Display` shows no text of the server, because the text may contain the address of the user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    detail: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The failure of a step.
    pub(crate) fn of(step: Step, error: &Error) -> Self {
        match (error.status(), step) {
            (Some(_), Step::Connect | Step::ConnectByTls) => Self::new(Reason::Unreachable, answer(error)),
            (Some(_), Step::StartTls) => Self::new(Reason::Tls, answer(error)),
            (Some(_), Step::Login) => Self::new(Reason::Login, answer(error)),
            (Some(_), _) if error.is_transient() => Self::new(Reason::Busy, answer(error)),
            (Some(_), Step::Recipient) => Self::new(Reason::Recipient, answer(error)),
            (Some(_), Step::Mail) => Self::new(Reason::Refused, answer(error)),
            (None, _) => Self::of_connection(step, error),
        }
    }

    fn of_connection(step: Step, error: &Error) -> Self {
        match (io_error(error), step) {
            // rustls reports its errors with this kind.
            (Some(error), Step::ConnectByTls | Step::StartTls) if error.kind() == io::ErrorKind::InvalidData => {
                Self::new(Reason::Tls, error.to_string())
            }
            // An answer that is not text has this kind, too.
            (Some(error), Step::Connect | Step::ConnectByTls) if error.kind() != io::ErrorKind::InvalidData => {
                Self::new(Reason::Unreachable, error.to_string())
            }
            (Some(error), _) => Self::new(Reason::Broken, error.to_string()),
            (None, Step::StartTls) if error.is_client() => Self::new(Reason::Tls, "the server has no STARTTLS"),
            (None, Step::Login) if error.is_client() => {
                Self::new(Reason::Login, "the server takes no user name and password of the kinds PLAIN and LOGIN")
            }
            (None, _) => Self::new(Reason::Broken, "the connection has ended, or the answer was not SMTP"),
        }
    }

    /// Whether a later try would fail for the same reason.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.reason, Reason::Recipient | Reason::Refused)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.detail)
    }
}

/// The error of the network or of TLS behind an error. lettre wraps the errors of TLS twice.
fn io_error(error: &Error) -> Option<&io::Error> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(error) = source.downcast_ref() {
            return Some(error);
        }
        next = source.source();
    }
    None
}

/// The code of an answer, with the enhanced code (RFC 3463) if there is one.
fn answer(error: &Error) -> String {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match text.split_whitespace().next().filter(|word| is_enhanced_code(word)) {
        Some(enhanced) => format!("the server has answered {code} {enhanced}"),
        None => format!("the server has answered {code}"),
    }
}

fn is_enhanced_code(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number)
}
