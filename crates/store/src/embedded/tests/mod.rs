//! Tests of the embedded store on a clock that they set.

mod accounts;
mod directory;
mod limits;
mod outbox;
mod revocations;
mod scene;
mod sessions;
mod tokens;
mod versions;
