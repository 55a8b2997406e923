//! What a look needs, and what it has found so far.

use auth_service_token::Id;

use crate::{
    finding::{Finding, Verdict},
    redis::keys::Keys,
    settings::Wait,
};

/// What the server asks of Redis, beside the commands that each connection begins with.
pub(in crate::redis) struct Needs<'a> {
    pub(in crate::redis) keys: &'a Keys,
    pub(in crate::redis) wait: Option<Wait>,
    pub(in crate::redis) cluster: bool,
    /// A hash tag whose keys this server has.
    pub(in crate::redis) tag: Id,
}

/// What was found so far on one server.
pub(super) struct Look<'a> {
    pub(super) place: &'a str,
    pub(super) findings: Vec<Finding>,
}

impl Look<'_> {
    pub(super) fn add(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>, advice: &str) {
        self.findings.push(Finding::new(self.place, check, verdict, seen, advice));
    }
}
