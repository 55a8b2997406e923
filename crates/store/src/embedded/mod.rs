//! The embedded store: one redb file, one writer thread that commits in groups, and readers that share a snapshot.
//!
//! An operation returns after its commit has reached the disk, so a crash loses no acknowledged write.
//!
//! | file | contents |
//! |---|---|
//! | `store` | the opening of the store, and the access of each operation to the file |
//! | `accounts`, `pending`, `users`, `sessions`, `tokens`, `limits`, `revocations`, `outbox`, `key_set` | the operations |
//! | `tables/` | the tables, their entries, and the reads and writes that the operations use |
//! | `file`, `writer`, `sweep` | the database file, the thread that writes it, and the removal of expired entries |
//! | `failure`, `trouble` | the errors of operations, and what the log says of a file that cannot be used |
//! | `boot`, `resume` | the clock of the machine since its boot, and the time at which the store continues |
//! | `counts` | the counts of guesses and calls, which are in memory only |
//! | `inspect` | the inspection of the data directory |

mod accounts;
mod boot;
mod counts;
mod failure;
mod file;
mod inspect;
mod key_set;
mod limits;
mod outbox;
mod pending;
mod resume;
mod revocations;
mod sessions;
mod store;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;
mod trouble;
mod users;
mod writer;

pub(crate) use self::{store::Embedded, users::Users};
