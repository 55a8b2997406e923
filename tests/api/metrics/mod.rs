//! The metrics of the store, of the hashing threads, of the log and of the process, while what they measure happens.

mod hashing;
mod log;
mod process;
mod store;
