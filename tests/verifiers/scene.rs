//! A server that signs with ES256, its tokens, and tokens that every verifier must refuse.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    RedisServer, Session, TestApp, claims, encode, message, sign, time, wait_longer, wait_until_after,
};

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const AUDIENCE: &str = "orders";
pub(crate) const ES256: [(&str, &str); 3] =
    [("ACCESS_TOKEN_ALGORITHM", "ES256"), ("ISSUER", ISSUER), ("AUDIENCE", AUDIENCE)];
/// A short lead, so that a test need not wait long for the next key, and long lives.
const SETTINGS: [(&str, &str); 3] =
    [("SIGNING_KEY_LEAD_SECONDS", "3"), ("ACCESS_TOKEN_TTL_SECONDS", "600"), ("REFRESH_TOKEN_TTL_SECONDS", "600")];

/// What a verifier must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    OtherAudience,
    OtherIssuer,
    Expired,
    /// The claims of another user, under the signature of a genuine token.
    Tampered,
    /// Signed with HS256, and with the public key as the secret.
    PublicKeyAsSecret,
    /// `"alg":"none"` and no signature.
    Unsigned,
    UnknownKey,
}

pub(crate) struct Scene {
    pub(crate) app: TestApp,
    redis: RedisServer,
}

impl Scene {
    pub(crate) fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let app = TestApp::start_on(&redis.url(), &settings());
        Self { app, redis }
    }

    pub(crate) fn jwks_url(&self) -> String {
        format!("http://127.0.0.1:{}/.well-known/jwks.json", self.app.port())
    }

    pub(crate) fn jwks(&self) -> Value {
        let answer = self.app.send("GET", "/.well-known/jwks.json", &[], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A token of a server on the same Redis with another setting, so that the same key signs.
    fn signed_with(&self, name: &str, value: &str) -> String {
        let other = TestApp::start_on(&self.redis.url(), &[&settings()[..], &[(name, value)]].concat());
        other.new_session().access_token
    }

    /// Every bad token. Takes as long as a token needs to expire.
    pub(crate) fn bad_tokens(&self) -> Vec<(Bad, String)> {
        let expired = self.signed_with("ACCESS_TOKEN_TTL_SECONDS", "1");
        let good = self.app.new_session().access_token;
        let (header, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
        let mut other = claims(&good);
        other["sub"] = json!("8c5bb1a4-9d9c-4a54-9d1f-0d4f0f4b3b2b");
        let kid = kid(&good);
        let hs256 = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#);
        let unsigned = format!(r#"{{"typ":"at+jwt","alg":"none","kid":"{kid}"}}"#);
        let genuine = claims(&good).to_string();
        let tokens = vec![
            (Bad::OtherAudience, self.signed_with("AUDIENCE", "invoices")),
            (Bad::OtherIssuer, self.signed_with("ISSUER", "https://evil.example.com")),
            (Bad::Tampered, format!("{header}.{}.{signature}", encode(other.to_string()))),
            (Bad::PublicKeyAsSecret, sign(&hs256, &genuine, &self.public_key())),
            (Bad::Unsigned, format!("{}.", message(&unsigned, &genuine))),
            (Bad::UnknownKey, Self::start().app.new_session().access_token),
            (Bad::Expired, expired),
        ];
        // Later than the leeway of a verifier.
        wait_until_after(time(&tokens.last().unwrap().1, "exp") + 6);
        tokens
    }

    /// The public key as a text, as a verifier that does not check `alg` would use it.
    fn public_key(&self) -> String {
        self.jwks()["keys"][0].to_string()
    }

    /// Rotates the key, and waits until the next key signs.
    pub(crate) fn rotate(&self) -> Session {
        let before = kid(&self.app.new_session().access_token);
        let output = self.app.cli(&["keys", "rotate"]);
        assert!(output.status.success(), "{output:?}");
        let mut session = self.app.new_session();
        wait_longer(30, "the next key signs", || {
            session = self.app.new_session();
            kid(&session.access_token) != before
        });
        session
    }
}

fn settings() -> Vec<(&'static str, &'static str)> {
    [ES256, SETTINGS].concat()
}

/// The `kid` in the header of a token.
pub(crate) fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
