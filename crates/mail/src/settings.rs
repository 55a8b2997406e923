//! The settings of the crate.

use std::time::Duration;

use crate::{sender::Sender, server::SmtpServer, templates::Templates};

/// How to send mails.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server that takes the mails.
    pub server: SmtpServer,
    /// The address that the mails come from.
    pub sender: Sender,
    /// The texts of the mails.
    pub templates: Templates,
    /// How often and how long to try.
    pub retry: Retry,
}

/// How often and how long the crate tries to deliver a mail.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The maximum time of one try, from the connection to the answer. lettre's own timeout does not cover a server that
    /// stops answering (lettre#1027).
    pub timeout: Duration,
    /// The pause after the first failed try. Each further pause is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The age at which a mail is lost.
    pub give_up_after: Duration,
}

impl Default for Retry {
    /// A mail is given up after half of the life of the shortest link.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            give_up_after: Duration::from_secs(30 * 60),
        }
    }
}
