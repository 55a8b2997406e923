//! The query of a request. Every handler takes a [`Query`] or refuses queries with [`NoQuery`].

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::{
    DeserializeOwned,
    value::{Error, MapDeserializer},
};

use crate::http::problem_response::Problem;

/// `T` has a [`Field`](super::field::Field) for each parameter, and denies all others. The service has decoded the
/// characters of the values on our routes, so the parser decodes none.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Refuses every query. URLs end up in logs and histories, so the server never reads a secret from a URL (RFC 6750,
/// section 5.3), and a client learns this from its first request.
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(Problem::QUERY),
        }
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let parameters = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    T::deserialize(MapDeserializer::<_, Error>::new(parameters)).map_err(|_| Problem::QUERY)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::http::extract::field::Field;

    #[derive(Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Page {
        limit: Field,
        after: Field,
    }

    #[test]
    fn each_known_parameter_may_come_once() {
        for (query, limit, after) in [
            ("", None, None),
            ("limit=7", Some("7"), None),
            ("after=x&limit=7", Some("7"), Some("x")),
            ("limit=&&after", Some(""), Some("")),
        ] {
            let page: Page = parse(query).ok().unwrap();
            let given = (page.limit.optional_text().unwrap(), page.after.optional_text().unwrap());
            assert_eq!(given, (limit, after), "{query}");
        }
        for query in ["x=1", "limit=7&x=1", "limit=7&limit=7", "access_token=x", "Limit=7", "=", "%6cimit=7"] {
            assert!(parse::<Page>(query).is_err(), "{query}");
        }
    }
}
