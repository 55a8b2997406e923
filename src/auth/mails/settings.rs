//! The sender of mails, and the settings of the use cases by mail.

use auth_service_mail::Mail;

use crate::config::EmailVerification;

/// The sender of mails, and the settings of the use cases by mail.
#[derive(Clone)]
pub struct Mails {
    /// Sends the mails.
    pub mail: Mail,
    /// The page that the links in mails open, without a fragment.
    pub public_url: String,
    /// Requests for a mail from one client address in an hour. 0 for no limit.
    pub limit_per_hour: u64,
    /// Whether accounts verify their emails.
    pub verification: EmailVerification,
}
