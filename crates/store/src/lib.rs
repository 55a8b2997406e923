//! The store: accounts, sessions and limits, in Redis or embedded.
//!
//! A token is valid while its session has an access or refresh entry of the user's epoch. Each entry expires together
//! with its token. Removing the epoch ends all tokens of a user in one step.
//!
//! | file | contents |
//! |---|---|
//! | `accounts`, `pending`, `sessions`, `limits` | the operations: their contract, and the dispatch to the two stores |
//! | `revocations` | the feed of revocations |
//! | `outbox` | the outbox of webhooks |
//! | `users` | the list of all accounts |
//! | [`backend`] | the opening and the inspection of a store |
//! | `record`, `access` | the user record, and the token check on two entries, for both stores |
//! | `secrets` | the record of the signing secrets, and which secrets belong together |
//! | [`key_set`] | the record of the signing keys, the rules of their rotation, and its operations |
//! | `versioned` | JSON values with a version |
//! | [`settings`] | the settings of the store |
//! | `metrics` | how long the store takes to answer, its errors, and its state |
//! | `redis/`, `embedded/` | the two stores, with files of the same names for the operations |
//!
//! A new operation touches four places: its contract here, the file of its group in each store, and a script.

mod access;
mod accounts;
pub mod backend;
mod change;
mod embedded;
mod finding;
pub mod key_set;
mod limits;
mod metrics;
mod open_error;
mod outbox;
mod pending;
mod record;
mod redis;
mod revocations;
mod secrets;
mod sessions;
pub mod settings;
mod store;
mod users;
mod versioned;

pub use self::{
    change::{Change, Moved, PendingKind, Spent},
    finding::{Finding, Verdict},
    record::{NewUser, StoredUser},
    redis::{REDIS_FORMS, is_redis_url},
    store::Store,
    users::Users,
};
