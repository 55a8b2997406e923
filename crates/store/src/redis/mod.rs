//! The store on Redis.
//!
//! | file | contents |
//! |---|---|
//! | `accounts`, `pending`, `sessions`, `tokens`, `limits` | the operations, each beside the script that it calls |
//! | `moves` | the move of an account to another email, whose keys may be on another server |
//! | `outbox` | the outbox of webhooks |
//! | `revocations` | the feed of revocations, and what every script that ends tokens needs |
//! | `users` | the list of all accounts |
//! | `store` | the store of one runtime, which sends its requests to the servers |
//! | `backend`, `check`, `diagnosis` | the opening of the store, and the checks of the servers |
//! | `secrets`, `key_set` | the check values of the signing secrets, and the signing keys |
//! | `keys`, `errors`, `script` | key names, the meaning of errors, the assembly of scripts |
//! | `net/` | connections: one server, Sentinels, a cluster |
//! | `inspect/` | the inspection by `doctor` and at the start |

mod accounts;
mod backend;
mod check;
mod diagnosis;
mod errors;
mod inspect;
mod key_set;
mod keys;
mod limits;
mod moves;
mod net;
mod outbox;
mod pending;
mod revocations;
mod script;
mod secrets;
mod sessions;
mod slot;
mod store;
mod tokens;
mod users;

pub use self::net::url::{REDIS_FORMS, is_redis_url};
pub(crate) use self::{backend::Backend, store::Redis, users::Users};
