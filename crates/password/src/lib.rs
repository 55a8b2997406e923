//! Password hashing with argon2id (RFC 9106) on threads of its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `service` | [`Passwords`], the API of the crate: hash a new password, verify a password |
//! | `pool` | the pool of hashing threads: accepts a job unless the job would end too late |
//! | `worker` | one hashing thread, and the replacement of one that dies |
//! | `state` | what the hashing threads and their callers share |
//! | `queue` | the jobs that wait, and whose turn is next |
//! | `estimate` | how long jobs take, and whether one more would end too late |
//! | `hasher` | what one thread does: hash and verify on a memory block that it keeps |
//! | `stored` | stored hashes in the PHC string format, and the bounds of their parameters |
//! | `cost` | the parameters of argon2id and how much work they mean |
//! | `strength` | how hard a new password is to guess |
//! | `password` | [`Password`], normalised text |
//! | `priority` | the scheduling policy of the hashing threads |

mod cost;
mod estimate;
mod hasher;
mod password;
mod pool;
mod priority;
mod queue;
mod service;
mod state;
mod stored;
mod strength;
mod worker;

pub use self::{
    cost::HashCost,
    hasher::Verdict,
    password::{PASSWORD_MAX_BYTES, Password},
    service::{Passwords, Settings},
};
