//! The tokens of the service: JWTs (RFC 7519) signed with HS256 or ES256, verified by the rules of RFC 8725.
//!
//! This crate imports nothing from the server, so that another service can verify tokens with this crate alone.
//!
//! # Why not `jsonwebtoken`
//!
//! `jsonwebtoken` 11 signs and verifies through a provider that is global to the process. Either the program installs
//! the provider, which a library must not do, or a cargo feature selects the provider. The feature `rust_crypto`
//! compiles 44 crates, among them `rsa` with RUSTSEC-2023-0071, and takes 420 µs to verify ES256, where `ring` takes 75
//! µs. The feature `aws_lc_rs` adds 55 seconds to the first build on two cores. The type `Validation` reads the clock
//! of the machine, but this service uses the time of the store. `ring` is already a dependency, through rustls. The
//! rest of a JWT is one fixed header, base64 and JSON.

mod access;
mod amr;
mod check;
mod claims;
mod es256;
mod id;
mod jwk;
mod keys;
mod kid;
mod kind;
mod mfa;
mod payload;
mod seal;
mod seen;
mod tokens;

pub use self::{
    access::{AccessTokens, Algorithm, Es256Verifier, NoSigningKey},
    amr::Amr,
    check::{KindCheck, SecretsCheck},
    claims::{Claims, LEEWAY_SECONDS, TokenError},
    es256::{KeyError, SIGNATURE_LEN, SigningKey, VerifyingKey},
    id::{ID_LEN, Id},
    jwk::Jwk,
    keys::{KeySet, Keys, SIGNS_FOR},
    kid::{KID_LEN, Kid},
    kind::TokenKind,
    mfa::{MfaClaims, MfaTokens},
    payload::{CLIENT_ID, Parties, SERVICE},
    seal::SealingKey,
    seen::SeenTokens,
    tokens::Tokens,
};
