//! The handlers. Each takes a request apart, calls one use case of the same name, and writes the answer.

pub(super) mod accounts;
pub(super) mod health;
mod owner;
pub(super) mod sessions;
pub(super) mod tokens;
