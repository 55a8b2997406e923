//! A server, a verifier elsewhere, and genuine and forged tokens.

use std::{sync::Arc, time::Instant};

use auth_service_token::{
    Algorithm, Amr, Claims, Es256Verifier, Id, KeySet, Keys, Parties, SIGNATURE_LEN, SeenTokens, SigningKey,
    TokenError, Tokens,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use uuid::Uuid;

pub(super) const NOW: u64 = 1_800_000_000;

/// A server, a verifier elsewhere, and the key that signs.
pub(super) struct Scene {
    pub(super) key: Arc<SigningKey>,
    pub(super) keys: Keys,
    pub(super) server: Tokens,
    pub(super) verifier: Es256Verifier,
    pub(super) token: String,
    pub(super) claims: Claims,
}

impl Scene {
    pub(super) fn new() -> Self {
        let key = Arc::new(SigningKey::generate().unwrap().0);
        let keys = Keys::default();
        keys.replace(KeySet::new(&[*key.verifying_key()], Some(Arc::clone(&key))), Instant::now());
        let server = Tokens::new(&[1; 32], &[2; 32]).with_keys(Algorithm::Es256, keys.clone());
        let verifier = Es256Verifier::new(Parties::default(), keys.clone());
        let claims = claims();
        let token = server.access.issue(&claims).unwrap();
        let scene = Self { key, keys, server, verifier, token, claims };
        scene.assert_accepted(&scene.token);
        scene
    }

    /// The answers of the server and of the verifier, each twice: the second one may come from the map of seen tokens.
    pub(super) fn verify(&self, token: &str, now: u64) -> [Result<Claims, TokenError>; 4] {
        let seen = [SeenTokens::default(), SeenTokens::default()];
        let server = || self.server.access.verify(token, now, &seen[0]);
        let verifier = || self.verifier.verify(token, now, &seen[1]);
        [server(), server(), verifier(), verifier()]
    }

    #[track_caller]
    pub(super) fn assert_accepted(&self, token: &str) {
        assert_eq!(self.verify(token, NOW), [Ok(self.claims); 4], "{token}");
    }

    #[track_caller]
    pub(super) fn assert_refused(&self, token: &str, error: TokenError) {
        assert_eq!(self.verify(token, NOW), [Err(error); 4], "{token:.200}");
    }

    /// The message and the signature of the genuine token.
    pub(super) fn parts(&self) -> (&str, [u8; SIGNATURE_LEN]) {
        let (message, signature) = self.token.rsplit_once('.').unwrap();
        (message, URL_SAFE_NO_PAD.decode(signature).unwrap().try_into().unwrap())
    }

    pub(super) fn header(&self) -> String {
        self.header_with("")
    }

    pub(super) fn header_with(&self, more: &str) -> String {
        format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{}"{more}}}"#, self.kid())
    }

    pub(super) fn kid(&self) -> String {
        self.key.verifying_key().kid().to_string()
    }

    pub(super) fn payload(&self) -> Value {
        let payload = self.token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    /// A token of this header and payload, signed with the key of the server.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = self.key.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature))
    }
}

fn claims() -> Claims {
    let id = || Id::random().unwrap();
    Claims {
        sid: id(),
        eid: Some(id()),
        jti: id(),
        iat: NOW,
        exp: NOW + 60,
        amr: Amr::PASSWORD,
        auth_time: Some(NOW),
        ..Claims::of(Uuid::new_v4(), id())
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
