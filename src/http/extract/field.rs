//! A field of a body or a query, and the rules for its value. A handler reports all wrong fields at once.

use std::{borrow::Cow, fmt};

use auth_service_password::{PASSWORD_MAX_BYTES, Password};
use auth_service_records::{error::FieldError, user::Email};
use auth_service_totp::Code;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::http::problem_response::Problem;

/// The value of a field. Any JSON value parses, so that the other fields are checked too.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Field {
    /// The field is missing.
    #[default]
    Missing,
    /// The value is not text.
    NotText,
    /// The value is text.
    Text(String),
}

/// What is wrong with a field, as the rest of a sentence that starts with the field's name.
pub(crate) type FieldProblem = Cow<'static, str>;

impl Field {
    /// Any text.
    pub(crate) fn text(&self) -> Result<&str, FieldProblem> {
        match self {
            Self::Missing => Err("is required".into()),
            Self::NotText => Err("must be text".into()),
            Self::Text(text) => Ok(text),
        }
    }

    /// `None` if the field is missing.
    pub(crate) fn optional_text(&self) -> Result<Option<&str>, FieldProblem> {
        if *self == Self::Missing { Ok(None) } else { self.text().map(Some) }
    }

    /// An address by the rule of HTML5.
    pub(crate) fn email(&self) -> Result<Email, FieldProblem> {
        Email::parse(self.text()?).ok_or_else(|| "must be a valid email address, such as name@example.com".into())
    }

    /// The password of an existing account. The minimum length does not apply, because the setting may have been lower
    /// at sign-up.
    pub(crate) fn password(&self) -> Result<Password, FieldProblem> {
        match self.text()? {
            "" => Err("must not be empty".into()),
            text if text.len() > PASSWORD_MAX_BYTES => {
                Err(format!("must not have more than {PASSWORD_MAX_BYTES} bytes").into())
            }
            text => Ok(Password::new(text)),
        }
    }

    /// A code of a second factor: of an authenticator app, or for recovery.
    pub(crate) fn code(&self) -> Result<Code, FieldProblem> {
        let text = self.text()?;
        Code::parse(text).ok_or_else(|| "must be 6 digits, or a recovery code of 16 letters and digits".into())
    }

    /// A new password of at least `min_length` code points.
    pub(crate) fn new_password(&self, min_length: usize) -> Result<Password, FieldProblem> {
        Password::checked(self.text()?, min_length)
    }
}

/// Collects what is wrong with the fields of one request.
#[derive(Default)]
pub(crate) struct FieldProblems(Vec<FieldError>);

impl FieldProblems {
    /// Returns the value of a field. If the field is wrong, records the problem and returns `None`.
    pub(crate) fn check<T>(&mut self, field: &'static str, value: Result<T, FieldProblem>) -> Option<T> {
        value.map_err(|message| self.0.push(FieldError { field, message })).ok()
    }

    /// Returns `values` if all fields are right, otherwise the problem that lists the wrong fields.
    pub(crate) fn finish<T>(self, values: Option<T>) -> Result<T, Problem> {
        values.ok_or_else(|| Problem::invalid(self.0))
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::NotText)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field::NotText)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
        Ok(Field::NotText)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::NotText)
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::NotText)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::NotText)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::NotText)
    }
}
