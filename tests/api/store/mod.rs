//! The contract of the store, tested on both stores through the library.

mod accounts;
mod moves;
mod pending;
mod scene;
mod sessions;
