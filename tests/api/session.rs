//! A session as seen from outside: what its tokens say, and where they are good.

use auth_service::clock::unix_seconds;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    app::{Session, TestApp},
    raw::Answer,
    redis_server::{RedisServer, wait_until},
    runner::Store,
};

/// Three replicas on the shared Redis, or the one server that an embedded store has.
pub(crate) fn replicas(store: Store, settings: &[(&str, &str)]) -> Vec<TestApp> {
    match store {
        Store::Redis => (0..3).map(|_| TestApp::start_on(&RedisServer::shared_url(), settings)).collect(),
        Store::Embedded => vec![TestApp::start_with(store, settings)],
    }
}

/// What a token says.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A claim that is a number.
pub(crate) fn time(token: &str, claim: &str) -> u64 {
    claims(token)[claim].as_u64().unwrap()
}

/// A field of an answer that is text.
pub(crate) fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer:?}")).to_owned()
}

/// A field of an answer that is a number.
pub(crate) fn number(answer: &Answer, field: &str) -> u64 {
    answer.json()[field].as_u64().unwrap_or_else(|| panic!("no {field} in {answer:?}"))
}

/// Waits until the clock that all servers here share shows more than `seconds`.
pub(crate) fn wait_until_after(seconds: u64) {
    wait_until("the clock has moved on", || unix_seconds() > seconds);
}

impl TestApp {
    /// A protected request, with a JSON body if there is one.
    pub(crate) fn send_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        self.send(method, path, &[("Authorization", &format!("Bearer {token}"))], body.as_deref())
    }

    /// `PUT /user/password`
    pub(crate) fn change_password(&self, token: &str, current: &str, new: &str) -> Answer {
        let body = json!({"current_password": current, "new_password": new});
        self.send_as(token, "PUT", "/user/password", Some(&body))
    }

    /// `DELETE /user`
    pub(crate) fn delete_user(&self, token: &str, password: &str) -> Answer {
        self.send_as(token, "DELETE", "/user", Some(&json!({"password": password})))
    }

    /// `GET /sessions`, the list.
    pub(crate) fn sessions(&self, token: &str) -> Vec<Value> {
        let answer = self.send_as(token, "GET", "/sessions", None);
        assert_eq!((answer.status, text(&answer, "result").as_str()), (200, "Sessions fetched successfully"));
        answer.json()["data"].as_array().unwrap().clone()
    }

    /// The ids of `GET /sessions`, in its order.
    pub(crate) fn session_ids(&self, token: &str) -> Vec<String> {
        self.sessions(token).iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Session {
    pub(crate) fn id(&self) -> String {
        claims(&self.access_token)["sid"].as_str().unwrap().to_owned()
    }

    /// Both tokens are good at every replica. Rotation must be off: the refresh token is used.
    #[track_caller]
    pub(crate) fn assert_lives(&self, replicas: &[TestApp]) {
        for app in replicas {
            assert_accepted(app, &self.access_token, &self.email);
            let refreshed = app.refresh_access_token(&self.refresh_token);
            assert_eq!(refreshed.status, 200, "{refreshed:?}");
            assert_accepted(app, &text(&refreshed, "access_token"), &self.email);
        }
    }

    /// Both tokens are dead at every replica.
    #[track_caller]
    pub(crate) fn assert_dead(&self, replicas: &[TestApp]) {
        for app in replicas {
            app.current_user(&self.access_token).assert_error(401, "invalid_token");
            app.refresh_access_token(&self.refresh_token).assert_error(404, "token_not_found");
            app.current_user(&self.access_token).assert_error(401, "invalid_token");
        }
    }
}

/// The access token opens this user's profile.
#[track_caller]
pub(crate) fn assert_accepted(app: &TestApp, access_token: &str, email: &str) {
    let answer = app.current_user(access_token);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["data"]["email"], email, "{answer:?}");
}
