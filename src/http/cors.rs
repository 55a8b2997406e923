//! Which pages of other origins may read the answers: the server's side of CORS (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::config::Origins;

/// The headers of an answer that a page may read, besides those that every page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("Access-Token, Retry-After, WWW-Authenticate, X-Request-Id");
/// The headers that a page may send, besides those that every page may send.
const ALLOWED: HeaderValue = HeaderValue::from_static("Content-Type, Authorization, Refresh-Token, X-Request-Id");
/// How long a browser may keep the answer to a preflight, in seconds: the most that Chromium accepts. An origin that is
/// no longer named loses its access at once, because each answer names the origin anew.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY: HeaderValue = HeaderValue::from_static("Origin");

/// The origins whose pages may read the answers.
#[derive(Debug, Clone)]
pub enum Cors {
    /// Every origin.
    Any,
    /// These origins, at least one.
    Named(Vec<HeaderValue>),
}

/// What a request wants to know about its origin.
pub(super) struct CrossOrigin {
    /// The value of `Access-Control-Allow-Origin`. `None` if no page of another origin may read the answer.
    allowed: Option<HeaderValue>,
    preflight: bool,
}

impl Cors {
    /// `None` if only pages of the server's own origin may read the answers.
    #[must_use]
    pub fn new(origins: &Origins) -> Option<Self> {
        match origins {
            Origins::Any => Some(Self::Any),
            Origins::Named(names) => {
                let names: Vec<_> = names.iter().filter_map(|name| HeaderValue::from_str(name).ok()).collect();
                (!names.is_empty()).then_some(Self::Named(names))
            }
        }
    }

    /// Reads the headers of a request.
    pub(super) fn of(&self, request: &Request) -> CrossOrigin {
        let headers = request.headers();
        let allowed = headers.get(header::ORIGIN).and_then(|origin| match self {
            Self::Any => Some(ANY),
            Self::Named(names) => names.iter().find(|name| *name == origin).cloned(),
        });
        let preflight =
            request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        CrossOrigin { allowed, preflight }
    }
}

impl CrossOrigin {
    /// Adds the headers of the CORS protocol to an answer, which may be an error. None of them allows cookies: tokens
    /// travel in headers.
    pub(super) fn answer(self, response: &mut Response) {
        let Self { allowed, preflight } = self;
        // A preflight asks about headers, too, so it succeeds for an unknown route. The page can then read the 404 of
        // the request itself.
        if preflight && allowed.is_some() && response.status() == StatusCode::NOT_FOUND {
            *response = StatusCode::NO_CONTENT.into_response();
        }
        let methods = response.headers().get(header::ALLOW).cloned();
        let headers = response.headers_mut();
        // Also for other origins. Otherwise, a cache could give this answer to a page of an allowed origin.
        headers.append(header::VARY, VARY);
        let Some(origin) = allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if preflight {
            if let Some(methods) = methods {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
