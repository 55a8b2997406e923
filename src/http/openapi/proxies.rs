//! Operations for proxies.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    operation::Operation,
    parts::{EMAIL, ID, USER_ID, id, uuid},
    problems::{of_every_request, of_reads},
    success::Success,
};
use crate::http::problem_response::Problem;

pub(super) const TAG: &str = "Proxies";
const OTHER_METHODS: [&str; 6] = ["head", "post", "put", "patch", "delete", "options"];

pub(super) fn operations() -> Vec<Operation> {
    let exact = forward_auth();
    let slash = exact.at("/forward-auth/", "forward_auth_with_a_slash");
    let below = exact.at("/forward-auth/{rest}", "forward_auth_below");
    let below = below.in_path(
        "rest",
        "Any path, also with slashes. The server ignores the path.",
        &json!({"type": "string", "minLength": 1}),
        "orders/17",
    );
    let each = [exact, slash, below].into_iter();
    each.flat_map(|get| OTHER_METHODS.map(|method| get.twin(method)).into_iter().chain([get])).collect()
}

fn forward_auth() -> Operation {
    let identity = Success::empty(StatusCode::OK, "The access token is valid, and its session lives.");
    let text = json!({"type": "string"});
    let identity = identity
        .header("X-User-Id", "The id of the user, which never changes.", &uuid(), USER_ID)
        .header("X-User-Email", "In the spelling of the sign-up, with the domain in ASCII.", &text, EMAIL)
        .header("X-Session-Id", "The id of the session, as in `GET /sessions`.", &id(), ID);
    Operation::new(TAG, "get", "/forward-auth", "forward_auth")
        .described(
            "Ask who sends a request",
            "For a proxy in front of an application. Every method, and every path below, gives the same answer. The \
             server ignores the query and the body. The proxy must remove the three headers from each request of a \
             client before it adds its own.",
        )
        .security(json!([{"accessToken": []}]))
        .answers(identity)
        .fails(of_every_request())
        .fails(of_reads())
        .fails([Problem::TWO_TOKENS, Problem::TOKEN_MISSING, Problem::TOKEN_INVALID, Problem::TOKEN_EXPIRED])
}
