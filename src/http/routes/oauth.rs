//! Routes of OAuth: introspection (RFC 7662) and revocation (RFC 7009) of tokens.

use auth_service_records::refusal::Refusal;
use auth_service_token::{Amr, CLIENT_ID, Claims, Id, Parties};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use super::tokens::TOKEN_TYPE;
use crate::{
    auth::Introspection,
    http::{
        extract::{caller::Client, field::Field, form::Form, query::NoQuery, resource_server::ResourceServer},
        problem_response::{Failure, Problem},
        response::{done, json},
        state::AppState,
    },
};

/// The form of both routes. The hint may come once and has no effect, because the server recognizes both kinds of
/// token.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct TokenForm {
    token: Field,
    #[serde(rename = "token_type_hint")]
    _hint: IgnoredAny,
}

/// RFC 7662, section 2.2.
#[derive(Serialize)]
struct ActiveBody<'a> {
    active: bool,
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    sid: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    eid: Option<Id>,
    jti: Id,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Amr::is_empty")]
    amr: Amr,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    client_id: &'static str,
    token_type: &'static str,
}

#[derive(Serialize)]
struct InactiveBody {
    active: bool,
}

impl TokenForm {
    /// The token. A field without a value counts as missing (RFC 6749, section 3.2).
    fn token(&self) -> Result<&str, Problem> {
        self.token.text().ok().filter(|token| !token.is_empty()).ok_or(Problem::FORM)
    }
}

pub(crate) async fn introspect(
    State(app): State<AppState>,
    _: NoQuery,
    _: ResourceServer,
    Form(form): Form<TokenForm>,
) -> Result<Response, Problem> {
    let token = form.token()?;
    Ok(match app.read(|| app.auth.introspect(token)).await? {
        Introspection::Active { claims, email, email_verified } => {
            active(app.auth.parties(), &claims, email, email_verified)
        }
        Introspection::Inactive(refusal) => inactive(refusal),
    })
}

/// Credentials are optional, because everybody who has a token may end its session. Wrong ones are refused nevertheless
/// (RFC 7009, section 2.1).
pub(crate) async fn revoke(
    State(app): State<AppState>,
    _: NoQuery,
    _: Option<ResourceServer>,
    Client(caller): Client,
    Form(form): Form<TokenForm>,
) -> Result<Response, Problem> {
    let token = form.token()?.to_owned();
    app.write(async move |app| app.auth.revoke(&caller, &token).await).await?;
    Ok(done("Token revoked"))
}

fn active(parties: &Parties, claims: &Claims, email: String, email_verified: Option<bool>) -> Response {
    let Claims { sub, sid, eid, jti, iat, exp, amr, auth_time, .. } = *claims;
    let body = ActiveBody {
        active: true,
        iss: &parties.issuer,
        aud: &parties.audience,
        sub,
        sid,
        eid,
        jti,
        email,
        email_verified,
        iat,
        exp,
        amr,
        auth_time,
        client_id: CLIENT_ID,
        token_type: TOKEN_TYPE,
    };
    json(StatusCode::OK, &body)
}

/// The reason goes to the log only (RFC 7662, section 2.2).
fn inactive(refusal: Refusal) -> Response {
    let mut response = json(StatusCode::OK, &InactiveBody { active: false });
    response.extensions_mut().insert(Failure { code: None, refusal: Some(refusal), detail: None });
    response
}
