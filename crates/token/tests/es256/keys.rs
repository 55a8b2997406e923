//! Which key verifies a token: the header decides, and never the token alone.

use std::{sync::Arc, time::Instant};

use auth_service_token::{Jwk, KeySet, SeenTokens, SigningKey, TokenError, Tokens};
use base64::Engine;
use ring::hmac;

use super::scene::{NOW, Scene, encode};

#[test]
fn a_public_key_is_never_the_secret_of_hs256() {
    let scene = Scene::new();
    let key = scene.key.verifying_key();
    let point = [&[4][..], &key.x(), &key.y()].concat();
    // SubjectPublicKeyInfo of P-256 (RFC 5480, section 2): a fixed prefix and the point.
    let prefix = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let base64 = base64::engine::general_purpose::STANDARD;
    let info = [base64.decode(prefix).unwrap(), point[1..].to_vec()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64.encode(&info));
    let jwk = serde_json::to_vec(&Jwk::from(key)).unwrap();
    let secrets = [
        point.clone(),
        point[1..].to_vec(),
        key.x().to_vec(),
        info,
        pem.trim().into(),
        pem.into(),
        jwk,
        scene.kid().into(),
        Vec::new(),
    ];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let forged = |header: &str| {
            let message = format!("{}.{}", encode(header), encode(scene.payload().to_string()));
            format!("{message}.{}", encode(hmac::sign(&secret, message.as_bytes())))
        };
        let hs256 = forged(r#"{"typ":"at+jwt","alg":"HS256"}"#);
        let [server, _, verifier, _] = scene.verify(&hs256, NOW);
        assert_eq!((server, verifier), (Err(TokenError::BadSignature), Err(TokenError::UnknownHeader)));
        scene.assert_refused(&forged(&scene.header()), TokenError::BadSignature);
        let with_kid = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{}"}}"#, scene.kid());
        scene.assert_refused(&forged(&with_kid), TokenError::UnknownHeader);
    }
}

#[test]
fn a_genuine_hs256_token_is_for_the_servers_only() {
    let scene = Scene::new();
    let hs256 = Tokens::new(&[1; 32], &[2; 32]).access.issue(&scene.claims).unwrap();
    let [server, again, verifier, _] = scene.verify(&hs256, NOW);
    assert_eq!([server, again, verifier], [Ok(scene.claims), Ok(scene.claims), Err(TokenError::UnknownHeader)]);
}

#[test]
fn only_the_exact_header_is_accepted() {
    let scene = Scene::new();
    let (kid, payload) = (scene.kid(), scene.payload().to_string());
    scene.assert_accepted(&scene.sign(&scene.header(), &payload));
    let (attacker, _) = SigningKey::generate().unwrap();
    let jwk = serde_json::to_string(&Jwk::from(attacker.verifying_key())).unwrap();
    let mut headers: Vec<String> = ["none", "None", "", "HS256", "RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256"]
        .map(|alg| format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#))
        .into();
    headers.extend(
        [
            r#","crit":["exp"]"#,
            r#","crit":[]"#,
            r#","b64":false"#,
            r#","b64":false,"crit":["b64"]"#,
            r#","jku":"http://127.0.0.1:1/keys""#,
            r#","x5u":"http://127.0.0.1:1/certificate""#,
            r#","x5c":["MIIB"]"#,
            r#","cty":"JWT""#,
            r#","alg":"ES256""#,
            r#","typ":"at+jwt""#,
            &format!(r#","kid":"{kid}""#),
            &format!(r#","jwk":{jwk}"#),
            " ",
        ]
        .map(|more| scene.header_with(more)),
    );
    for other in ["1", "", "../../../../dev/null", "x' UNION SELECT 'secret'; --", "*", "\\u0000", &"k".repeat(1 << 20)]
    {
        headers.push(format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{other}"}}"#));
    }
    headers.extend([
        format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"kid":"{kid}","typ":"at+jwt","alg":"ES256"}}"#),
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"rt+jwt","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"AT+JWT","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"application/at+jwt","alg":"ES256","kid":"{kid}"}}"#),
        r#"{"typ":"at+jwt","alg":"ES256"}"#.to_owned(),
        format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":["{kid}"]}}"#),
        format!("\u{feff}{}", scene.header()),
        String::from("[]"),
        String::from("null"),
    ]);
    for header in headers {
        scene.assert_refused(&scene.sign(&header, &payload), TokenError::UnknownHeader);
    }
}

#[test]
fn a_key_that_nobody_published_verifies_nothing() {
    let scene = Scene::new();
    let (attacker, _) = SigningKey::generate().unwrap();
    let payload = encode(scene.payload().to_string());
    let forged = |kid: &str| {
        let message = format!("{}.{payload}", encode(format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#)));
        format!("{message}.{}", encode(attacker.sign(message.as_bytes()).unwrap()))
    };
    scene.assert_refused(&forged(&scene.kid()), TokenError::BadSignature);
    scene.assert_refused(&forged(attacker.verifying_key().kid().as_str()), TokenError::UnknownKey);
}

#[test]
fn a_key_that_is_removed_or_added_counts_at_once_also_for_tokens_that_were_seen() {
    let scene = Scene::new();
    let seen = SeenTokens::default();
    let ask = || scene.server.access.verify(&scene.token, NOW, &seen);
    assert_eq!([ask(), ask()], [Ok(scene.claims); 2]);
    let (next, _) = SigningKey::generate().unwrap();
    let next = Arc::new(next);
    scene.keys.replace(KeySet::new(&[*next.verifying_key()], Some(next)), Instant::now());
    assert_eq!([ask(), ask()], [Err(TokenError::UnknownKey); 2]);
    scene.keys.replace(KeySet::new(&[*scene.key.verifying_key()], None), Instant::now());
    assert_eq!([ask(), ask()], [Ok(scene.claims); 2]);
    assert!(!scene.server.access.can_issue() && scene.server.access.issue(&scene.claims).is_err());
}
