//! Operations of sessions.

use serde_json::{Value, json};

use super::{
    accounts::JSON,
    operation::Operation,
    parts::{ID, REFRESH_TOKEN, id},
    problems::{general, of_json, of_protected, of_writes, wrong_fields},
    success::Success,
};
use crate::http::{
    extract::field::{Field, FieldProblem},
    problem_response::Problem,
};

pub(super) const TAG: &str = "Sessions";

pub(super) fn operations() -> Vec<Operation> {
    vec![sessions(), end_sessions(), end_session(), sign_out()]
}

fn sessions() -> Operation {
    let page = Success::json("A page of the sessions, newest first.", "Sessions", page())
        .shared_header("Access-Token")
        .link("end_session", "Ends the newest session.", json!({"parameters": {"id": "$response.body#/data/0/id"}}))
        .link("sessions", "The next page.", json!({"parameters": {"after": "$response.body#/next"}}));
    Operation::new(TAG, "get", "/sessions", "sessions")
        .described(
            "List your sessions",
            "A page may have fewer than `limit` sessions although more pages follow. So continue until an answer has \
             no `next`.",
        )
        .query(
            "limit",
            "The maximum number of sessions on the page.",
            &json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 100}),
            20,
        )
        .query("after", "The value of `next` in the previous page.", &id(), ID)
        .protected()
        .answers(page)
        .fails(general())
        .fails(wrong_fields([("limit", "must be a number from 1 to 100".into())]))
        .fails(of_protected())
}

fn page() -> Value {
    json!({
        "data": [{
            "id": ID,
            "created_at": "2026-11-29T09:30:00Z",
            "last_used_at": "2026-11-29T09:31:00Z",
            "ip": "192.0.2.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "current": true,
        }],
        "result": "Sessions fetched successfully",
    })
}

fn end_sessions() -> Operation {
    Operation::new(TAG, "delete", "/sessions", "end_sessions")
        .described("End your sessions", "Takes effect on every replica before the server answers.")
        .query(
            "except",
            "Keeps the session of the request. The answer then has a new access token, which replaces that of the \
             request.",
            &json!({"const": "current"}),
            "current",
        )
        .protected()
        .answers(
            Success::json("The sessions have ended.", "SessionsEnded", json!({"result": "Sessions ended"}))
                .shared_header("Access-Token"),
        )
        .fails(general())
        .fails(of_protected())
}

fn end_session() -> Operation {
    Operation::new(TAG, "delete", "/sessions/{id}", "end_session")
        .described("End one of your sessions", "Takes effect on every replica before the server answers.")
        .in_path("id", "The id of a session, as in `GET /sessions`. It is no credential.", &id(), ID)
        .protected()
        .answers(Success::done("The session has ended.", "Session ended"))
        .fails(general())
        .fails(of_protected())
        .fails([Problem::SESSION_NOT_FOUND, Problem::NO_SUCH_ROUTE])
}

fn sign_out() -> Operation {
    let either = json!([{"accessToken": []}, {"refreshToken": []}, {"accessToken": [], "refreshToken": []}, {}]);
    Operation::new(TAG, "post", "/signout", "sign_out")
        .described(
            "Sign out",
            "Ends the session of a genuine token: the access token, or the refresh token in `Refresh-Token` or in the \
             body. Either may have expired. If the session has already ended, the answer is the same.",
        )
        .security(either)
        .body(JSON, "SignOut", false, &json!({"refresh_token": REFRESH_TOKEN}))
        .answers(Success::done("The session has ended.", "Signed out"))
        .fails(general())
        .fails(of_json([("refresh_token", not_text())]))
        .fails(of_writes())
        .fails([Problem::TWO_TOKENS, Problem::TOKEN_MISSING, Problem::TOKEN_INVALID])
}

fn not_text() -> FieldProblem {
    Field::NotText.text().err().unwrap_or_default()
}
