//! Sessions and their tokens.

mod ending;
mod forged_claims;
mod forged_es256;
mod forged_texts;
mod lifetimes;
mod listing;
mod longest_life;
mod races;
mod renewal;
mod rotation;
mod session_limit;
mod sign_out;
mod token_removal;
