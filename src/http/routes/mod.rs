//! The handlers. Each handler validates a request, calls one use case of the same name, and writes the answer.

pub(super) mod accounts;
pub(super) mod email;
pub(super) mod forward_auth;
pub(super) mod health;
pub(super) mod oauth;
mod owner;
pub(super) mod password;
pub(super) mod revocations;
pub(super) mod sessions;
pub(super) mod tokens;
pub(super) mod totp;
pub(super) mod well_known;
