//! What a handler takes from a request: a JSON object and its fields, and the bearer token.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::{
    BoxError,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tokio::time::timeout;

use super::error::Problem;
use crate::{
    error::FieldError,
    password::{PASSWORD_MAX_BYTES, Password},
    user::Email,
};

/// Larger bodies are refused unparsed.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// A client that takes longer to send 16 KiB is cut off.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A request's JSON object. Unlike a derived struct it refuses an array, and duplicate fields at any depth, and it lets
/// a handler report all that is wrong with the fields at once. Fields that nobody asks for are ignored.
pub(super) struct Form {
    fields: BTreeMap<String, Value>,
    errors: Vec<FieldError>,
}

/// A [`Form`] if the request has a body.
pub(super) struct OptionalForm(pub(super) Option<Form>);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        read_form(&parts.headers, body).await?.ok_or(Problem::BODY_NOT_JSON)
    }
}

impl<S: Sync> FromRequest<S> for OptionalForm {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        read_form(&parts.headers, body).await.map(Self)
    }
}

/// `None` without a body.
pub(super) async fn read_form<B>(headers: &HeaderMap, body: B) -> Result<Option<Form>, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > BODY_MAX_BYTES as u64 {
        return Err(Problem::BODY_TOO_LARGE);
    }
    if !is_json(headers) {
        return Err(Problem::NOT_JSON);
    }
    // On the heap: most requests have no body, and the timer in it would make the future of each larger.
    let bytes = Box::pin(read_body(body)).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(Some(Form { fields, errors: Vec::new() })),
        // The parser's message may quote the body.
        Ok(_) | Err(_) => Err(Problem::BODY_NOT_JSON),
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    match timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::BODY_TOO_LARGE),
        Ok(Err(_)) => Err(Problem::BODY_BROKEN),
        Err(_) => Err(Problem::BODY_TOO_SLOW),
    }
}

/// `application/json`, in any case and with any parameters, in exactly one header.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

impl Form {
    /// An address by HTML5's rule.
    pub(super) fn email(&mut self) -> Option<Email> {
        let email = Email::parse(self.text("email")?);
        if email.is_none() {
            self.error("email", "must be a valid email address, such as name@example.com".into());
        }
        email
    }

    /// What a request without a body lacks on a route where something else could have said who is meant.
    pub(super) fn email_required() -> Problem {
        let mut nothing = Self { fields: BTreeMap::new(), errors: Vec::new() };
        nothing.email();
        nothing.into_problem()
    }

    /// The email that goes with an access token in the header.
    ///
    /// # Errors
    /// When it is not valid, or when the body holds an access token too (RFC 6750, section 2: one way at a time).
    pub(super) fn owners_email(&mut self) -> Result<Email, Problem> {
        if self.fields.contains_key("access_token") {
            return Err(Problem::TWO_TOKENS);
        }
        self.email().ok_or_else(|| Problem::invalid(std::mem::take(&mut self.errors)))
    }

    /// A password of an account that exists: any that could ever have been accepted.
    pub(super) fn password(&mut self, field: &'static str) -> Option<Password> {
        let length = self.text(field)?.len();
        if length == 0 {
            self.error(field, "must not be empty".into());
            return None;
        }
        if length > PASSWORD_MAX_BYTES {
            self.error(field, format!("must not have more than {PASSWORD_MAX_BYTES} bytes").into());
            return None;
        }
        self.text(field).map(Password::new)
    }

    /// A password to be set.
    pub(super) fn new_password(&mut self, field: &'static str, min_length: usize) -> Option<Password> {
        let too_short = |form: &mut Self| {
            form.error(field, format!("must have at least {min_length} characters").into());
            None
        };
        if self.text(field)?.is_empty() {
            return too_short(self);
        }
        let password = self.password(field)?;
        if password.code_points() < min_length {
            return too_short(self);
        }
        Some(password)
    }

    /// Any text; `None` is noted as an error.
    pub(super) fn text(&mut self, field: &'static str) -> Option<&str> {
        // Asked twice because the borrow of a found text cannot end on only one of two paths.
        let wrong = match self.fields.get(field) {
            Some(Value::Text(_)) => None,
            Some(_) => Some("must be text"),
            None => Some("is required"),
        };
        if let Some(message) = wrong {
            self.error(field, message.into());
        }
        match self.fields.get(field) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// All that was noted.
    pub(super) fn into_problem(self) -> Problem {
        Problem::invalid(self.errors)
    }

    fn error(&mut self, field: &'static str, message: Cow<'static, str>) {
        self.errors.push(FieldError { field, message });
    }
}

/// A JSON value of which only text and objects matter.
enum Value {
    Text(String),
    Object(BTreeMap<String, Value>),
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without duplicate fields")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate field"));
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<Value>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }
}

/// The tokens of a protected request, which share the memory of its headers.
pub(super) struct PresentedTokens {
    access: Option<HeaderValue>,
    refresh: Option<HeaderValue>,
}

const REFRESH_TOKEN: HeaderName = HeaderName::from_static("refresh-token");

impl PresentedTokens {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let only = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(Problem::TWO_TOKENS),
                (value, None) => Ok(value.cloned()),
            }
        };
        Ok(Self { access: only(&header::AUTHORIZATION)?, refresh: only(&REFRESH_TOKEN)? })
    }

    /// Of the `Authorization` header: bare, or after the scheme `Bearer` in any case (RFC 6750).
    pub(super) fn access(&self) -> Option<&str> {
        let value = text(self.access.as_ref()?);
        let token = match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token,
            _ => value,
        };
        (!token.is_empty()).then_some(token)
    }

    /// Of the `Refresh-Token` header, which is asked for only when the access token has expired.
    pub(super) fn refresh(&self) -> Option<&str> {
        self.refresh.as_ref().map(text).filter(|token| !token.is_empty())
    }
}

impl<S: Sync> FromRequestParts<S> for PresentedTokens {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

/// What is not ASCII is a token like any other bad one.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}
