//! The parts of the document that operations refer to.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{parts, schemas};
use crate::config::{Config, Origins};

/// The parts of the document that operations refer to.
pub(super) struct Components<'c> {
    config: &'c Config,
    responses: Map<String, Value>,
    codes: BTreeSet<&'static str>,
}

impl<'c> Components<'c> {
    pub(super) fn new(config: &'c Config) -> Self {
        Self { config, responses: Map::new(), codes: BTreeSet::new() }
    }

    /// Collects error codes for the schema of errors.
    pub(super) fn add_codes(&mut self, codes: &[&'static str]) {
        self.codes.extend(codes);
    }

    /// A reference to a response. Operations with the same errors share one response.
    pub(super) fn shared_response(&mut self, status: StatusCode, response: Value) -> Value {
        let name: String = status.canonical_reason().unwrap_or_default().split([' ', '-']).collect();
        let mut names = (1..).map(|n| if n == 1 { name.clone() } else { format!("{name}{n}") });
        let is_free = |name: &String| self.responses.get(name).is_none_or(|other| *other == response);
        let name = names.find(is_free).unwrap_or_default();
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        self.responses.insert(name, response);
        reference
    }

    /// The headers of an answer that belongs to one request.
    pub(super) fn headers(&self) -> Map<String, Value> {
        self.and_cross_origin(&["X-Request-Id", "traceresponse", "Cache-Control"])
    }

    /// The headers of a document that caches may keep.
    pub(super) fn public_headers(&self) -> Map<String, Value> {
        let mut headers = self.and_cross_origin(&["ETag"]);
        headers.insert("Cache-Control".to_owned(), json!({"$ref": "#/components/headers/Public-Cache-Control"}));
        headers
    }

    fn and_cross_origin(&self, names: &[&str]) -> Map<String, Value> {
        let pages_read = self.config.cors_origins != Origins::Named(Vec::new());
        let cross_origin: &[_] =
            if pages_read { &["Vary", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"] } else { &[] };
        let names = names.iter().chain(cross_origin);
        names.map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect()
    }

    pub(super) fn into_value(self) -> Value {
        json!({
            "schemas": schemas::schemas(self.config, &self.codes),
            "responses": self.responses,
            "headers": headers(),
            "parameters": parameters(),
            "securitySchemes": security_schemes(),
        })
    }
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The id of the request in the log: the `X-Request-Id` of the request, if valid, or else a \
                new id.",
            "required": true,
            "schema": {"type": "string", "pattern": REQUEST_ID},
            "example": "4f1c2b7e9a3d4c6f8e0b1a2c3d4e5f60",
        },
        "traceresponse": {
            "description": "The ids of the trace and of the span, if the request has a valid `traceparent`.",
            "schema": {"type": "string"},
            "example": TRACE,
        },
        "ETag": {
            "description": "The tag of this answer, for `If-None-Match`.",
            "required": true,
            "schema": {"type": "string", "pattern": "^\"[^\"]+\"$"},
            "example": "\"Zx3Vn0pHq9c2tL8yWm4KdA\"",
        },
        "Public-Cache-Control": {"required": true, "schema": {"const": "public, max-age=300"}},
        "Cache-Control": {"required": true, "schema": {"const": "no-store"}},
        "Access-Token": {
            "description": "A new access token, if the server has replaced that of the request.",
            "schema": {"type": "string"},
            "example": parts::ACCESS_TOKEN,
        },
        "Vary": {"required": true, "schema": {"type": "string"}, "example": "Origin"},
        "Access-Control-Allow-Origin": {
            "description": "The origin of the page that sent the request, if pages of this origin may read answers.",
            "schema": {"type": "string"},
            "example": "https://app.example.com",
        },
        "Access-Control-Expose-Headers": {
            "schema": {"type": "string"},
            "example": "Access-Token, Retry-After, WWW-Authenticate, X-Request-Id",
        },
    })
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const REQUEST_ID: &str = "^[A-Za-z0-9_.-]{1,64}$";

fn parameters() -> Value {
    json!({
        "X-Request-Id": {
            "name": "X-Request-Id",
            "in": "header",
            "description": "An id for this request, which the answer and the log repeat. The server makes a new id \
                in place of an invalid one.",
            "schema": {"type": "string"},
            "example": "order-17.retry-2",
        },
        "traceparent": {
            "name": "traceparent",
            "in": "header",
            "description": "The trace of the caller (W3C Trace Context). The server ignores a value that is not valid.",
            "schema": {"type": "string"},
            "example": TRACE,
        },
        "If-None-Match": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The tags of the answers that the client has. If the current answer has one of these tags, \
                the status is 304, and there is no body.",
            "schema": {"type": "string"},
            "example": "\"Zx3Vn0pHq9c2tL8yWm4KdA\"",
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a sign-in or a refresh, as `Authorization: Bearer TOKEN`. The server \
                also accepts the token without the scheme, as `Authorization: TOKEN`, because clients of the old \
                service do so.",
        },
        "refreshToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Refresh-Token",
            "description": "The refresh token of a sign-in.",
        },
        "resourceServer": {
            "type": "http",
            "scheme": "basic",
            "description": "The name and the secret of a resource server, which the setting RESOURCE_SERVERS lists.",
        },
    })
}
