//! Pages in a real browser that call the server from another origin.
//!
//! These tests need Chromium. `cargo test` leaves this target out; `cargo test --test browser` runs it.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

#[path = "../api/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;

mod balancer;
mod chromium;
mod docs_page;
mod driven;
mod links;
mod pages;
mod proxy;
mod tabs;

use rstest::rstest;
use serde_json::{Value, json};

use self::{chromium::Chromium, pages::Pages};
use crate::support::{
    PASSWORD, RedisServer, SECRETS, Session, Store, TestApp, expired_access_token, unique_email, wait_until,
};

/// The servers that a page calls.
struct Scene {
    pages: Pages,
    app: TestApp,
    /// A server whose Redis is down.
    away: TestApp,
    /// A session on `app`.
    session: Session,
    /// The email with which the page signs up.
    email: String,
}

impl Scene {
    /// Servers that allow the pages at `localhost`, and no pages at `127.0.0.1`, which is another origin.
    fn start() -> Self {
        let pages = Pages::start();
        let origin = format!("http://localhost:{}", pages.port());
        let named = [&SECRETS[..], &[("CORS_ORIGINS", &origin)]].concat();
        let mut redis = RedisServer::start(&[]);
        let away = TestApp::start_on(&redis.url(), &named);
        redis.kill();
        wait_until("the server notices the outage", || away.send("GET", "/readyz", &[], None).status == 503);
        let app = TestApp::start_with(Store::Embedded, &named);
        let session = app.new_session();
        Self { pages, app, away, session, email: unique_email() }
    }

    /// Opens the page at this host, and returns the answers that it could read. It calls the servers at `api_host`.
    fn visit(&self, page_host: &str, api_host: &str) -> Value {
        let (app, away) = (self.app.port(), self.away.port());
        let plan = json!({
            "api": format!("http://{api_host}:{app}"),
            "away": format!("http://{api_host}:{away}"),
            "email": self.email,
            "password": PASSWORD,
            "guessed": unique_email(),
            "expired_token": expired_access_token(&self.session),
            "token": self.session.access_token,
            "refresh_token": self.session.refresh_token,
        });
        self.pages.set_plan(&plan);
        let _browser = Chromium::open(&format!("http://{page_host}:{}/", self.pages.port()));
        self.pages.report()
    }
}

#[rstest]
fn a_page_of_a_named_origin_can_use_the_whole_api(#[values("127.0.0.1", "localhost")] api_host: &str) {
    let scene = Scene::start();
    let report = scene.visit("localhost", api_host);
    let assert_read = |name: &str, status: u16, field: &str, value: Value| {
        let answer = &report[name];
        assert_eq!((&answer["status"], &answer["body"][field]), (&json!(status), &value), "{name}: {report:#}");
        assert!(answer["headers"]["x-request-id"].is_string(), "{name}: {report:#}");
    };
    let assert_header = |name: &str, header: &str, value: &str| {
        assert_eq!(report[name]["headers"][header], value, "{name}: {report:#}");
    };
    assert_read("livez", 200, "result", json!("Alive"));
    assert_read("sign_up", 201, "result", json!("Account successfully created"));
    assert_read("authenticate", 200, "result", json!("Authentication successful"));
    assert_read("current_user", 200, "result", json!("User profile fetched successfully"));
    assert_eq!(report["current_user"]["body"]["data"]["email"], scene.email);
    assert_read("refresh_access_token", 200, "result", json!("Access token refreshed successfully"));
    assert_read("remove_access_token", 200, "result", json!("Access token removed"));
    assert_read("renew", 200, "result", json!("User profile fetched successfully"));
    assert_header("renew", "access-token", report["renew"]["body"]["access_token"].as_str().unwrap());
    assert_header("renew", "x-request-id", "of-the-page");
    assert_read("removed_token", 401, "code", json!("invalid_token"));
    assert_header("removed_token", "www-authenticate", r#"Bearer error="invalid_token""#);
    assert_read("removed_refresh_token", 404, "code", json!("token_not_found"));
    assert_read("unknown_route", 404, "code", json!("route_not_found"));
    assert_read("other_method", 405, "code", json!("method_not_allowed"));
    assert_read("guess", 429, "code", json!("too_many_attempts"));
    assert!(report["guess"]["headers"]["retry-after"].is_string(), "{report:#}");
    assert_read("outage", 503, "code", json!("store_unreachable"));
    assert_header("outage", "retry-after", "1");
}

#[test]
fn a_page_of_another_origin_reads_nothing() {
    let scene = Scene::start();
    let report = scene.visit("127.0.0.1", "localhost");
    let answers = report.as_object().unwrap();
    assert_eq!(answers.len(), 13, "{report:#}");
    for (name, answer) in answers {
        assert_eq!(answer, &json!({"error": "TypeError"}), "{name}");
    }
    // The preflights failed, so the browser sent none of the requests that change something.
    scene.app.authenticate(&scene.email, PASSWORD).assert_error(401, "invalid_credentials");
    assert_eq!(scene.app.current_user(&scene.session.access_token).status, 200);
}
