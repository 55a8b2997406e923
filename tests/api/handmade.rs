//! Tokens made by hand with the server's own secrets, for tests that change one thing about them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    app::{ACCESS_SECRET, REFRESH_SECRET, Session, TestApp},
    raw::Answer,
    runner::Store,
};

/// One kind of token: where it goes, and what a genuine one is made of.
pub(crate) struct Kind {
    pub(crate) secret: &'static str,
    pub(crate) typ: &'static str,
    /// The genuine token that the server gave.
    pub(crate) genuine: String,
    pub(crate) ask: fn(&TestApp, &str) -> Answer,
}

pub(crate) fn start(store: Store) -> TestApp {
    TestApp::start_with(store, &[("AUTH_SECRET_KEY", ACCESS_SECRET), ("REFRESH_SECRET_KEY", REFRESH_SECRET)])
}

pub(crate) fn kinds(session: &Session) -> [Kind; 2] {
    let access = Kind {
        secret: ACCESS_SECRET,
        typ: "at+jwt",
        genuine: session.access_token.clone(),
        ask: |app, token| app.current_user(token),
    };
    let refresh = Kind {
        secret: REFRESH_SECRET,
        typ: "rt+jwt",
        genuine: session.refresh_token.clone(),
        ask: |app, token| app.refresh_access_token(token),
    };
    [access, refresh]
}

impl Kind {
    /// Written as the server writes it; `json!` would sort its fields.
    pub(crate) fn header(&self) -> String {
        format!(r#"{{"typ":"{}","alg":"HS256"}}"#, self.typ)
    }

    /// The claims of the genuine token.
    pub(crate) fn claims(&self) -> Value {
        let payload = self.genuine.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_text(&claims.to_string())
    }

    pub(crate) fn sign_text(&self, claims: &str) -> String {
        sign(&self.header(), claims, self.secret)
    }

    pub(crate) fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        self.sign(&claims)
    }

    pub(crate) fn without(&self, claim: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        self.sign(&claims)
    }

    pub(crate) fn with_header(&self, header: &Value) -> String {
        sign(&header.to_string(), &self.claims().to_string(), self.secret)
    }

    /// The genuine header with one more field after its own.
    pub(crate) fn with_header_field(&self, name: &str, value: &Value) -> String {
        let header = format!(r#"{{"typ":"{}","alg":"HS256","{name}":{value}}}"#, self.typ);
        sign(&header, &self.claims().to_string(), self.secret)
    }

    #[track_caller]
    pub(crate) fn assert_accepted(&self, app: &TestApp, token: &str) {
        let answer = (self.ask)(app, token);
        assert_eq!(answer.status, 200, "{} {answer:?}", self.typ);
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, app: &TestApp, token: &str, why: &str) {
        assert_refusal(&(self.ask)(app, token), token, "invalid_token", &format!("{} {why}", self.typ));
    }
}

pub(crate) fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

pub(crate) fn sign(header: &str, claims: &str, secret: &str) -> String {
    let message = message(header, claims);
    let signature = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&message).finalize();
    format!("{message}.{}", encode(signature.into_bytes()))
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[track_caller]
pub(crate) fn assert_refusal(answer: &Answer, token: &str, code: &str, why: &str) {
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(code)), "{why}: {answer:?}");
    answer.assert_error(401, code);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{why}");
    let parts = token.split('.').filter(|part| part.len() > 8);
    for part in parts {
        assert!(!answer.body.contains(part), "{why}: the answer repeats what was sent");
    }
}

/// Runs a check for both kinds of tokens of a live session, and sees afterwards that the session is still good: what
/// was refused was refused for its own sake.
pub(crate) fn for_both_kinds(store: Store, check: impl Fn(&TestApp, &Kind)) {
    let app = start(store);
    for kind in kinds(&app.new_session()) {
        check(&app, &kind);
        kind.assert_accepted(&app, &kind.genuine);
        kind.assert_accepted(&app, &kind.sign(&kind.claims()));
    }
}
