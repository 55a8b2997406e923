//! Tokens that tests make by hand with the server's own secrets, each with one change.

use auth_service_token::{Claims, SeenTokens, Tokens};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::{
    app::TestApp,
    command::{ACCESS_SECRET, HS256, REFRESH_SECRET, SECRETS},
    raw::Answer,
    session::Session,
    signing_key::with_known_key,
    store::Store,
    wait::unix_seconds,
};

/// One kind of token: how the server signs it, and the route that accepts it.
pub(crate) struct Kind {
    pub(crate) secret: &'static str,
    pub(crate) typ: &'static str,
    /// A token from the server.
    pub(crate) genuine: String,
    /// Sends a request with a token of this kind.
    pub(crate) ask: fn(&TestApp, &str) -> Answer,
}

/// A server whose secrets the tests know, and which signs with HS256 as the tests do.
pub(crate) fn start(store: Store) -> TestApp {
    TestApp::start_with(store, &[&SECRETS[..], &[HS256]].concat())
}

/// Both kinds, with the tokens of a session.
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
    /// The header in the order in which the server writes its fields. `json!` would sort them.
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

    /// The genuine token with one claim set.
    pub(crate) fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        self.sign(&claims)
    }

    /// The genuine token without one claim.
    pub(crate) fn without(&self, claim: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        self.sign(&claims)
    }

    /// The genuine claims under another header.
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

/// Base64url without padding.
pub(crate) fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The part of a token that is signed.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

/// A token signed with HS256.
pub(crate) fn sign(header: &str, claims: &str, secret: &str) -> String {
    sign_by(hmac::HMAC_SHA256, &message(header, claims), secret)
}

/// A token signed with any algorithm.
pub(crate) fn sign_by(algorithm: hmac::Algorithm, message: &str, secret: &str) -> String {
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// Asserts a 401 with its challenge, and that the body repeats no part of the token.
#[track_caller]
pub(crate) fn assert_refusal(answer: &Answer, token: &str, code: &str, why: &str) {
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(code)), "{why}: {answer:?}");
    answer.assert_error(401, code);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{why}");
    let parts = token.split('.').filter(|part| part.len() > 8);
    for part in parts {
        assert!(!answer.body.contains(part), "{why}: the answer repeats the token");
    }
}

/// Runs a check for both kinds of tokens of a live session. Asserts that the session is still alive afterwards. So the
/// server refused a token because of the token, and not because the session had ended.
pub(crate) fn for_both_kinds(store: Store, check: impl Fn(&TestApp, &Kind)) {
    let app = start(store);
    for kind in kinds(&app.new_session()) {
        check(&app, &kind);
        kind.assert_accepted(&app, &kind.genuine);
        kind.assert_accepted(&app, &kind.sign(&kind.claims()));
    }
}

/// Signs with HS256 and verifies tokens, like a server with the secrets and the ES256 key of the tests.
pub(crate) fn tokens() -> Tokens {
    with_known_key(Tokens::new(ACCESS_SECRET.as_bytes(), REFRESH_SECRET.as_bytes()))
}

/// The session's access token, as if it had expired ten seconds ago. The server must have the secrets of the tests.
pub(crate) fn expired_access_token(session: &Session) -> String {
    let now = unix_seconds();
    let claims = access_claims(&session.access_token);
    tokens().access.issue(&Claims { iat: now - 70, exp: now - 10, ..claims }).unwrap()
}

/// The claims of a genuine access token, expired or not.
pub(crate) fn access_claims(token: &str) -> Claims {
    tokens().access.verify_expired(token, unix_seconds(), &SeenTokens::default()).unwrap()
}
