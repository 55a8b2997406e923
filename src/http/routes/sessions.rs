//! Routes of the caller's own sessions: to list and to end them.

use auth_service_records::{
    clock::rfc3339,
    session::{Page, Session},
};
use auth_service_token::Id;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::SessionList,
    http::{
        extract::{
            body::Json,
            caller::Client,
            field::{Field, FieldProblem, FieldProblems},
            presented_tokens::PresentedTokens,
            protected::Protected,
            query::{NoQuery, Query},
        },
        problem_response::Problem,
        response::{Done, done, json_for},
        state::AppState,
    },
};

/// The maximum number of sessions on a page, which is also the default.
const PAGE_MAX: usize = 100;
/// The maximum size of the sessions on a page, in bytes of JSON. The limit bounds the memory that a client costs if it
/// does not read. A hundred sessions fit unless their user agents are much longer than usual.
const PAGE_MAX_BYTES: usize = 32 * 1024;

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SessionsQuery {
    limit: Field,
    after: Field,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EndSessionsQuery {
    except: Field,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SignOutBody {
    refresh_token: Field,
}

#[derive(Serialize)]
struct SessionsBody {
    data: Vec<SessionData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Id>,
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

impl SessionsQuery {
    fn validate(&self) -> Result<Page, Problem> {
        let mut problems = FieldProblems::default();
        let limit = problems.check("limit", self.limit());
        let after = problems.check("after", self.after());
        problems.finish(limit.zip(after).map(|(limit, after)| Page { after, limit }))
    }

    fn limit(&self) -> Result<usize, FieldProblem> {
        let Some(text) = self.limit.optional_text()? else { return Ok(PAGE_MAX) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        limit.ok_or_else(|| format!("must be a number from 1 to {PAGE_MAX}").into())
    }

    fn after(&self) -> Result<Option<Id>, FieldProblem> {
        let Some(text) = self.after.optional_text()? else { return Ok(None) };
        Id::parse(text).map(Some).ok_or_else(|| "must be the \"next\" of another page".into())
    }
}

impl SessionsBody {
    fn new(list: SessionList) -> Self {
        let (found, mut bytes) = (list.sessions.len(), 0);
        let fits = |session: &SessionData| {
            bytes += serde_json::to_vec(session).map_or(0, |json| json.len());
            bytes <= PAGE_MAX_BYTES
        };
        let data: Vec<_> = list.sessions.into_iter().map(SessionData::new).take_while(fits).collect();
        let next = if data.len() < found { data.last().map(|last| last.id) } else { list.next };
        Self { data, next, result: "Sessions fetched successfully" }
    }
}

impl SessionData {
    fn new((session, current): (Session, bool)) -> Self {
        Self {
            id: session.sid,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            ip: session.origin.ip,
            user_agent: session.origin.user_agent,
            current,
        }
    }
}

pub(crate) async fn sessions(
    State(app): State<AppState>,
    Query(query): Query<SessionsQuery>,
    Protected { by, .. }: Protected,
) -> Result<Response, Problem> {
    let page = query.validate()?;
    let list = app.read(|| app.auth.sessions(&by, page)).await?;
    Ok(json_for(&by, &SessionsBody::new(list)))
}

pub(crate) async fn end_session(
    State(app): State<AppState>,
    _: NoQuery,
    Protected { caller, by }: Protected,
    // axum answers a path that is not UTF-8 with plain text, unless the handler takes the rejection.
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = id.ok().and_then(|Path(id)| Id::parse(&id));
    app.write(async move |app| app.auth.end_session(&caller, &by, id).await).await?;
    Ok(done("Session ended"))
}

pub(crate) async fn end_sessions(
    State(app): State<AppState>,
    Query(query): Query<EndSessionsQuery>,
    Protected { caller, by }: Protected,
) -> Result<Response, Problem> {
    const RESULT: &str = "Sessions ended";
    match query.except.optional_text() {
        Ok(None) => {
            app.write(async move |app| app.auth.end_sessions(&caller, &by).await).await?;
            Ok(done(RESULT))
        }
        Ok(Some("current")) => {
            let by = app.write(async move |app| app.auth.end_other_sessions(&caller, by).await).await?;
            Ok(json_for(&by, &Done { result: RESULT }))
        }
        Ok(Some(_)) | Err(_) => Err(Problem::QUERY),
    }
}

pub(crate) async fn sign_out(
    State(app): State<AppState>,
    _: NoQuery,
    Client(caller): Client,
    tokens: PresentedTokens,
    body: Option<Json<SignOutBody>>,
) -> Result<Response, Problem> {
    let in_body = body.map(|Json(body)| body.refresh_token()).transpose()?.flatten();
    let in_header = tokens.refresh().map(str::to_owned);
    if in_body.is_some() && in_header.is_some() {
        return Err(Problem::TWO_TOKENS);
    }
    let refresh_token = in_body.or(in_header);
    app.write(async move |app| app.auth.sign_out(&caller, tokens.access(), refresh_token.as_deref()).await).await?;
    Ok(done("Signed out"))
}

impl SignOutBody {
    fn refresh_token(&self) -> Result<Option<String>, Problem> {
        let mut problems = FieldProblems::default();
        let refresh_token = problems.check("refresh_token", self.refresh_token.optional_text());
        Ok(problems.finish(refresh_token)?.map(str::to_owned))
    }
}
