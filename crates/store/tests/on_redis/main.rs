//! The store on Redis. Each test starts its own `redis-server`, which must be on the PATH.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

mod accounts;
mod clock;
mod gate;
mod key_set;
mod limits;
mod moves;
mod outbox;
mod revocations;
mod scene;
mod sessions;
mod sizes;
mod tokens;
mod versions;
