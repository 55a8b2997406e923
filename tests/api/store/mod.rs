//! The contract of the store, asked of both stores through the library.

mod accounts;
mod scene;
mod sessions;
