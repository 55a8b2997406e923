//! The record of the signing secrets: the check values of the secrets of the replica that started last.

use auth_service_records::error::Error;
use auth_service_token::{KindCheck, SecretsCheck};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::versioned::{VERSION, Versioned, decode};

#[derive(Serialize, Deserialize)]
pub(crate) struct SecretsRecord {
    v: u64,
    access: KindCheck,
    refresh: KindCheck,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

impl Versioned for SecretsRecord {
    const NAME: &'static str = "the record of the signing secrets";

    fn version(&self) -> u64 {
        self.v
    }
}

/// How the secrets of a replica that wants to start compare with those of the replica that started last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Each accepts what the other one signs.
    Both,
    /// The other replica refuses what this one signs.
    OursUnknown,
    /// This replica refuses what the other one signs.
    TheirsUnknown,
}

impl SecretsRecord {
    /// # Errors
    /// As [`decode`].
    pub(crate) fn read(json: &[u8]) -> Result<Self, Error> {
        decode(json)
    }

    /// The worse of the two kinds, and the setting of its signing secret.
    pub(crate) fn fit(&self, ours: &SecretsCheck) -> (Fit, &'static str) {
        let access = (fit(&self.access, &ours.access), "AUTH_SECRET_KEY");
        let refresh = (fit(&self.refresh, &ours.refresh), "REFRESH_SECRET_KEY");
        if refresh.0 > access.0 { refresh } else { access }
    }

    /// The record of `ours`. Fields of `before` that this version does not know stay.
    pub(crate) fn write(before: Option<Self>, ours: &SecretsCheck) -> Vec<u8> {
        let unknown_fields = before.map(|record| record.unknown_fields).unwrap_or_default();
        let record = Self { v: VERSION, access: ours.access, refresh: ours.refresh, unknown_fields };
        // A struct of text, numbers and JSON always serializes.
        serde_json::to_vec(&record).unwrap_or_default()
    }
}

fn fit(theirs: &KindCheck, ours: &KindCheck) -> Fit {
    match (ours.accepts(theirs.signs), theirs.accepts(ours.signs)) {
        (true, true) => Fit::Both,
        (true, false) => Fit::OursUnknown,
        (false, _) => Fit::TheirsUnknown,
    }
}

#[cfg(test)]
mod tests {
    use auth_service_token::Id;

    use super::*;

    fn check(signs: &str, verifies: &str) -> KindCheck {
        let id = |name: &str| Id::digest(name.as_bytes());
        KindCheck { signs: id(signs), verifies: (!verifies.is_empty()).then(|| id(verifies)) }
    }

    /// The replica on the right starts after the one on the left. `old+new` signs with the old secret, and also
    /// verifies with the new one.
    #[test]
    fn secrets_fit_along_a_rotation_in_both_directions() {
        let parse = |text: &str| {
            let (signs, verifies) = text.split_once('+').unwrap_or((text, ""));
            check(signs, verifies)
        };
        for pair in ["old", "old+new", "new+old", "new"].windows(2) {
            for (theirs, ours) in [(pair[0], pair[0]), (pair[0], pair[1]), (pair[1], pair[0])] {
                assert_eq!(fit(&parse(theirs), &parse(ours)), Fit::Both, "{ours} after {theirs}");
            }
        }
        for (theirs, ours, expected) in [
            ("old", "new+old", Fit::OursUnknown),
            ("new+old", "old", Fit::TheirsUnknown),
            ("old", "new", Fit::TheirsUnknown),
            ("old+new", "new", Fit::TheirsUnknown),
            ("new", "old+new", Fit::OursUnknown),
        ] {
            assert_eq!(fit(&parse(theirs), &parse(ours)), expected, "{ours} after {theirs}");
        }
    }
}
