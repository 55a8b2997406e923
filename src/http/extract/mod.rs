//! The parts of a request that handlers take.

pub(super) mod basic;
pub(super) mod body;
pub(super) mod caller;
pub(super) mod field;
pub(super) mod form;
pub(super) mod presented_tokens;
pub(super) mod protected;
pub(super) mod proxies;
pub(super) mod query;
pub(super) mod resource_server;
pub(super) mod user_agent;
