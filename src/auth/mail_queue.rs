//! The queue of mails, and what the use cases by mail need of the settings.

use auth_service_mail::{Mail, Place};
use auth_service_records::{error::Error, mail_token::MailToken, throttle::Limit};

use crate::config::EmailVerification;

const SECONDS_PER_HOUR: u64 = 60 * 60;
/// The maximum number of links of one kind that a mailbox gets in an hour.
const LINKS_PER_HOUR: u64 = 5;
/// The maximum number of notices that a mailbox gets in an hour.
const NOTICES_PER_HOUR: u64 = 10;

/// The queue of mails, and the settings of the use cases by mail.
#[derive(Clone)]
pub struct Mails {
    /// The queue.
    pub mail: Mail,
    /// The page that opens links. No header of a request ever changes this address.
    pub public_url: String,
    /// The maximum number of mails that one client address may cause in an hour. 0 for no limit.
    pub limit_per_hour: u64,
    /// Whether the owners of new accounts are asked to verify their address.
    pub verification: EmailVerification,
}

impl Mails {
    /// The address of the page, with the token in the fragment, which browsers send to no server.
    pub(super) fn link(&self, token: &MailToken) -> String {
        format!("{}#token={}", self.public_url, token.expose())
    }

    /// A place in the queue. A use case takes its places first, so that nothing changes while the queue is full.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub(super) fn reserve(&self) -> Result<Place, Error> {
        self.mail.reserve().map_err(|_| Error::Overloaded)
    }

    /// The limit on mails that one client address causes.
    pub(super) fn limit_of_address(&self) -> Limit {
        Limit { count: self.limit_per_hour, seconds: SECONDS_PER_HOUR }
    }

    /// The limit on links of one kind to one mailbox.
    pub(super) fn limit_of_links() -> Limit {
        Limit { count: LINKS_PER_HOUR, seconds: SECONDS_PER_HOUR }
    }

    /// The limit on notices to one mailbox.
    pub(super) fn limit_of_notices() -> Limit {
        Limit { count: NOTICES_PER_HOUR, seconds: SECONDS_PER_HOUR }
    }
}
