//! Forms of a signature, and text around a token.

use std::time::Instant;

use auth_service_token::{KeySet, SIGNATURE_LEN, TokenError};

use super::scene::{NOW, Scene, encode};

/// The order of the group of P-256 (SEC 2, section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `ORDER - value`, both big-endian.
fn negated(value: &[u8]) -> [u8; 32] {
    let mut borrow = 0;
    let mut result = [0; 32];
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(value[index]) - borrow;
        borrow = i16::from(difference < 0);
        result[index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    result
}

/// The signature as ASN.1 in DER, which JWS does not use.
fn der(signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits[0] >= 0x80 { vec![0] } else { Vec::new() };
        [vec![2, u8::try_from(sign.len() + digits.len()).unwrap()], sign, digits].concat()
    };
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

#[test]
fn only_64_bytes_of_two_numbers_are_a_signature() {
    let scene = Scene::new();
    let (message, signature) = scene.parts();
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    let bad = [
        &signature[..63],
        &[&signature[..], &[0]].concat(),
        &[&[0], &signature[..]].concat(),
        &[r, &[0], s].concat(),
        &der(&signature),
        &[s, r].concat(),
        &[&zero, s].concat(),
        &[r, &zero].concat(),
        &[zero, zero].concat(),
        &[&ORDER, s].concat(),
        &[r, &ORDER].concat(),
        &[&negated(r)[..], s].concat(),
        &[0xff; 64],
        &signature.repeat(2),
        &[],
    ];
    for signature in bad {
        scene.assert_refused(&format!("{message}.{}", encode(signature)), TokenError::BadSignature);
    }
    let text = encode(signature);
    let last = text.chars().last().unwrap();
    // Four bits of the last character are not used, and must be zero.
    assert!("AQgw".contains(last), "{text}");
    for unused in ["B", "R", "h", "x"].map(|end| format!("{message}.{}{end}", &text[..85])) {
        scene.assert_refused(&unused, TokenError::Malformed);
    }
    for end in ["=", "==", " ", "\0", "é"] {
        scene.assert_refused(&format!("{message}.{text}{end}"), TokenError::Malformed);
    }
}

#[test]
fn text_around_a_token_is_refused() {
    let scene = Scene::new();
    let token = &scene.token;
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("not three parts") };
    for text in [
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{header}.{token}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{token}{token}"),
        format!(" {token}"),
        format!("{token}\n"),
    ] {
        let refused = scene.verify(&text, NOW);
        assert!(refused.iter().all(Result::is_err), "{text}: {refused:?}");
    }
}

/// Whoever holds a token can compute the second form of its signature, `n - s` for `s`. Both are valid by FIPS 186-5, and
/// RFC 7518 does not choose. A holder gains nothing: both forms have the same claims, expire together, and end with the
/// session.
#[test]
fn the_second_form_of_a_signature_is_the_same_token() {
    let scene = Scene::new();
    let (message, signature) = scene.parts();
    let second = [&signature[..32], &negated(&signature[32..])].concat();
    let second = format!("{message}.{}", encode(second));
    assert_ne!(second, scene.token);
    scene.assert_accepted(&second);
    assert_eq!(scene.verify(&second, NOW + 65), [Err(TokenError::Expired); 4]);
    scene.keys.replace(KeySet::new(&[], None), Instant::now());
    scene.assert_refused(&second, TokenError::UnknownKey);
}
