//! A server that sends mail to a mailbox of the test, and the requests of the routes by mail.

use serde_json::json;

use crate::support::{Answer, Mailbox, PUBLIC_URL, Store, TestApp};

/// The password after a reset.
pub(super) const NEW_PASSWORD: &str = "battery staple";
/// What the server answers to a token that confirms nothing.
pub(super) const WRONG_TOKEN: (u16, &str) = (400, "invalid_mail_token");

/// A server, and the mailbox of all its users.
pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) mailbox: Mailbox,
}

impl Scene {
    /// A server without a limit of the client address, because all users of a test have the same.
    pub(super) fn start(store: Store, settings: &[(&str, &str)]) -> Self {
        let mailbox = Mailbox::start();
        let app = TestApp::start_with(store, &with_mail(&mailbox.url(), settings));
        Self { app, mailbox }
    }

    /// The token of a new link that resets the password.
    pub(super) fn reset_token(&self, email: &str) -> String {
        assert_eq!(self.app.forgot_password(email).status, 202);
        self.token("reset", email)
    }

    /// The token of a new link that changes the email.
    pub(super) fn change_token(&self, access_token: &str, new: &str, password: &str) -> String {
        let answer = self.app.change_email(access_token, new, password);
        assert_eq!(answer.status, 202, "{answer:?}");
        self.token("change", new)
    }

    /// The token of the next mail with a link of this kind.
    pub(super) fn token(&self, kind: &str, to: &str) -> String {
        next_token(&self.mailbox, kind, to)
    }
}

/// The token of the next mail with a link of this kind.
pub(super) fn next_token(mailbox: &Mailbox, kind: &str, to: &str) -> String {
    let link = format!("{PUBLIC_URL}#token={kind}_");
    loop {
        let mail = mailbox.wait_for(to);
        if mail.text.contains(&link) {
            return mail.token();
        }
    }
}

/// The settings of a server that sends its mails to `url`.
pub(super) fn with_mail<'a>(url: &'a str, settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mail = [
        ("SMTP_URL", url),
        ("SMTP_FROM", "auth@example.com"),
        ("PUBLIC_URL", PUBLIC_URL),
        ("MAIL_LIMIT_PER_HOUR", "0"),
    ];
    [&mail[..], settings].concat()
}

impl TestApp {
    pub(super) fn forgot_password(&self, email: &str) -> Answer {
        self.send_json("POST", "/password/forgot", &json!({"email": email}))
    }

    pub(super) fn reset_password(&self, token: &str, new: &str) -> Answer {
        self.send_json("POST", "/password/reset", &json!({"token": token, "new_password": new}))
    }

    pub(super) fn request_email_verification(&self, access_token: &str) -> Answer {
        self.send_as(access_token, "POST", "/email/verification", None)
    }

    pub(super) fn verify_email(&self, token: &str) -> Answer {
        self.send_json("POST", "/email/verify", &json!({"token": token}))
    }

    pub(super) fn change_email(&self, access_token: &str, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.send_as(access_token, "PUT", "/user/email", Some(&body))
    }

    /// Whether the profile says that the email is verified.
    #[track_caller]
    pub(super) fn is_verified(&self, access_token: &str) -> bool {
        let answer = self.current_user(access_token);
        answer.json()["data"]["email_verified"].as_bool().unwrap_or_else(|| panic!("{answer:?}"))
    }
}

/// Asserts that a token confirms nothing.
#[track_caller]
pub(super) fn assert_wrong_token(answer: &Answer) {
    let (status, code) = WRONG_TOKEN;
    answer.assert_error(status, code);
}
