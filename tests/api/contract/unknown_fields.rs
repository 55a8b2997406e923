//! Fields that a route does not know.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    PASSWORD,
    Store::{self, Embedded, Redis},
    TestApp, unique_email,
};

#[rstest]
fn unknown_fields_change_nothing(#[values(Redis, Embedded)] store: Store) {
    let app = TestApp::start(store);
    let email = unique_email();
    let id = "00000000-0000-4000-8000-000000000000";
    let more = json!({"role": "admin", "id": id, "sub": id, "created_at": 0, "phc": "x", "tag": "x", "status": 500});
    let mut body = json!({"email": email, "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.send_json("POST", "/signup", &body).assert(201, &json!({"result": "Account successfully created"}));
    let signed_in = app.send_json("POST", "/authenticate", &body);
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    let token = signed_in.json()["access_token"].as_str().unwrap().to_owned();
    let profile = app.send("GET", "/user", &[("Authorization", &token)], Some(&body.to_string())).json();
    let names: Vec<_> = profile["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["created_at", "email", "id"]);
    assert_ne!(profile["data"]["id"], id);
    assert!(!profile["data"]["created_at"].as_str().unwrap().starts_with("1970"), "{profile}");
}
