//! Why a stored hash cannot be verified.

use auth_service_records::error::Error;

/// Why a stored hash cannot be verified.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The text has no known form, for this reason.
    Form(String),
    /// The hash costs more memory or time than the bounds.
    Cost,
}

impl Unusable {
    /// The rest of a sentence that starts with the name of the hash. It never quotes the hash.
    pub(crate) fn sentence(&self) -> &'static str {
        match self {
            Self::Form(_) => "has no known form",
            Self::Cost => "costs too much memory or time",
        }
    }
}

impl From<Unusable> for Error {
    fn from(unusable: Unusable) -> Self {
        Self::Internal(match unusable {
            Unusable::Form(why) => format!("the password hash cannot be used: {why}"),
            Unusable::Cost => "the password hash cannot be used: it costs too much memory or time".to_owned(),
        })
    }
}
