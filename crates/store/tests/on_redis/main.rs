//! The store on a Redis server of each test's own, which `redis-server` on the path starts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod accounts;
mod clock;
mod limits;
mod scene;
mod sessions;
mod sizes;
mod tokens;
mod versions;
