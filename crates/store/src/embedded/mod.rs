//! The embedded store: one redb file, one writer thread that commits in groups, and readers that share a snapshot.
//!
//! An operation is answered after its commit has reached the disk, so a crash loses nothing that was acknowledged.
//!
//! | file | what is in it |
//! |---|---|
//! | `store` | opening the store, and the way of each operation to the file |
//! | `accounts`, `sessions`, `tokens`, `limits` | the operations |
//! | `tables/` | the four tables, their entries, and the reads and writes that the operations consist of |
//! | `file`, `writer`, `sweep` | the database file, the thread that writes it, and the removal of ended entries |
//! | `counts` | the counts of guesses and calls, which live in memory |
//! | `inspect` | a careful look at the data directory |

mod accounts;
mod counts;
mod failure;
mod file;
mod inspect;
mod limits;
mod sessions;
mod store;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

pub(crate) use self::store::Embedded;
