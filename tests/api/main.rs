//! The tests, from outside: real servers on ports of their own, a real Redis, and what a client sees.
//!
//! A test of every store takes `#[values(Redis, Embedded)] store: Store` and is two tests. `TEST_TOPOLOGY` names another
//! form of the shared Redis, `TEST_REDIS_SERVER` another Redis program, and `TEST_PUBLISHED_PORT` a running deployment,
//! on which only the tests in `contract` can run; `./test.sh` sets them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

#[expect(dead_code, unused_imports, reason = "the tests of failover use the rest")]
mod support;

mod contract;
mod http;
mod passwords;
mod running;
mod sessions;
mod store;
mod with_redis;
