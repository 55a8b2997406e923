//! The settings of mails to users.

use std::path::Path;

use auth_service_mail::{Retry, Sender, Settings, SmtpServer, Templates};
use url::{Host, Url};

use super::reader::Reader;

const SMTP_URL: &str = "SMTP_URL";
const SMTP_FROM: &str = "SMTP_FROM";
const PUBLIC_URL: &str = "PUBLIC_URL";
const EMAIL_VERIFICATION: &str = "EMAIL_VERIFICATION";
const MAIL_TEMPLATES: &str = "MAIL_TEMPLATES";

/// Whether accounts verify their emails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailVerification {
    /// No.
    Off,
    /// A sign-up sends a mail, and the profile says whether the email is verified.
    Optional,
    /// As `Optional`, and an account signs in only with a verified email.
    Required,
}

/// The settings of mails.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// How to send mails.
    pub smtp: Settings,
    /// The page that the links in mails open, without a fragment.
    pub public_url: String,
    /// Requests for a mail from one client address in an hour. 0 for no limit.
    pub limit_per_hour: u64,
    /// Whether accounts verify their emails.
    pub verification: EmailVerification,
}

/// `None` without `SMTP_URL`: the server sends no mails.
pub(super) fn mails(reader: &mut Reader<'_>) -> Option<MailSettings> {
    let is_given = reader.is_given(SMTP_URL);
    let server = server(reader);
    let sender =
        required(reader, SMTP_FROM, is_given, "such as no-reply@example.com or Example <no-reply@example.com>")
            .and_then(|text| sender(reader, &text));
    let public_url = required(
        reader,
        PUBLIC_URL,
        is_given,
        "such as https://app.example.com/account, the page that links in mails open",
    )
    .and_then(|text| public_url(reader, &text));
    let service = sender.as_ref().and_then(Sender::name).map(str::to_owned);
    let service = service.or_else(|| public_url.as_ref()?.host_str().map(str::to_owned)).unwrap_or_default();
    let templates = templates(reader, &service);
    let limit_per_hour = reader.number("MAIL_LIMIT_PER_HOUR", 20, 0..=1_000_000_000);
    let verification = verification(reader, is_given);
    let smtp = Settings { server: server?, sender: sender?, templates: templates?, retry: Retry::default() };
    Some(MailSettings { smtp, public_url: public_url?.into(), limit_per_hour, verification })
}

/// The settings of the SMTP server and the sender, which `doctor` needs. `None` without `SMTP_URL`.
pub(super) fn smtp(reader: &mut Reader<'_>) -> Option<(SmtpServer, Sender)> {
    let is_given = reader.is_given(SMTP_URL);
    let server = server(reader);
    let sender =
        required(reader, SMTP_FROM, is_given, "such as no-reply@example.com").and_then(|text| sender(reader, &text));
    server.zip(sender)
}

fn server(reader: &mut Reader<'_>) -> Option<SmtpServer> {
    let text = reader.secret(SMTP_URL).ok().flatten()?;
    let server = SmtpServer::parse(&text);
    match &server {
        None => reader.problem(SMTP_URL, SmtpServer::FORMS),
        Some(server) if server.is_exposed() => {
            let rest = "turns TLS off, so others in the network can read the links in mails; use smtps:// or smtp://";
            reader.warning(SMTP_URL, rest);
        }
        Some(_) => {}
    }
    server
}

/// The value of a setting that mails need.
fn required(reader: &mut Reader<'_>, name: &str, is_required: bool, examples: &str) -> Option<String> {
    let text = reader.text(name);
    if text.is_none() && is_required {
        reader.problem(name, &format!("is required with {SMTP_URL}, {examples}"));
    }
    text
}

fn sender(reader: &mut Reader<'_>, text: &str) -> Option<Sender> {
    let sender = Sender::parse(text);
    if sender.is_none() {
        reader.problem(SMTP_FROM, "must be an address, such as no-reply@example.com or Example <no-reply@example.com>");
    }
    sender
}

/// The links in mails never come from the `Host` of a request, because its sender could direct the links to any server.
fn public_url(reader: &mut Reader<'_>, text: &str) -> Option<Url> {
    let is_page = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    };
    let Some(url) = Url::parse(text).ok().filter(is_page) else {
        let rest = "must be the http or https URL of the page that links in mails open, such as \
                    https://app.example.com/account, without user and fragment";
        reader.problem(PUBLIC_URL, rest);
        return None;
    };
    if url.scheme() == "http" && !is_this_machine(&url) {
        reader.warning(PUBLIC_URL, "is not https, so others in the network can change the page and take the links");
    }
    Some(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn templates(reader: &mut Reader<'_>, service: &str) -> Option<Templates> {
    let folder = reader.text(MAIL_TEMPLATES);
    match Templates::load(folder.as_deref().map(Path::new), service) {
        Ok(templates) => Some(templates),
        Err(faults) => {
            for rest in faults {
                reader.problem(MAIL_TEMPLATES, &rest);
            }
            None
        }
    }
}

fn verification(reader: &mut Reader<'_>, has_mails: bool) -> EmailVerification {
    use EmailVerification::{Off, Optional, Required};
    let choices = [("off", Off), ("optional", Optional), ("required", Required)];
    let verification = reader.choice(EMAIL_VERIFICATION, Off, &choices);
    if verification != Off && !has_mails {
        reader.problem(EMAIL_VERIFICATION, &format!("needs {SMTP_URL}, because a verification needs a mail"));
    }
    verification
}

#[cfg(test)]
mod tests {
    use super::{super::sources::Sources, *};

    const COMPLETE: [(&str, &str); 3] = [
        (SMTP_URL, "smtps://user:planted@mail.example.com"),
        (SMTP_FROM, "no-reply@example.com"),
        (PUBLIC_URL, "https://app.example.com"),
    ];

    fn read(settings: &[(&str, &str)]) -> Result<(Option<MailSettings>, Vec<String>), Vec<String>> {
        let read = Reader::read(&Sources::of(settings), mails);
        read.map(|(mails, warnings)| (mails, warnings.into_iter().map(|warning| warning.sentence).collect()))
    }

    fn with(name: &str, value: &str) -> Vec<(&'static str, String)> {
        let mut settings: Vec<_> = COMPLETE.map(|(name, value)| (name, value.to_owned())).to_vec();
        let name = [SMTP_URL, SMTP_FROM, PUBLIC_URL, EMAIL_VERIFICATION, MAIL_TEMPLATES]
            .into_iter()
            .find(|known| *known == name);
        settings.retain(|(other, _)| Some(*other) != name);
        settings.extend(name.map(|name| (name, value.to_owned())));
        settings
    }

    fn read_with(name: &str, value: &str) -> Result<(Option<MailSettings>, Vec<String>), Vec<String>> {
        let settings = with(name, value);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
        read(&settings)
    }

    #[test]
    fn mails_are_off_without_a_server() {
        assert!(read(&[]).unwrap().0.is_none());
        assert!(read(&COMPLETE[1..]).unwrap().0.is_none());
        let sentences = read(&[(EMAIL_VERIFICATION, "optional")]).unwrap_err();
        assert_eq!(sentences, ["EMAIL_VERIFICATION needs SMTP_URL, because a verification needs a mail"]);
    }

    #[test]
    fn a_server_needs_a_sender_and_a_page() {
        let (mails, warnings) = read(&COMPLETE).unwrap();
        let mails = mails.unwrap();
        assert_eq!((mails.verification, mails.limit_per_hour), (EmailVerification::Off, 20));
        assert_eq!((&*mails.public_url, warnings), ("https://app.example.com/", vec![]));
        let sentences = read(&COMPLETE[..1]).unwrap_err();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences[0].starts_with("SMTP_FROM is required with SMTP_URL"), "{sentences:?}");
        assert!(sentences[1].starts_with("PUBLIC_URL is required with SMTP_URL"), "{sentences:?}");
    }

    #[test]
    fn each_wrong_setting_is_named_without_its_value() {
        for (name, value, rest) in [
            (SMTP_URL, "planted", "must have the form smtps://"),
            (SMTP_FROM, "planted", "must be an address"),
            (PUBLIC_URL, "planted", "must be the http or https URL"),
            (PUBLIC_URL, "ftp://planted", "must be the http or https URL"),
            (PUBLIC_URL, "https://planted/#a", "must be the http or https URL"),
            (PUBLIC_URL, "https://planted:a@b", "must be the http or https URL"),
            (EMAIL_VERIFICATION, "planted", "must be one of: off, optional, required"),
            (MAIL_TEMPLATES, "/planted", "must be a folder that the server can read"),
        ] {
            let sentences = read_with(name, value).unwrap_err();
            assert_eq!(sentences.len(), 1, "{sentences:?}");
            assert!(sentences[0].starts_with(&format!("{name} {rest}")), "{sentences:?}");
            assert!(!sentences[0].contains("planted"), "{sentences:?}");
        }
    }

    #[test]
    fn what_others_in_the_network_can_read_is_warned_of() {
        for (name, value, count) in [
            (SMTP_URL, "smtp://mailpit:1025?tls=off", 1),
            (SMTP_URL, "smtp://127.0.0.1:1025", 0),
            (PUBLIC_URL, "http://app.example.com", 1),
            (PUBLIC_URL, "http://localhost:5173/?a=b", 0),
        ] {
            let (mails, warnings) = read_with(name, value).unwrap();
            assert!(mails.is_some() && warnings.len() == count, "{value}: {warnings:?}");
        }
    }
}
