//! HTTP: requests, answers, connections and logs.

mod audit;
mod audit_log;
mod bodies;
mod codings;
mod connections;
mod cors;
mod docs_page;
mod envelope;
mod forward_auth;
mod json;
mod leaving;
mod log_secrets;
mod logging;
mod places;
mod proxies;
mod refusals;
mod requests;
mod targets;
mod traces;
