//! Routes of sessions: the own ones, seen and ended.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
};
use serde::Serialize;

use super::{AppState, Done, error::Problem, extract::PresentedTokens, json_for};
use crate::{audit::Caller, clock::rfc3339, id::Id};

#[derive(Serialize)]
struct SessionsBody {
    data: Vec<SessionData>,
    result: &'static str,
}

#[derive(Serialize)]
struct SessionData {
    id: Id,
    created_at: String,
    last_used_at: String,
    ip: String,
    user_agent: String,
    current: bool,
}

pub(super) async fn sessions(State(app): State<AppState>, tokens: PresentedTokens) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    let sessions = app.in_time(app.auth.sessions(&by)).await?;
    let data = sessions.into_iter().map(|(session, current)| SessionData {
        id: session.sid,
        created_at: rfc3339(session.created_at),
        last_used_at: rfc3339(session.last_used_at),
        ip: session.origin.ip,
        user_agent: session.origin.user_agent,
        current,
    });
    Ok(json_for(&by, &SessionsBody { data: data.collect(), result: "Sessions fetched successfully" }))
}

pub(super) async fn end_session(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
    // An id that is not even text is refused by axum with a plain text of its own, unless it is asked for as a result.
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    let id = id.ok().and_then(|Path(id)| Id::parse(&id));
    app.in_time(app.auth.end_session(&caller, &by, id)).await?;
    Ok(json_for(&by, &Done { result: "Session ended" }))
}

pub(super) async fn end_sessions(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    match query.as_deref() {
        None => app.in_time(app.auth.remove_own_access_token(&caller, &by, None)).await?,
        Some("except=current") => app.in_time(app.auth.end_other_sessions(&caller, &by)).await?,
        Some(_) => return Err(Problem::QUERY_OF_SESSIONS),
    }
    Ok(json_for(&by, &Done { result: "Sessions ended" }))
}

pub(super) async fn sign_out(
    State(app): State<AppState>,
    caller: Caller,
    tokens: PresentedTokens,
) -> Result<Response, Problem> {
    let by = app.authorize(&tokens).await?;
    app.in_time(app.auth.sign_out(&caller, &by)).await?;
    Ok(json_for(&by, &Done { result: "Signed out" }))
}
