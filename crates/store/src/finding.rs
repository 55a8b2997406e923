//! What a look at the store has found.

use serde::Serialize;

/// What is to be thought of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The server runs, but something may go wrong.
    Warning,
    /// The server does not start like this.
    Refusal,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Which server or directory.
    pub place: String,
    /// What was looked at: `server`, `role`, `clock`, `commands`, `eviction`, `memory`, `persistence`, `replicas`, `permissions`,
    /// `writes`, `slots`, `coverage`, `address`, `connection`.
    pub check: &'static str,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to change; empty if nothing.
    pub advice: String,
}

impl Finding {
    /// The check of a server that could not be looked at: there is more to find when it can.
    pub(super) const AWAY: &str = "connection";

    /// Whether the place could not be looked at.
    #[must_use]
    pub fn is_of_absence(&self) -> bool {
        self.check == Self::AWAY
    }

    pub(super) fn new(
        place: &str,
        check: &'static str,
        verdict: Verdict,
        seen: impl Into<String>,
        advice: &str,
    ) -> Self {
        Self { place: place.to_owned(), check, verdict, seen: seen.into(), advice: advice.to_owned() }
    }
}
