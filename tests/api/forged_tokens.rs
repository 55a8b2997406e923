//! Tokens that nobody was given, made by hand with the server's own secrets: items 24 to 31 of the security checklist.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha384, Sha512};

use crate::{
    app::{ACCESS_SECRET, REFRESH_SECRET, TestApp},
    handmade::{Kind, assert_refusal, encode, for_both_kinds, kinds, message, sign, start, unix_now},
    raw,
    runner::Store,
    suite,
};

suite! {
    every_store: [
        handmade_tokens_with_live_ids_are_accepted,
        other_algorithms_are_refused,
        headers_that_say_more_are_refused,
        kids_are_never_looked_up,
        expiry_is_enforced_with_five_seconds_of_leeway,
        times_in_the_future_are_refused,
        tokens_of_others_are_refused,
        ids_must_be_those_of_a_live_session,
        one_kind_of_token_is_never_the_other,
        text_that_is_not_quite_a_token_is_refused,
        claims_that_are_not_one_clean_object_are_refused,
    ]
}

fn handmade_tokens_with_live_ids_are_accepted(store: Store) {
    for_both_kinds(store, |app, kind| {
        // The rebuilt token is the genuine one but for the order of claims, so the handiwork of this file is right.
        kind.assert_accepted(app, &kind.with("jti", kind.claims()["jti"].clone()));
        kind.assert_accepted(app, &kind.with("exp", json!(unix_now() + 10_000)));
        kind.assert_accepted(app, &kind.with("nbf", json!(unix_now())));
        kind.assert_accepted(app, &kind.with("unknown", json!("claim")));
    });
}

fn other_algorithms_are_refused(store: Store) {
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
            // Signed with the right key all the same, by HS256 and by what it says.
            kind.assert_refused(app, &sign(&header, &claims, kind.secret), alg);
            let key = kind.secret.as_bytes();
            let hs384 = Hmac::<Sha384>::new_from_slice(key).unwrap().chain_update(&message).finalize();
            kind.assert_refused(app, &format!("{message}.{}", encode(hs384.into_bytes())), alg);
            let hs512 = Hmac::<Sha512>::new_from_slice(key).unwrap().chain_update(&message).finalize();
            kind.assert_refused(app, &format!("{message}.{}", encode(hs512.into_bytes())), alg);
        }
        for alg in [json!(null), json!(256), json!(["HS256"]), json!({"HS256": true})] {
            kind.assert_refused(app, &kind.with_header(&json!({"typ": kind.typ, "alg": alg})), "alg is no text");
        }
        kind.assert_refused(app, &kind.with_header(&json!({"typ": kind.typ})), "no alg");
    });
}

fn headers_that_say_more_are_refused(store: Store) {
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
        // A key that the token brings along, and that did sign it.
        let header = json!({"typ": kind.typ, "alg": "HS256", "jwk": jwk}).to_string();
        kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), &"k".repeat(32)), "jwk");
        for header in ["", "{}", "null", "[]", "x", r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256"}"#] {
            kind.assert_refused(app, &sign(header, &kind.claims().to_string(), kind.secret), header);
        }
    });
}

fn kids_are_never_looked_up(store: Store) {
    for_both_kinds(store, |app, kind| {
        let long = "k".repeat(5_000);
        for kid in
            ["1", "../../../../dev/null", "/etc/passwd", "x' UNION SELECT 'secret'; --", "*", "\0", "\r\nDEL x", &long]
        {
            // Signed with ours, and with what a look-up of such a kid would have found.
            kind.assert_refused(app, &kind.with_header_field("kid", &json!(kid)), "kid");
            let header = json!({"typ": kind.typ, "alg": "HS256", "kid": kid}).to_string();
            kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), ""), "kid");
            kind.assert_refused(app, &sign(&header, &kind.claims().to_string(), "secret"), "kid");
        }
    });
    // A megabyte does not get as far as a token: headers and bodies end at 16 KiB.
    let app = start(store);
    let [access, refresh] = kinds(&app.new_session());
    let huge = |kind: &Kind| kind.with_header_field("kid", &json!("k".repeat(1_000_000)));
    assert_eq!((access.ask)(&app, &huge(&access)).status, 431);
    (refresh.ask)(&app, &huge(&refresh)).assert_error(413, "body_too_large");
}

fn expiry_is_enforced_with_five_seconds_of_leeway(store: Store) {
    for_both_kinds(store, |app, kind| {
        for seconds in [6, 60, 1_000_000] {
            let token = kind.with("exp", json!(unix_now() - seconds));
            assert_refusal(&(kind.ask)(app, &token), &token, "token_expired", kind.typ);
        }
        let token = kind.with("exp", json!(0));
        assert_refusal(&(kind.ask)(app, &token), &token, "token_expired", kind.typ);
        // Its entry lives, so the leeway holds.
        kind.assert_accepted(app, &kind.with("exp", json!(unix_now() - 1)));
        kind.assert_refused(app, &kind.without("exp"), "no exp");
        let soon = unix_now() + 60;
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
        // More than any number can hold.
        for exp in ["18446744073709551616", "1e999", "99999999999999999999999999", "NaN", "0x7fffffff"] {
            let mut claims = kind.claims();
            claims["exp"] = json!(4_711);
            kind.assert_refused(app, &kind.sign_text(&claims.to_string().replace("4711", exp)), exp);
        }
    });
}

fn times_in_the_future_are_refused(store: Store) {
    for_both_kinds(store, |app, kind| {
        for claim in ["iat", "nbf"] {
            for seconds in [30, 3_600] {
                kind.assert_refused(app, &kind.with(claim, json!(unix_now() + seconds)), claim);
            }
            for value in [json!("0"), json!(-1), json!(1e300), json!([0]), json!(u64::MAX)] {
                kind.assert_refused(app, &kind.with(claim, value.clone()), &format!("{claim} {value}"));
            }
            // Clocks may differ by a little.
            kind.assert_accepted(app, &kind.with(claim, json!(unix_now() + 2)));
        }
        kind.assert_refused(app, &kind.without("iat"), "no iat");
    });
}

fn tokens_of_others_are_refused(store: Store) {
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
        assert_eq!(sign(&header, &claims, kind.secret), kind.genuine, "the control");
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
    // What another instance on the same store gave to the same user: its secrets are not ours.
    let other = match store {
        Store::Redis => "the other instance's own access secret",
        Store::Embedded => return,
    };
    let settings = [("AUTH_SECRET_KEY", other), ("REFRESH_SECRET_KEY", "the other instance's own refresh secret")];
    let (app, other) = (start(store), TestApp::start_with(store, &settings));
    let session = other.new_session();
    for kind in kinds(&session) {
        kind.assert_accepted(&other, &kind.genuine);
        kind.assert_refused(&app, &kind.genuine, "another instance's");
    }
}

fn ids_must_be_those_of_a_live_session(store: Store) {
    let app = start(store);
    let (ada, bob) = (app.new_session(), app.new_session());
    for (kind, bobs) in kinds(&ada).iter().zip(kinds(&bob)) {
        // A genuine signature over ids that the store does not have, or not together: refresh calls that removed.
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

fn one_kind_of_token_is_never_the_other(store: Store) {
    let app = start(store);
    let [access, refresh] = kinds(&app.new_session());
    for (kind, other) in [(&access, &refresh), (&refresh, &access)] {
        kind.assert_refused(&app, &other.genuine, "the other kind");
        // Each mark of a kind tells by itself: the key, and the typ.
        let claims = kind.claims().to_string();
        kind.assert_refused(&app, &sign(&kind.header(), &claims, other.secret), "the other's key");
        kind.assert_refused(&app, &sign(&other.header(), &claims, kind.secret), "the other's typ");
        kind.assert_accepted(&app, &sign(&kind.header(), &claims, kind.secret));
    }
    let removal = app.send("DELETE", "/access-token", &[("Authorization", &refresh.genuine)], None);
    assert_refusal(&removal, &refresh.genuine, "invalid_token", "a refresh token removes nothing");
}

fn text_that_is_not_quite_a_token_is_refused(store: Store) {
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
    // White space and control characters survive inside JSON; a header's end in them is not part of it.
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
    access.assert_refused(&app, &format!(" {}", access.genuine), "a leading space");
    access.assert_refused(&app, &access.genuine.replacen('.', ". ", 1), "a space");
    access.assert_refused(&app, &access.genuine.replacen('.', "\t.", 1), "a tab");
    access.assert_refused(&app, &access.genuine.replacen('.', ".\u{e9}", 1), "not ASCII");
    for not_http in ["\0", "\r\n ", "\n "] {
        let value = format!("Bearer {}", access.genuine.replacen('.', &format!("{not_http}."), 1));
        let bytes = raw::request("GET", "/user", &[("Authorization", &value)], None);
        let answer = raw::exchange(app.port(), &bytes).unwrap();
        assert_eq!(answer.status, 400, "{not_http:?} is no part of a header: {answer:?}");
    }
}

/// The genuine token with one character changed: a few in each part, and the signature's last through all 63 others, of
/// which three differ only in the two bits that base64url leaves over.
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

fn claims_that_are_not_one_clean_object_are_refused(store: Store) {
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
        // serde reads an array as a struct by the order of its fields, so these are the claims in just that order.
        let ordered = ["iss", "aud", "sub", "tag", "sid", "jti", "iat", "exp"].map(|name| kind.claims()[name].clone());
        let with_nbf: Vec<Value> = ordered.iter().cloned().chain([json!(0)]).collect();
        kind.assert_refused(app, &kind.sign(&json!(with_nbf)), "an array of claims");
    });
}
