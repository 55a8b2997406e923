//! Tokens with a forged header, signature or text.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use rstest::rstest;
use serde_json::json;

use crate::support::{
    Kind,
    Store::{self, Embedded, Redis},
    assert_refusal, encode, for_both_kinds, kinds, message, raw, sign, sign_by, start,
};

#[rstest]
fn other_algorithms_are_refused(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        let claims = kind.claims().to_string();
        let own = kind.genuine.rsplit('.').next().unwrap();
        for alg in ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 "]
        {
            let header = format!(r#"{{"typ":"{}","alg":"{alg}"}}"#, kind.typ);
            let message = message(&header, &claims);
            for signature in ["", own, "AAAA"] {
                kind.assert_refused(app, &format!("{message}.{signature}"), alg);
            }
            kind.assert_refused(app, &message, alg);
            // Signed with the right key, by HS256 and by other algorithms.
            kind.assert_refused(app, &sign(&header, &claims, kind.secret), alg);
            for algorithm in [hmac::HMAC_SHA384, hmac::HMAC_SHA512] {
                kind.assert_refused(app, &sign_by(algorithm, &message, kind.secret), alg);
            }
        }
        for alg in [json!(null), json!(256), json!(["HS256"]), json!({"HS256": true})] {
            kind.assert_refused(app, &kind.with_header(&json!({"typ": kind.typ, "alg": alg})), "alg is not a string");
        }
        kind.assert_refused(app, &kind.with_header(&json!({"typ": kind.typ})), "no alg");
    });
}

#[rstest]
fn headers_with_more_fields_than_typ_and_alg_are_refused(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        let jwk = json!({"kty": "oct", "k": encode("k".repeat(32))});
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("jku", json!("http://127.0.0.1:1/keys")),
            ("x5u", json!("http://127.0.0.1:1/certificate")),
            ("jwk", jwk.clone()),
            ("x5c", json!(["MIIB"])),
            ("cty", json!("JWT")),
            ("zip", json!("DEF")),
            ("alg", json!("HS256")),
        ] {
            kind.assert_refused(app, &kind.with_header_field(name, &value), name);
        }
        // Signed with the key that the token itself contains.
        let header = json!({"typ": kind.typ, "alg": "HS256", "jwk": jwk}).to_string();
        kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), &"k".repeat(32)), "jwk");
        for header in ["", "{}", "null", "[]", "x", r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256"}"#] {
            kind.assert_refused(app, &sign(header, &kind.claims().to_string(), kind.secret), header);
        }
    });
}

#[rstest]
fn kids_are_never_looked_up(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        let long = "k".repeat(5_000);
        for kid in
            ["1", "../../../../dev/null", "/etc/passwd", "x' UNION SELECT 'secret'; --", "*", "\0", "\r\nDEL x", &long]
        {
            // Signed with the server's key, and with keys that a look-up of the kid could have found.
            kind.assert_refused(app, &kind.with_header_field("kid", &json!(kid)), "kid");
            let header = json!({"typ": kind.typ, "alg": "HS256", "kid": kid}).to_string();
            kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), ""), "kid");
            kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), "secret"), "kid");
        }
    });
    // The limit of 16 KiB for headers and bodies applies before the server reads a token.
    let app = start(store);
    let [access, refresh] = kinds(&app.new_session());
    let huge = |kind: &Kind| kind.with_header_field("kid", &json!("k".repeat(1_000_000)));
    assert_eq!((access.ask)(&app, &huge(&access)).status, 431);
    (refresh.ask)(&app, &huge(&refresh)).assert_error(413, "body_too_large");
}

#[rstest]
fn access_and_refresh_tokens_are_not_interchangeable(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let [access, refresh] = kinds(&app.new_session());
    for (kind, other) in [(&access, &refresh), (&refresh, &access)] {
        kind.assert_refused(&app, &other.genuine, "the other kind");
        // The key tells the kinds apart, and so does `typ`.
        let claims = kind.claims().to_string();
        kind.assert_refused(&app, &sign(&kind.header(), &claims, other.secret), "the key of the other kind");
        kind.assert_refused(&app, &sign(&other.header(), &claims, kind.secret), "the typ of the other kind");
        kind.assert_accepted(&app, &sign(&kind.header(), &claims, kind.secret));
    }
    let removal = app.send("DELETE", "/access-token", &[("Authorization", &refresh.genuine)], None);
    assert_refusal(&removal, &refresh.genuine, "invalid_token", "a refresh token removes nothing");
}

#[rstest]
fn text_that_is_not_quite_a_token_is_refused(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        let parts: Vec<&str> = kind.genuine.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("not three parts") };
        for refused in [
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{header}..{signature}"),
            format!(".{claims}.{signature}"),
            "..".to_owned(),
            ".".to_owned(),
            "....".to_owned(),
            format!("{}.", kind.genuine),
            format!(".{}", kind.genuine),
            format!("{}.{signature}", kind.genuine),
            format!("{header}.{}", kind.genuine),
            format!("{header}.{claims}.{signature}="),
            format!("{header}.{claims}=.{signature}"),
            format!("{header}=.{claims}.{signature}"),
            format!("{}%2E", kind.genuine),
            format!("\"{}\"", kind.genuine),
            format!("{},{}", kind.genuine, kind.genuine),
            format!("{} {}", kind.genuine, kind.genuine),
            kind.genuine.to_lowercase(),
            signature.to_owned(),
            kind.sign_text(""),
            kind.sign_text("x"),
            URL_SAFE_NO_PAD.encode(&kind.genuine),
        ] {
            kind.assert_refused(app, &refused, &refused);
        }
        tampered(kind).for_each(|token| kind.assert_refused(app, &token, "tampered"));
    });
    // JSON keeps white space and control characters. A header loses white space at both ends.
    let app = start(store);
    let [access, refresh] = kinds(&app.new_session());
    let token = &refresh.genuine;
    for white in [" ", "\n", "\r\n", "\t", "\0", "\u{a0}", "\u{feff}"] {
        let middle = token.len() / 2;
        for spoilt in [
            format!("{white}{token}"),
            format!("{token}{white}"),
            format!("{}{white}{}", &token[..middle], &token[middle..]),
            token.replace('.', &format!("{white}.")),
        ] {
            refresh.assert_refused(&app, &spoilt, &format!("{white:?}"));
        }
    }
    access.assert_refused(&app, &access.genuine.replacen('.', ". ", 1), "a space");
    access.assert_refused(&app, &access.genuine.replacen('.', "\t.", 1), "a tab");
    access.assert_refused(&app, &access.genuine.replacen('.', ".\u{e9}", 1), "not ASCII");
    for not_http in ["\0", "\r\n ", "\n "] {
        let value = format!("Bearer {}", access.genuine.replacen('.', &format!("{not_http}."), 1));
        let bytes = raw::request("GET", "/user", &[("Authorization", &value)], None);
        let answer = raw::exchange(app.port(), &bytes).unwrap();
        assert_eq!(answer.status, 400, "{not_http:?} is not allowed in a header: {answer:?}");
    }
}

/// Copies of the genuine token with one changed character: every 23rd character once, and the last character replaced
/// by each of the 63 others. Three of these 63 differ only in the two bits that base64url does not use.
fn tampered(kind: &Kind) -> impl Iterator<Item = String> + '_ {
    let genuine = &kind.genuine;
    let swap = move |place: usize, with: u8| {
        let mut bytes = genuine.clone().into_bytes();
        (bytes[place] != with).then(|| {
            bytes[place] = with;
            String::from_utf8(bytes).unwrap()
        })
    };
    let last = genuine.len() - 1;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let ends = alphabet.iter().filter_map(move |&with| swap(last, with));
    let middles = (0..last).step_by(23).filter_map(move |place| swap(place, b'x'));
    ends.chain(middles)
}
