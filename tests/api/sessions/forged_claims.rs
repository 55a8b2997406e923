//! Tokens with forged claims, signed with the server's own secrets.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    ACCESS_SECRET, HS256, REFRESH_SECRET,
    Store::{self, Embedded, Redis},
    TestApp, assert_refusal, for_both_kinds, kinds, sign, start, unix_seconds,
};

#[rstest]
fn handmade_tokens_with_live_ids_are_accepted(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        // The server accepts a genuine token that a test has signed again. So the server refuses a forged token for its
        // changed claim only.
        kind.assert_accepted(app, &kind.with("jti", kind.claims()["jti"].clone()));
        kind.assert_accepted(app, &kind.with("exp", json!(unix_seconds() + 10_000)));
        kind.assert_accepted(app, &kind.with("nbf", json!(unix_seconds())));
        kind.assert_accepted(app, &kind.with("unknown", json!("claim")));
    });
}

#[rstest]
fn expiry_is_enforced_with_five_seconds_of_leeway(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        for seconds in [6, 60, 1_000_000] {
            let token = kind.with("exp", json!(unix_seconds() - seconds));
            assert_refusal(&(kind.ask)(app, &token), &token, "token_expired", kind.typ);
        }
        let token = kind.with("exp", json!(0));
        assert_refusal(&(kind.ask)(app, &token), &token, "token_expired", kind.typ);
        // The entry still exists, so the leeway applies.
        kind.assert_accepted(app, &kind.with("exp", json!(unix_seconds() - 1)));
        kind.assert_refused(app, &kind.without("exp"), "no exp");
        let soon = unix_seconds() + 60;
        for exp in [
            json!(null),
            json!(soon.to_string()),
            json!([soon]),
            json!(true),
            json!(-1),
            json!(i64::MIN),
            json!(1e300),
            json!(-1e300),
            json!(f64::from(u32::MAX) + 0.5),
        ] {
            kind.assert_refused(app, &kind.with("exp", exp.clone()), &format!("exp {exp}"));
        }
        // Values that are not a 64-bit integer.
        for exp in ["18446744073709551616", "1e999", "99999999999999999999999999", "NaN", "0x7fffffff"] {
            let mut claims = kind.claims();
            claims["exp"] = json!(4_711);
            kind.assert_refused(app, &kind.sign_text(&claims.to_string().replace("4711", exp)), exp);
        }
    });
}

#[rstest]
fn nbf_in_the_future_is_refused_and_iat_in_the_future_is_not(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        for seconds in [30, 3_600] {
            kind.assert_refused(app, &kind.with("nbf", json!(unix_seconds() + seconds)), "nbf");
            // The clock of the replica that issued the token may be wrong.
            kind.assert_accepted(app, &kind.with("iat", json!(unix_seconds() + seconds)));
        }
        for claim in ["iat", "nbf"] {
            for value in [json!("0"), json!(-1), json!(1e300), json!([0])] {
                kind.assert_refused(app, &kind.with(claim, value.clone()), &format!("{claim} {value}"));
            }
            // The clocks of two replicas may differ slightly.
            kind.assert_accepted(app, &kind.with(claim, json!(unix_seconds() + 2)));
        }
        kind.assert_refused(app, &kind.with("nbf", json!(u64::MAX)), "nbf");
        kind.assert_refused(app, &kind.without("iat"), "no iat");
    });
}

#[rstest]
fn tokens_of_other_issuers_and_audiences_are_refused(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        for claim in ["iss", "aud"] {
            let own = kind.claims()[claim].as_str().unwrap().to_owned();
            let (upper, longer) = (own.to_uppercase(), format!("{own}.example"));
            let others = [json!("another"), json!(""), json!(null), json!(upper), json!(longer), json!([own])];
            for other in others {
                kind.assert_refused(app, &kind.with(claim, other), claim);
            }
            kind.assert_refused(app, &kind.without(claim), claim);
        }
        let genuine = kind.genuine.rsplit_once('.').unwrap().0;
        let [header, claims] = [0, 1].map(|n| URL_SAFE_NO_PAD.decode(genuine.split('.').nth(n).unwrap()).unwrap());
        let [header, claims] = [header, claims].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(sign(&header, &claims, kind.secret), kind.genuine);
        for secret in [
            "the secret of another instance, 32+ bytes",
            "",
            "secret",
            &kind.secret[1..],
            ACCESS_SECRET,
            REFRESH_SECRET,
        ] {
            if secret != kind.secret {
                kind.assert_refused(app, &sign(&header, &claims, secret), "another key");
            }
        }
    });
    // Tokens of another instance on the same Redis, with other secrets. Only Redis can have two instances.
    if store == Embedded {
        return;
    }
    let settings = [
        HS256,
        ("AUTH_SECRET_KEY", "the other instance's own access secret"),
        ("REFRESH_SECRET_KEY", "the other instance's own refresh secret"),
        // Replicas with one prefix must have the same secrets.
        ("REDIS_KEY_PREFIX", "as:other:"),
    ];
    let (app, other) = (start(store), TestApp::start_with(store, &settings));
    let session = other.new_session();
    for kind in kinds(&session) {
        kind.assert_accepted(&other, &kind.genuine);
        kind.assert_refused(&app, &kind.genuine, "a token of another instance");
    }
}

#[rstest]
fn ids_must_be_those_of_a_live_session(#[values(Redis, Embedded)] store: Store) {
    let app = start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    for (kind, bobs) in kinds(&ada).iter().zip(kinds(&bob)) {
        // A valid signature over ids that the store does not know, or that belong to different sessions.
        let code = if kind.typ == "at+jwt" { (401, "invalid_token") } else { (404, "token_not_found") };
        let unknown = json!("AAAAAAAAAAAAAAAAAAAAAA");
        for token in [
            kind.with("sid", unknown.clone()),
            kind.with("tag", unknown),
            kind.with("tag", bobs.claims()["tag"].clone()),
            kind.with("sid", bobs.claims()["sid"].clone()),
        ] {
            (kind.ask)(&app, &token).assert_error(code.0, code.1);
        }
        for claim in ["sub", "tag", "sid", "jti"] {
            kind.assert_refused(&app, &kind.without(claim), claim);
            for bad in ["", "short", "AAAAAAAAAAAAAAAAAAAA{}", "AAAAAAAAAAAAAAAAAAAA\r\n", "*", &"A".repeat(2_000)] {
                kind.assert_refused(&app, &kind.with(claim, json!(bad)), claim);
            }
            kind.assert_refused(&app, &kind.with(claim, json!(1)), claim);
        }
        kind.assert_accepted(&app, &kind.genuine);
    }
}

#[rstest]
fn claims_that_are_not_one_object_without_duplicates_are_refused(#[values(Redis, Embedded)] store: Store) {
    for_both_kinds(store, |app, kind| {
        let claims = kind.claims().to_string();
        let inside = claims.trim_matches(['{', '}']);
        for claim in ["iss", "sub", "tag", "sid", "jti", "iat", "exp", "aud"] {
            let again = format!(r#""{claim}":{}"#, kind.claims()[claim]);
            kind.assert_refused(app, &kind.sign_text(&format!("{{{inside},{again}}}")), claim);
        }
        let array: Vec<Value> = kind.claims().as_object().unwrap().values().cloned().collect();
        for refused in [
            format!("[{claims}]"),
            json!(array).to_string(),
            format!("{claims}{claims}"),
            format!("{claims} x"),
            format!("\u{feff}{claims}"),
            claims[..claims.len() - 1].to_owned(),
            "null".to_owned(),
            "{}".to_owned(),
            format!("{}{}", "[".repeat(2_000), "]".repeat(2_000)),
        ] {
            kind.assert_refused(app, &kind.sign_text(&refused), &refused);
        }
        // serde would accept an array for a struct, with the values in the order of the fields.
        let ordered = ["iss", "aud", "sub", "tag", "sid", "jti", "iat", "exp"].map(|name| kind.claims()[name].clone());
        let with_nbf: Vec<Value> = ordered.iter().cloned().chain([json!(0)]).collect();
        kind.assert_refused(app, &kind.sign(&json!(with_nbf)), "an array of claims");
    });
}
