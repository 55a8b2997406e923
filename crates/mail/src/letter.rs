//! A mail as bytes, with its envelope.

use auth_service_records::user::Email;
use lettre::{
    Address,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use crate::{address::address, message::Message, sender::Sender, templates::Templates};

/// A mail, ready to be sent any number of times. Each time the mail has the same `Message-ID`, so that a mail program
/// can recognise a mail that has arrived twice.
pub(crate) struct Letter {
    pub(crate) to: Address,
    pub(crate) bytes: Vec<u8>,
}

impl Letter {
    /// Writes the mail.
    ///
    /// # Errors
    /// A sentence for the log, without address and link.
    pub(crate) fn write(message: &Message, sender: &Sender, templates: &Templates) -> Result<Self, String> {
        let to = Email::parse(message.to()).and_then(|email| address(&email)).ok_or("the address is not valid")?;
        let texts = templates.render(message)?;
        let id = format!("<{}@{}>", Uuid::new_v4(), sender.address().domain());
        // Without this envelope, lettre would parse the header again, by rules that are stricter.
        let envelope = Envelope::new(Some(sender.address().clone()), vec![to.clone()]);
        let letter = lettre::Message::builder()
            .envelope(envelope.map_err(|error| error.to_string())?)
            .from(sender.mailbox.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(texts.subject)
            .date_now()
            .message_id(Some(id))
            .raw_header(auto_submitted())
            .multipart(MultiPart::alternative_plain_html(texts.text, texts.html))
            .map_err(|error| error.to_string())?;
        Ok(Self { to, bytes: letter.formatted() })
    }
}

/// Keeps programs from answering the mail (RFC 3834, section 5).
fn auto_submitted() -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())
}
