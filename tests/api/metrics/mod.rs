//! The metrics: what they count, what they never show, and the listener that shows them.

mod counts;
mod format;
mod hashing;
mod hostile;
mod listener;
mod log;
mod process;
mod store;
