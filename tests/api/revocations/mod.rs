//! The feed of revocations.

mod feed;
mod producers;
