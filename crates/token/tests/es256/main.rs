//! ES256 access tokens that an attacker could make, against the keys of a server and of a verifier elsewhere.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

mod claims;
mod keys;
mod scene;
mod signatures;
