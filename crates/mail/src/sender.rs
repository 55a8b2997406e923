//! The address that the mails come from.

use auth_service_records::user::Email;
use lettre::{Address, message::Mailbox};

use crate::address::address;

/// An address, with or without a name before it.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(crate) mailbox: Mailbox,
}

impl Sender {
    /// Parses `address` or `Name <address>`. `None` if the text is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, email) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, email)) => (Some(name.trim()), email),
            None => (None, text),
        };
        let name = name.map(|name| name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name));
        let is_name = |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_control() || "<>\"".contains(c));
        if name.is_some_and(|name| !is_name(name)) {
            return None;
        }
        let email = Email::parse(email)?;
        Some(Self { mailbox: Mailbox::new(name.map(str::to_owned), address(&email)?) })
    }

    /// The name before the address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.mailbox.name.as_deref()
    }

    pub(crate) fn address(&self) -> &Address {
        &self.mailbox.email
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for (text, name, address) in [
            ("no-reply@example.com", None, "no-reply@example.com"),
            ("Example <no-reply@example.com>", Some("Example"), "no-reply@example.com"),
            ("\"Ada, Bob & Co.\" <a@example.com>", Some("Ada, Bob & Co."), "a@example.com"),
            ("Bücher <a@bücher.example>", Some("Bücher"), "a@xn--bcher-kva.example"),
        ] {
            let sender = Sender::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((sender.name(), sender.address().as_ref()), (name, address));
        }
        for text in
            ["", "example.com", "<a@example.com>", "A <a@example.com", "a@example.com, b@example.com", "A\nB <a@b>"]
        {
            assert!(Sender::parse(text).is_none(), "{text}");
        }
    }
}
