//! Second factors: codes of authenticator apps (RFC 6238), and recovery codes.
//!
//! Only this crate uses `totp-rs`. Nothing here does I/O or knows the time. No debug output shows a secret or a code.

mod code;
mod recovery;
mod secret;

pub use self::{code::Code, recovery::RecoveryCode, secret::TotpSecret};
