//! What an inspection needs, and the inspector, which collects its findings.

use auth_service_token::Id;

use crate::{
    finding::{Finding, Verdict},
    redis::keys::Keys,
    settings::Wait,
};

/// What the server needs from Redis, apart from the commands that open each connection.
pub(in crate::redis) struct Needs<'a> {
    pub(in crate::redis) keys: &'a Keys,
    pub(in crate::redis) wait: Option<Wait>,
    pub(in crate::redis) cluster: bool,
    /// A hash tag in a slot that this server serves.
    pub(in crate::redis) tag: Id,
}

/// Inspects one server, and collects its findings.
pub(super) struct Inspector<'a> {
    pub(super) place: &'a str,
    pub(super) findings: Vec<Finding>,
}

impl Inspector<'_> {
    pub(super) fn add(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>, advice: &str) {
        self.findings.push(Finding::new(self.place, check, verdict, seen, advice));
    }
}
