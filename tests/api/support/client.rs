//! The requests of clients: one method for each route, and shorthands.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{
    app::TestApp,
    raw::{self, Answer},
    session::Session,
};

pub(crate) const PASSWORD: &str = "correct horse";

/// An email that no other test uses.
pub(crate) fn unique_email() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("user-{}-{}@example.com", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A client address that no other test uses, in an IPv6 network of its own.
pub(crate) fn unique_address() -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    format!("2001:db8:{:x}::1", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl TestApp {
    /// Any request; a body is sent as JSON.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut headers = headers.to_vec();
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let bytes = raw::request(method, path, &headers, body);
        raw::exchange(self.port(), &bytes).unwrap_or_else(|| panic!("no answer; the server printed: {}", self.output()))
    }

    /// A request with a JSON body and no other headers.
    pub(crate) fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[], Some(&body.to_string()))
    }

    /// A request with an access token and an optional JSON body.
    pub(crate) fn send_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        self.send(method, path, &[("Authorization", &format!("Bearer {token}"))], body.as_deref())
    }

    pub(crate) fn sign_up(&self, email: &str, password: &str) -> Answer {
        self.send_json("POST", "/signup", &json!({"email": email, "password": password}))
    }

    pub(crate) fn authenticate(&self, email: &str, password: &str) -> Answer {
        self.send_json("POST", "/authenticate", &json!({"email": email, "password": password}))
    }

    /// A sign-in from `address`, as a proxy in `TRUSTED_PROXIES` reports it.
    pub(crate) fn authenticate_from(&self, address: &str, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password}).to_string();
        self.send("POST", "/authenticate", &[("X-Forwarded-For", address)], Some(&body))
    }

    pub(crate) fn current_user(&self, access_token: &str) -> Answer {
        self.send_as(access_token, "GET", "/user", None)
    }

    pub(crate) fn refresh_access_token(&self, refresh_token: &str) -> Answer {
        self.send_json("POST", "/refresh-access-token", &json!({"refresh_token": refresh_token}))
    }

    pub(crate) fn remove_access_token(&self, email: &str) -> Answer {
        self.send_json("DELETE", "/access-token", &json!({"email": email}))
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

    /// The list of `GET /sessions`.
    pub(crate) fn sessions(&self, token: &str) -> Vec<Value> {
        let answer = self.send_as(token, "GET", "/sessions", None);
        let body = answer.json();
        assert_eq!((answer.status, body["result"].as_str()), (200, Some("Sessions fetched successfully")));
        body["data"].as_array().unwrap().clone()
    }

    /// The ids of `GET /sessions`, in the order of the list.
    pub(crate) fn session_ids(&self, token: &str) -> Vec<String> {
        self.sessions(token).iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends a request that prepares a test. On a busy machine, Redis may be late, and the request is sent again. Returns
    /// the answer, and whether an earlier answer was late.
    fn prepare(&self, send: impl Fn() -> Answer) -> (Answer, bool) {
        let mut answer = send();
        for late in [false, true, true, true] {
            if answer.status != 503 || answer.json()["code"] != "store_timeout" {
                return (answer, late);
            }
            answer = send();
        }
        (answer, true)
    }

    /// A new account, whose password is [`PASSWORD`].
    pub(crate) fn new_account(&self) -> String {
        let email = unique_email();
        let (answer, was_late) = self.prepare(|| self.sign_up(&email, PASSWORD));
        // The sign-up whose answer was late may have created the account.
        assert!(answer.status == 201 || was_late && answer.status == 409, "{answer:?}");
        email
    }

    /// A new account, signed in.
    pub(crate) fn new_session(&self) -> Session {
        self.session_of(&self.new_account())
    }

    /// Another sign-in of an account whose password is [`PASSWORD`].
    pub(crate) fn session_of(&self, email: &str) -> Session {
        self.sign_in(email, PASSWORD)
    }

    /// A sign-in that must succeed.
    pub(crate) fn sign_in(&self, email: &str, password: &str) -> Session {
        Session::of(email, &self.prepare(|| self.authenticate(email, password)).0)
    }
}
