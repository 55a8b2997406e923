//! Password hashing with argon2id (RFC 9106) on separate threads. Verifies hashes of other services too.
//!
//! | file | contents |
//! |---|---|
//! | `service` | [`Passwords`], the API of the crate: hash a new password, verify a password |
//! | `pool` | the pool of hashing threads: accepts a job unless the job would end too late |
//! | `worker` | one hashing thread, and the replacement of a thread that dies |
//! | `state` | the shared state of the hashing threads and their callers |
//! | `queue` | the waiting jobs, and the order of their clients |
//! | `metrics` | the waits, the durations and the refusals of the jobs, and the state of the pool |
//! | `estimate` | the average duration of a job, and whether one more job would end too late |
//! | `hasher` | the work of one thread: hash and verify on a memory block that the thread keeps |
//! | `stored` | stored hashes of any form |
//! | `argon` | hashes with argon2 in the PHC string format, and the bounds of their parameters |
//! | `foreign/` | hashes of other services: bcrypt, PBKDF2, scrypt |
//! | `unusable` | why a stored hash cannot be verified |
//! | `cost` | the parameters of argon2id, and the work that they cost |
//! | `rules` | the rules for new passwords |
//! | `strength` | how hard a new password is to guess |
//! | `breached` | a list of passwords that have leaked |
//! | `sorted_lines` | a search in a large file of hashes |
//! | `password` | [`Password`], normalised text |
//! | `priority` | the scheduling policy of the hashing threads |

mod argon;
mod breached;
mod cost;
mod estimate;
mod foreign;
mod hasher;
mod metrics;
mod password;
mod pool;
mod priority;
mod queue;
mod rules;
mod service;
mod sorted_lines;
mod state;
mod stored;
mod strength;
mod unusable;
mod worker;

pub use self::{
    breached::BreachedPasswords,
    cost::HashCost,
    hasher::Verdict,
    password::{PASSWORD_MAX_BYTES, Password},
    rules::Rules,
    service::{Passwords, Settings, check_hash, hash_here},
};
