//! The sender of mails.

use std::io;

use auth_service_mail::Mail;

use crate::{auth::Mails, config::MailSettings};

/// Starts the sender of mails, if the settings have an SMTP server.
///
/// # Errors
/// As [`Mail::start`].
pub(super) fn mails(settings: Option<MailSettings>) -> io::Result<Option<Mails>> {
    let Some(MailSettings { smtp, public_url, limit_per_hour, verification }) = settings else { return Ok(None) };
    tracing::info!("mails go to {}", smtp.server);
    Ok(Some(Mails { mail: Mail::start(smtp)?, public_url, limit_per_hour, verification }))
}
