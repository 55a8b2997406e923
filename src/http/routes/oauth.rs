//! Routes of OAuth: introspection (RFC 7662) and revocation (RFC 7009) of tokens.

use auth_service_records::refusal::Refusal;
use auth_service_token::{Claims, Id};
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

/// The `iss`, the `aud` and the `client_id` of every token.
const SERVICE: &str = "auth-service";

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
struct ActiveBody {
    active: bool,
    iss: &'static str,
    aud: &'static str,
    sub: Uuid,
    sid: Id,
    jti: Id,
    email: String,
    iat: u64,
    exp: u64,
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
        Introspection::Active { claims, email } => active(&claims, email),
        Introspection::Inactive(refusal) => inactive(refusal),
    })
}

/// Credentials are optional, because who has a token may end its session. Wrong ones are refused nevertheless (RFC 7009,
/// section 2.1).
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

fn active(claims: &Claims, email: String) -> Response {
    let Claims { sub, sid, jti, iat, exp, .. } = *claims;
    let body = ActiveBody {
        active: true,
        iss: SERVICE,
        aud: SERVICE,
        sub,
        sid,
        jti,
        email,
        iat,
        exp,
        client_id: SERVICE,
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
