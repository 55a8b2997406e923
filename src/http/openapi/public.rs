//! Documents that caches may keep.

use auth_service_token::Algorithm;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{operation::Operation, problems::general, success::Success};
use crate::{
    config::Config,
    http::{metadata::Metadata, problem_response::Problem},
};

pub(super) const TAG: &str = "Documents";

pub(super) fn operations(config: &Config) -> Vec<Operation> {
    let metadata = metadata(config);
    let of_path =
        metadata.at("/.well-known/oauth-authorization-server/{issuer_path}", "metadata_of_issuer_path").in_path(
            "issuer_path",
            "The path of the URL in `ISSUER`. It may have slashes.",
            &json!({"type": "string", "minLength": 1}),
            "auth",
        );
    let of_path = if is_issuer_set(config) { of_path.fails([Problem::NO_SUCH_ROUTE]) } else { of_path };
    let mut all = vec![keys(config.access_algorithm), metadata, of_path, openapi()];
    if config.docs {
        all.extend([docs_page(), docs_file()]);
    }
    all.into_iter().flat_map(|get| [get.twin("head"), get]).collect()
}

fn document(id: &str, path: &'static str) -> Operation {
    Operation::new(TAG, "get", path, id).public().fails(general())
}

fn unchanged() -> Success {
    Success::empty(StatusCode::NOT_MODIFIED, "The document still has the tag in `If-None-Match`.").public()
}

fn keys(algorithm: Algorithm) -> Operation {
    let (example, problems) = match algorithm {
        Algorithm::Hs256 => (json!({"keys": []}), vec![]),
        Algorithm::Es256 => (json!({"keys": [key()]}), vec![Problem::NO_SIGNING_KEY]),
    };
    document("keys", "/.well-known/jwks.json")
        .described(
            "The public keys (RFC 7517)",
            "The keys that verify access tokens. With `ACCESS_TOKEN_ALGORITHM=HS256`, the set is empty.",
        )
        .answers(Success::json("The keys.", "KeySet", example).public())
        .answers(unchanged())
        .fails(problems)
}

/// The key of RFC 7517, appendix A.1, in the form in which the server publishes keys.
fn key() -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "sig",
        "alg": "ES256",
        "kid": "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
    })
}

fn metadata(config: &Config) -> Operation {
    let operation = document("metadata", "/.well-known/oauth-authorization-server").described(
        "The metadata of this server (RFC 8414)",
        "All addresses begin with the URL in the setting `ISSUER`. Without this setting, there is no metadata. If the \
         URL has a path, the address of the metadata ends with this path, too.",
    );
    match Metadata::new(&config.parties.issuer) {
        None => operation.fails([Problem::NO_ISSUER]),
        Some(metadata) => operation
            .answers(Success::json("The metadata.", "Metadata", metadata.example()).public())
            .answers(unchanged()),
    }
}

fn is_issuer_set(config: &Config) -> bool {
    Metadata::new(&config.parties.issuer).is_some()
}

fn openapi() -> Operation {
    let example = json!({"openapi": "3.1.0", "info": {"title": "auth-service", "version": env!("CARGO_PKG_VERSION")}, "paths": {}});
    document("openapi", "/openapi.json")
        .described("This document", "It depends on the settings of the server.")
        .answers(Success::json("An OpenAPI document.", "OpenApi", example).public())
        .answers(unchanged())
}

fn docs_page() -> Operation {
    let page = Success::text("The page.", &["text/html"], "<!doctype html>");
    document("docs_page", "/docs")
        .described("A page that shows this document", "The page also sends requests to this server.")
        .answers(protected(page))
        .answers(protected(unchanged()))
}

fn docs_file() -> Operation {
    let file = Success::text("The file.", &["text/javascript", "text/css"], "body { margin: 0; }");
    let may_be_compressed = |answer: Success| {
        let coding = json!({"const": "gzip"});
        answer.optional_header("Content-Encoding", "If the client accepts gzip.", &coding, "gzip")
    };
    document("docs_file", "/docs/{file}")
        .described("A file of that page", "The page loads its files by itself.")
        .in_path("file", "The name of the file.", &json!({"type": "string", "minLength": 1}), "page.css")
        .answers(may_be_compressed(protected(file)))
        .answers(may_be_compressed(protected(unchanged())))
        .fails([Problem::NO_SUCH_ROUTE])
}

/// An answer with the headers that protect the reader of the page.
fn protected(answer: Success) -> Success {
    let text = json!({"type": "string"});
    answer
        .public()
        .header("Content-Security-Policy", "What the page may load.", &text, "default-src 'none'")
        .header("X-Content-Type-Options", "Browsers must not guess the type.", &json!({"const": "nosniff"}), "nosniff")
        .header(
            "Referrer-Policy",
            "Links on the page send no `Referer`.",
            &json!({"const": "no-referrer"}),
            "no-referrer",
        )
        .header("Vary", "The headers of the request that the answer depends on.", &text, "Accept-Encoding")
}
