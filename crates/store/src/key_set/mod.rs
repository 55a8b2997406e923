//! The key set: the ES256 keys that the replicas have made, with sealed private keys, and the rules of their rotation.
//!
//! | file | contents |
//! |---|---|
//! | `record` | the record in the store: JSON with a version |
//! | `rules` | which key signs, when the next key is made, and when a key goes |
//! | `inspect` | the inspection by `doctor` |
//! | `operations` | reading and replacing the record in both stores |

mod inspect;
mod operations;
mod record;
mod rules;
#[cfg(test)]
mod tests;

pub use self::{
    operations::StoredKeySet,
    record::{KeyRecord, KeySetRecord},
    rules::{KeyPolicy, KeyState},
};
