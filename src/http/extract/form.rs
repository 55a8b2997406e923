//! A request's body as a form, which the OAuth routes take (RFC 7662, section 2.1, and RFC 7009, section 2.1).

use axum::extract::{FromRequest, Request};
use serde::de::{
    DeserializeOwned,
    value::{Error, MapDeserializer},
};
use url::form_urlencoded;

use super::body::read_bytes;
use crate::http::problem_response::Problem;

/// A body in the encoding of HTML forms. `T` has a [`Field`](super::field::Field) for each parameter that the route
/// knows. Each of these comes at most once (RFC 6749, section 3.2), and the route ignores all others.
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read_bytes(request, "application/x-www-form-urlencoded", Problem::NOT_FORM).await?;
        parse(&bytes.unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    T::deserialize(MapDeserializer::<_, Error>::new(form_urlencoded::parse(bytes))).map_err(|_| Problem::FORM)
}
