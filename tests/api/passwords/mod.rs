//! Passwords, accounts and the limits on guessing.

mod accounts;
mod floods;
mod guessing;
mod hashing;
mod strength;
mod throttling;
