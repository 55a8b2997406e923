//! The findings of an inspection of the store.

use serde::Serialize;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing needs to change.
    Ok,
    /// The server runs, but something may go wrong.
    Warning,
    /// The server refuses to start.
    Refusal,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The server or directory.
    pub place: String,
    /// The name of the check: `server`, `role`, `clock`, `commands`, `eviction`, `memory`, `persistence`, `replicas`,
    /// `permissions`, `writes`, `slots`, `coverage`, `address`, `secrets`, `keys`, `connection`; `doctor` adds `mail`.
    pub check: &'static str,
    /// How serious the finding is.
    pub verdict: Verdict,
    /// What the check saw.
    pub seen: String,
    /// What to change. Empty if nothing needs to change.
    pub advice: String,
}

impl Finding {
    /// The name of the check for a place that could not be inspected. A later inspection may find more there.
    pub(super) const UNREACHABLE: &str = "connection";

    /// The name of the check of a clock.
    pub(super) const CLOCK: &str = "clock";

    /// Whether the finding is about a clock.
    #[must_use]
    pub fn is_about_a_clock(&self) -> bool {
        self.check == Self::CLOCK
    }

    /// Whether the place could not be inspected.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.check == Self::UNREACHABLE
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
