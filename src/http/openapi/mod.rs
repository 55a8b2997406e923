//! The OpenAPI document of the API (<https://spec.openapis.org/oas/v3.1.1.html>).
//!
//! | file | contents |
//! |---|---|
//! | `operation`, `success`, `failure` | an operation, and its answers |
//! | `problems` | lists of errors that many operations share; each error comes from the table in `problem.rs` |
//! | `components`, `schemas`, `answers`, `parts` | shared components, and the schemas of requests and answers |
//! | `accounts`, `mails`, `tokens`, `second_factor`, `sessions`, `services`, `proxies`, `public`, `health` | the operations, by topic |
//! | `webhooks` | the requests that the server sends |

mod accounts;
mod answers;
mod components;
mod failure;
mod health;
mod mails;
mod operation;
mod parts;
mod problems;
mod proxies;
mod public;
mod schemas;
mod second_factor;
mod services;
mod sessions;
mod success;
mod tokens;
mod webhooks;

use std::sync::LazyLock;

use axum::{http::HeaderMap, response::Response};
use serde_json::{Map, Value, json};

use self::{components::Components, operation::Operation};
use super::document::Document;
use crate::config::Config;

const INTRODUCTION: &str = "\
Requests and answers are JSON in UTF-8, unless an operation says otherwise. The server ignores unknown fields of a \
body, and refuses unknown parameters of a query. A request with a body needs its `Content-Type`. The body has at most \
16 KiB.

Every error has the same form. Programs should read the status and the `code`. The sentence in `error` is for people.

The server answers OPTIONS on every path with 204 and `Allow`. A percent-encoded letter, digit, `-`, `.`, `_` or `~` \
in a path or a query counts as the character itself. The HTTP library answers malformed HTTP with 400, and more than \
100 headers or more than 16 KiB of request line and headers with 431. These two answers have an empty body and none of \
the headers that this document lists.";

/// The OpenAPI document of a server with certain settings. The first request creates the document, so that a server needs
/// no time and no memory for a document that nobody reads.
pub struct OpenApi(LazyLock<Document, Box<dyn FnOnce() -> Document + Send>>);

impl OpenApi {
    /// The document for a server with these settings.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let config = config.clone();
        Self(LazyLock::new(Box::new(move || Document::new(&document(&config)))))
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        self.0.answer(headers)
    }
}

fn document(config: &Config) -> Value {
    let mut components = Components::new(config);
    let operations = [
        accounts::operations(config),
        mails::operations(config),
        tokens::operations(config),
        second_factor::operations(config),
        sessions::operations(),
        services::operations(config),
        proxies::operations(),
        public::operations(config),
        health::operations(),
    ];
    let paths = paths(operations.into_iter().flatten(), &mut components);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "auth-service",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": INTRODUCTION,
            // Swagger UI makes a link of an `identifier`, and there is no page for two licences.
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        // A relative URL is correct for every host and prefix.
        "servers": [{"url": ".", "description": "This server"}],
        "tags": [
            {"name": accounts::TAG, "description": "For clients: sign-up, profile, password and deletion."},
            {"name": mails::TAG, "description": "For clients: links by mail, if the server sends mail."},
            {"name": tokens::TAG, "description": "For clients: sign-in, refresh and removal of tokens."},
            {"name": second_factor::TAG, "description": "For clients: codes of an authenticator app."},
            {"name": sessions::TAG, "description": "For clients: listing and ending sessions."},
            {"name": services::TAG, "description": "For back-end services, which check the tokens of their clients."},
            {"name": proxies::TAG, "description": "For proxies that check who sends a request."},
            {"name": public::TAG, "description": "Documents that are the same for everybody."},
            {"name": health::TAG, "description": "For operators and load balancers."},
        ],
        "paths": paths,
        "components": components.into_value(),
    });
    if config.webhooks.is_some() {
        document["webhooks"] = webhooks::webhooks();
    }
    document
}

fn paths(operations: impl Iterator<Item = Operation>, components: &mut Components) -> Map<String, Value> {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(method) = operation.method {
            path[method] = operation.into_value(components);
        }
    }
    paths
}
