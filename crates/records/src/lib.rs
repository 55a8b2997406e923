//! Plain records and plain rules, which every other part of the server imports: no I/O, no HTTP, no driver.
//!
//! | module | what is in it |
//! |---|---|
//! | [`user`] | emails and accounts |
//! | [`session`] | what the store keeps and returns about a session, and how long sessions live |
//! | [`throttle`] | the limits on guessing passwords, and the addresses that an account knows |
//! | [`error`] | the errors that a client can get |
//! | [`clock`] | the time of the store |
//! | [`secret`] | text that no output may show |

pub mod clock;
pub mod error;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod user;
