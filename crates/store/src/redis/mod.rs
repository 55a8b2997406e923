//! The store on Redis.
//!
//! | file | what is in it |
//! |---|---|
//! | `accounts`, `sessions`, `tokens`, `limits` | the operations, each beside the script that it calls |
//! | `store` | where requests of one runtime go |
//! | `backend`, `check`, `diagnosis` | opening the store, and checks of the servers |
//! | `keys`, `entries`, `errors`, `script` | key names, values, what errors mean, how scripts are put together |
//! | `net/` | connections: one server, Sentinels, a cluster |
//! | `inspect/` | the careful look of `doctor` and of the start |

mod accounts;
mod backend;
mod check;
mod diagnosis;
mod entries;
mod errors;
mod inspect;
mod keys;
mod limits;
mod net;
mod script;
mod sessions;
mod slot;
mod store;
mod tokens;

pub use self::net::address::{REDIS_FORMS, is_redis_url};
pub(crate) use self::{backend::Backend, store::Redis};
