//! Requests whose body is arbitrary bytes.

use super::{
    app::TestApp,
    raw::{self, Answer},
};

/// Routes that take a body, with a method.
pub(crate) const BODY_ROUTES: [(&str, &str); 7] = [
    ("POST", "/signup"),
    ("GET", "/authenticate"),
    ("POST", "/authenticate"),
    ("GET", "/refresh-access-token"),
    ("POST", "/refresh-access-token"),
    ("GET", "/user"),
    ("DELETE", "/access-token"),
];
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A request whose body is arbitrary bytes.
pub(crate) fn request_of_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut bytes = raw::request(method, path, &[headers, &[("Content-Length", &length)]].concat(), None);
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a body and a token to a route. Without the token, a route could refuse the request before it reads the body.
pub(crate) fn send_body(app: &TestApp, token: &str, (method, path): (&str, &str), body: &[u8]) -> Answer {
    raw::exchange(app.port(), &request_of_bytes(method, path, &[JSON, ("Authorization", token)], body)).unwrap()
}

/// A sign-up whose body is arbitrary bytes.
pub(crate) fn sign_up_with(app: &TestApp, body: impl AsRef<[u8]>) -> Answer {
    raw::exchange(app.port(), &request_of_bytes("POST", "/signup", &[JSON], body.as_ref())).unwrap()
}
