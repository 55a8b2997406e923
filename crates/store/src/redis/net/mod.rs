//! Connections to Redis. Only this module handles timeouts, reconnecting, Sentinels and cluster slots.

pub(super) mod address;
pub(super) mod cluster;
pub(super) mod connection;
mod keeper;
pub(super) mod link;
mod login;
mod nodes;
mod primaries;
mod replicated;
pub(super) mod report;
pub(super) mod request;
pub(super) mod sentinel;
pub(super) mod server;
pub(super) mod slots;
pub(super) mod source;
mod state;
mod table;
pub(super) mod timekeeper;
pub(super) mod url;
