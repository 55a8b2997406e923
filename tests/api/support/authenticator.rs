//! An authenticator app, whose codes come from `oathtool` (Debian), and the requests of the second factor.

use std::{
    cell::Cell,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use super::{
    app::TestApp,
    client::PASSWORD,
    process::program,
    raw::Answer,
    session::{Session, text},
    wait::{unix_seconds, wait_until_after},
};

/// How long a code is the current one, in seconds.
const STEP: u64 = 30;

/// The app of a user. Each code is of a later step than the one before, so that the server accepts all of them.
pub(crate) struct Authenticator {
    pub(crate) secret: String,
    /// The step of the next code.
    next: AtomicU64,
    /// What the server has shown once.
    pub(crate) recovery_codes: Vec<String>,
    /// The next recovery code that no test has used.
    unused: Cell<usize>,
}

impl Authenticator {
    /// An app with a secret that the server has shown.
    pub(crate) fn new(secret: &str) -> Self {
        // The code before the current one is right too, so that a test has three codes without a wait.
        let next = AtomicU64::new(unix_seconds() / STEP - 1);
        Self { secret: secret.to_owned(), next, recovery_codes: Vec::new(), unused: Cell::new(0) }
    }

    /// The next code that the server accepts. Waits if the code is too far in the future.
    pub(crate) fn code(&self) -> String {
        let current = unix_seconds() / STEP;
        let step = self.next.load(Ordering::Relaxed).max(current - 1);
        wait_until_after((step - 1) * STEP - 1);
        self.next.store(step + 1, Ordering::Relaxed);
        self.code_of(step)
    }

    /// The code of the step that is this number of steps from now.
    pub(crate) fn code_in(&self, steps: i64) -> String {
        self.code_of((unix_seconds() / STEP).checked_add_signed(steps).unwrap())
    }

    /// Six digits that no step near the present has.
    pub(crate) fn wrong_code(&self) -> String {
        let near: Vec<_> = (-2..=3).map(|steps| self.code_in(steps)).collect();
        (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }

    /// A recovery code that was not used.
    pub(crate) fn recovery_code(&self) -> &str {
        self.unused.set(self.unused.get() + 1);
        &self.recovery_codes[self.unused.get() - 1]
    }

    fn code_of(&self, step: u64) -> String {
        let mut oathtool = program("oathtool");
        oathtool.args(["--totp", "--base32", &self.secret, "--now", &format!("@{}", step * STEP)]);
        let output = oathtool.stdin(Stdio::null()).output().unwrap();
        let code = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert_eq!(code.len(), 6, "{code} {}", String::from_utf8_lossy(&output.stderr));
        code
    }
}

impl TestApp {
    /// `POST /user/totp`
    pub(crate) fn start_totp(&self, token: &str, password: &str) -> Answer {
        self.send_as(token, "POST", "/user/totp", Some(&json!({"password": password})))
    }

    /// `POST /user/totp/confirm`
    pub(crate) fn confirm_totp(&self, token: &str, code: &str) -> Answer {
        self.send_as(token, "POST", "/user/totp/confirm", Some(&json!({"code": code})))
    }

    /// `DELETE /user/totp`
    pub(crate) fn remove_totp(&self, token: &str, password: &str, code: &str) -> Answer {
        self.send_as(token, "DELETE", "/user/totp", Some(&json!({"password": password, "code": code})))
    }

    /// `POST /authenticate/totp`
    pub(crate) fn authenticate_totp(&self, mfa_token: &str, code: &str) -> Answer {
        self.send_json("POST", "/authenticate/totp", &json!({"mfa_token": mfa_token, "code": code}))
    }

    /// The same from `address`, as a proxy in `TRUSTED_PROXIES` reports it.
    pub(crate) fn authenticate_totp_from(&self, address: &str, mfa_token: &str, code: &str) -> Answer {
        let body = json!({"mfa_token": mfa_token, "code": code}).to_string();
        self.send("POST", "/authenticate/totp", &[("X-Forwarded-For", address)], Some(&body))
    }

    /// The mfa token of an account whose password is [`PASSWORD`].
    #[track_caller]
    pub(crate) fn mfa_token(&self, email: &str) -> String {
        let answer = self.authenticate(email, PASSWORD);
        answer.assert_error(401, "mfa_required");
        text(&answer, "mfa_token")
    }

    /// Enables a second factor for an account whose password is [`PASSWORD`].
    #[track_caller]
    pub(crate) fn enable_totp(&self, token: &str) -> Authenticator {
        let started = self.start_totp(token, PASSWORD);
        assert_eq!(started.status, 201, "{started:?}");
        let mut authenticator = Authenticator::new(&text(&started, "secret"));
        let mut confirmed = self.confirm_totp(token, &authenticator.code());
        if confirmed.status == 403 {
            // The step before the current one has become the one before that, in the meantime.
            confirmed = self.confirm_totp(token, &authenticator.code());
        }
        assert_eq!(confirmed.status, 200, "{confirmed:?}");
        let codes: Vec<Value> = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
        authenticator.recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        authenticator
    }

    /// A new account with a second factor, and its session from before.
    #[track_caller]
    pub(crate) fn account_with_totp(&self) -> (Session, Authenticator) {
        let session = self.new_session();
        let authenticator = self.enable_totp(&session.access_token);
        (session, authenticator)
    }

    /// A sign-in in two steps that must succeed.
    #[track_caller]
    pub(crate) fn sign_in_with(&self, email: &str, code: &str) -> Session {
        Session::of(email, &self.authenticate_totp(&self.mfa_token(email), code))
    }
}
