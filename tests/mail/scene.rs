//! The sender of mails, with short pauses, and its metrics.

use std::time::Duration;

use auth_service_mail::{Mail, Message, Retry, Sender, Settings, SmtpServer, Templates};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::support::wait_longer;

pub(crate) const LINK: &str = "https://app.example.com/account?a=1&b=2#token=reset_abc";

/// Pauses that are short for a test.
pub(crate) const FAST: Retry = Retry {
    timeout: Duration::from_secs(5),
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(50),
    give_up_after: Duration::from_secs(20),
};

/// The sender of mails.
pub(crate) struct Scene {
    pub(crate) mail: Mail,
    registry: Registry,
}

impl Scene {
    /// Sends mails to the server of this URL.
    pub(crate) fn start(url: &str, retry: Retry) -> Self {
        let settings = Settings {
            server: SmtpServer::parse(url).unwrap(),
            sender: Sender::parse("Bücher & Co. <no-reply@bücher.example>").unwrap(),
            templates: Templates::load(None, "Bücher & Co.").unwrap(),
            retry,
        };
        let mail = Mail::start(settings).unwrap();
        let mut registry = Registry::default();
        mail.register_metrics(&mut registry);
        Self { mail, registry }
    }

    pub(crate) fn send(&self, message: Message) {
        self.mail.reserve().unwrap().send("the-request", message);
    }

    pub(crate) fn send_to(&self, to: &str) {
        self.send(Message::ResetPassword { to: to.to_owned(), link: LINK.to_owned() });
    }

    /// The value of a series, such as `mails_lost_total{reason="expired"}`.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    /// Waits until a series has this value.
    #[track_caller]
    pub(crate) fn wait_for(&self, series: &str, value: f64) {
        wait_longer(30, &format!("{series} is {value}"), || self.metric(series) >= value);
        assert_eq!(self.metric(series), value, "{series}");
    }
}

pub(crate) fn failed(reason: &str) -> String {
    format!("mail_tries_failed_total{{reason=\"{reason}\"}}")
}

pub(crate) fn lost(reason: &str) -> String {
    format!("mails_lost_total{{reason=\"{reason}\"}}")
}

pub(crate) fn sent() -> String {
    "mails_sent_total{kind=\"reset_password\"}".to_owned()
}
