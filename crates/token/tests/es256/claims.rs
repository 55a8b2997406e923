//! The claims of a token, and its life.

use auth_service_token::{Algorithm, Amr, Claims, Parties, SeenTokens, TokenError, Tokens};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::scene::{NOW, Scene};

#[test]
fn a_token_has_the_header_and_the_claims_of_rfc_9068() {
    let scene = Scene::new();
    let header = URL_SAFE_NO_PAD.decode(scene.token.split('.').next().unwrap()).unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), scene.header());
    let Claims { sub, tag, sid, eid, jti, iat, exp, .. } = scene.claims;
    let service = "auth-service";
    let due = json!({"iss": service, "aud": service, "client_id": service, "sub": sub, "tag": tag, "sid": sid,
        "eid": eid, "jti": jti, "iat": iat, "exp": exp, "amr": ["pwd"], "auth_time": NOW});
    assert_eq!(scene.payload(), due);
}

#[test]
fn a_token_lives_until_exp_plus_leeway_also_when_it_was_seen() {
    let scene = Scene::new();
    let seen = SeenTokens::default();
    let at = |seconds| scene.server.access.verify(&scene.token, NOW + seconds, &seen);
    assert_eq!(
        [at(0), at(64), at(65), at(0)],
        [Ok(scene.claims), Ok(scene.claims), Err(TokenError::Expired), Ok(scene.claims)]
    );
    assert_eq!(scene.verify(&scene.token, NOW + 64), [Ok(scene.claims); 4]);
    assert_eq!(scene.verify(&scene.token, NOW + 65), [Err(TokenError::Expired); 4]);
    assert_eq!(scene.verify(&scene.token, NOW - 600), [Ok(scene.claims); 4]);
}

#[test]
fn tokens_of_the_version_before_are_accepted() {
    let scene = Scene::new();
    let mut payload = scene.payload();
    let new = ["eid", "client_id", "amr", "auth_time"];
    payload.as_object_mut().unwrap().retain(|name, _| !new.contains(&name.as_str()));
    let token = scene.sign(&scene.header(), &payload.to_string());
    let claims = Claims { eid: None, amr: Amr::default(), auth_time: None, ..scene.claims };
    assert_eq!(scene.verify(&token, NOW), [Ok(claims); 4]);
}

#[test]
fn claims_are_compared_exactly() {
    let scene = Scene::new();
    let with = |name: &str, value: Value| {
        let mut payload = scene.payload();
        payload[name] = value;
        scene.sign(&scene.header(), &payload.to_string())
    };
    let service = "auth-service";
    for other in ["another", "", "AUTH-SERVICE", "auth-service/", "auth-service "] {
        scene.assert_refused(&with("iss", json!(other)), TokenError::WrongIssuer);
        scene.assert_refused(&with("aud", json!(other)), TokenError::WrongAudience);
    }
    for name in ["iss", "aud"] {
        for value in [json!([service]), json!([service, "another"]), json!(null), json!({}), json!(1)] {
            scene.assert_refused(&with(name, value), TokenError::Malformed);
        }
    }
    scene.assert_refused(&with("nbf", json!(NOW + 6)), TokenError::NotYetValid);
    for name in ["iss", "aud", "sub", "tag", "sid", "jti", "iat", "exp"] {
        let mut payload = scene.payload();
        let value = payload.as_object_mut().unwrap().remove(name).unwrap();
        scene.assert_refused(&scene.sign(&scene.header(), &payload.to_string()), TokenError::Malformed);
        let twice = scene.payload().to_string().replacen('{', &format!(r#"{{"{name}":{value},"#), 1);
        scene.assert_refused(&scene.sign(&scene.header(), &twice), TokenError::Malformed);
    }
    for text in ["", "x", "null", "[]", "{}", &format!("[{}]", scene.payload()), &format!("{} x", scene.payload())] {
        scene.assert_refused(&scene.sign(&scene.header(), text), TokenError::Malformed);
    }
}

#[test]
fn tokens_of_another_issuer_or_audience_are_refused_by_name() {
    let scene = Scene::new();
    let issued = |issuer: &str, audience: &str| {
        let parties = Parties { issuer: issuer.into(), audience: audience.into() };
        let tokens = Tokens::new(&[1; 32], &[2; 32]).with_parties(parties);
        tokens.with_keys(Algorithm::Es256, scene.keys.clone()).access.issue(&scene.claims).unwrap()
    };
    scene.assert_accepted(&issued("auth-service", "auth-service"));
    scene.assert_refused(&issued("https://a.example", "auth-service"), TokenError::WrongIssuer);
    scene.assert_refused(&issued("auth-service", "https://a.example"), TokenError::WrongAudience);
}
