//! Access and refresh tokens: JWTs (RFC 7519) signed with HS256, verified by the rules of RFC 8725.
//!
//! This crate imports nothing of the server, so that a service which verifies tokens can use it alone.
//!
//! # Why not `jsonwebtoken`
//!
//! `jsonwebtoken` 11 reaches every signature through a provider that is global to the process. A program installs one,
//! which a library for verifiers must not do, or a cargo feature chooses one. The feature `rust_crypto` compiles 44
//! crates, among them `rsa` with RUSTSEC-2023-0071, and verifies ES256 in 420 µs where `ring` takes 75. The feature
//! `aws_lc_rs` makes the first build 55 seconds longer on two cores. Its `Validation` reads the machine's clock, but the
//! time of this service is the store's. `ring` is in the tree already, through rustls. What remains is one fixed header,
//! base64 and JSON.

mod claims;
mod id;
mod kind;

pub use self::{
    claims::{Claims, LEEWAY_SECONDS, TokenError},
    id::{ID_LEN, Id},
    kind::{TokenKind, Tokens},
};
