//! Tests from outside: each test starts real servers and a real Redis, and asserts what a client sees.
//!
//! A test that runs on every store takes `#[values(Redis, Embedded)] store: Store`. Such a test counts as two tests.
//! `./test.sh` sets four variables. `TEST_TOPOLOGY` names another topology of the shared Redis. `TEST_REDIS_SERVER`
//! names another Redis program. `TEST_RACE_ROUNDS` is the number of rounds of a race. `TEST_PUBLISHED_PORT` names a
//! running deployment, on which only the tests in `contract` can run.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[expect(dead_code, unused_imports, reason = "the tests of failover use the rest")]
mod support;

mod contract;
mod http;
mod mails;
mod metrics;
mod oauth;
mod openapi;
mod passwords;
mod resource_server;
mod revocations;
mod running;
mod second_factor;
mod sessions;
mod signing_keys;
mod store;
mod webhooks;
mod with_redis;
