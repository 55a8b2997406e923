//! A session as a client sees it: its tokens, their claims, and the servers that accept them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{app::TestApp, raw::Answer, store::Store};

/// The tokens of a sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Three replicas on the shared Redis, or the only server that an embedded store allows.
pub(crate) fn replicas(store: Store, settings: &[(&str, &str)]) -> Vec<TestApp> {
    let count = if store == Store::Redis { 3 } else { 1 };
    (0..count).map(|_| TestApp::start_with(store, settings)).collect()
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A claim that is a number.
pub(crate) fn time(token: &str, claim: &str) -> u64 {
    claims(token)[claim].as_u64().unwrap()
}

/// A text field of an answer.
#[track_caller]
pub(crate) fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer:?}")).to_owned()
}

/// A number field of an answer.
#[track_caller]
pub(crate) fn number(answer: &Answer, field: &str) -> u64 {
    answer.json()[field].as_u64().unwrap_or_else(|| panic!("no {field} in {answer:?}"))
}

impl Session {
    /// The tokens in the answer to a sign-in.
    #[track_caller]
    pub(crate) fn of(email: &str, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        Self {
            email: email.to_owned(),
            access_token: text(answer, "access_token"),
            refresh_token: text(answer, "refresh_token"),
        }
    }

    pub(crate) fn id(&self) -> String {
        claims(&self.access_token)["sid"].as_str().unwrap().to_owned()
    }

    /// Asserts that every server accepts both tokens. Rotation must be off, or the check would spend the refresh token.
    #[track_caller]
    pub(crate) fn assert_lives<'a>(&self, replicas: impl IntoIterator<Item = &'a TestApp>) {
        for app in replicas {
            assert_accepted(app, &self.access_token, &self.email);
            let refreshed = app.refresh_access_token(&self.refresh_token);
            assert_eq!(refreshed.status, 200, "{refreshed:?}");
            assert_accepted(app, &text(&refreshed, "access_token"), &self.email);
        }
    }

    /// Asserts that no server accepts either token.
    #[track_caller]
    pub(crate) fn assert_dead<'a>(&self, replicas: impl IntoIterator<Item = &'a TestApp>) {
        for app in replicas {
            app.current_user(&self.access_token).assert_error(401, "invalid_token");
            app.refresh_access_token(&self.refresh_token).assert_error(404, "token_not_found");
            app.current_user(&self.access_token).assert_error(401, "invalid_token");
        }
    }
}

/// Asserts that the access token gives access to this user's profile.
#[track_caller]
pub(crate) fn assert_accepted(app: &TestApp, access_token: &str, email: &str) {
    let answer = app.current_user(access_token);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["data"]["email"], email, "{answer:?}");
}

/// Asserts that the answer has this result, and another access token for the session, in the header and in the body.
#[track_caller]
pub(crate) fn assert_moved(answer: &Answer, result: &str) {
    let token = text(answer, "access_token");
    assert_eq!(answer.header("access-token"), Some(token.as_str()), "{answer:?}");
    answer.assert(200, &serde_json::json!({"result": result, "access_token": token}));
}
