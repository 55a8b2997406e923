//! An API whose requests need an access token of auth-service.
//!
//! ```sh
//! AUTH_URL=http://127.0.0.1:3000 RESOURCE_SERVER=shop RESOURCE_SERVER_SECRET=… \
//!     cargo run --package auth-service-resource-server --example axum
//! curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8080/orders
//! ```

use std::{env, error::Error};

use auth_service_resource_server::{VerifiedToken, Verifier};
use axum::{Extension, Json, Router, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::builder(&env::var("AUTH_URL")?)
        .resource_server(&env::var("RESOURCE_SERVER")?, &env::var("RESOURCE_SERVER_SECRET")?)
        .start()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, api(&verifier)).await?;
    Ok(())
}

/// `/orders` needs a token. `/` greets everybody, and knows users who send their token.
pub(crate) fn api(verifier: &Verifier) -> Router {
    let private = Router::new().route("/orders", get(orders)).layer(verifier.layer());
    let public = Router::new().route("/", get(greeting)).layer(verifier.optional_layer());
    private.merge(public)
}

async fn orders(Extension(token): Extension<VerifiedToken>) -> Json<Value> {
    Json(json!({"user": token.sub, "session": token.sid, "orders": []}))
}

async fn greeting(token: Option<Extension<VerifiedToken>>) -> String {
    token.map_or("Hello!".to_owned(), |Extension(token)| format!("Hello, {}!", token.sub))
}
