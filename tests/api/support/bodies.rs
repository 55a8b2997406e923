//! Requests with a body of any bytes.

use super::{
    app::TestApp,
    raw::{self, Answer},
};

/// All routes that take a body, with a method.
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

/// A request with a body of any bytes.
pub(crate) fn request_of_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut bytes = raw::request(method, path, &[headers, &[("Content-Length", &length)]].concat(), None);
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a body to a route, with a token, so that no route refuses the request before its body.
pub(crate) fn send_body(app: &TestApp, token: &str, (method, path): (&str, &str), body: &[u8]) -> Answer {
    raw::exchange(app.port(), &request_of_bytes(method, path, &[JSON, ("Authorization", token)], body)).unwrap()
}

/// A sign-up with a body of any bytes.
pub(crate) fn sign_up_with(app: &TestApp, body: impl AsRef<[u8]>) -> Answer {
    raw::exchange(app.port(), &request_of_bytes("POST", "/signup", &[JSON], body.as_ref())).unwrap()
}
