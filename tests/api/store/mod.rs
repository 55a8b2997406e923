//! The contract of the store, tested on both stores through the library.

mod accounts;
mod scene;
mod sessions;
