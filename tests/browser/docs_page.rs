//! The page `/docs`, as people use it.

use std::{collections::BTreeSet, net::TcpListener};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    driven::DrivenTab,
    proxy::serve_below,
    support::{PASSWORD, Store, TestApp, unique_email, wait_until},
};

/// The page in a browser.
struct Scene {
    tab: DrivenTab,
    app: TestApp,
    /// The address of the server, as the browser sees it.
    base: String,
}

impl Scene {
    /// Opens the page. A proxy serves it below this path.
    fn open(path: &'static str) -> Self {
        // Swagger UI is slow on a busy machine, so tokens with the default lifetime would expire during the test.
        let lives = [("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")];
        let app = TestApp::start_with(Store::Embedded, &lives);
        let port = if path.is_empty() { app.port() } else { serve_below(path, app.port()) };
        let base = format!("http://127.0.0.1:{port}{path}");
        let mut tab = DrivenTab::start();
        tab.open(&format!("{base}/docs"));
        tab.wait_for("Boolean(document.querySelector('.opblock'))");
        Self { tab, app, base }
    }

    /// Unfolds an operation, sends this body, and returns the status and the body that the page then shows.
    fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> (String, Value) {
        let block = format!("document.querySelector('.opblock-{method}:has([data-path=\"{path}\"])')");
        self.tab.click(&format!("{block}?.querySelector('.opblock-summary-control')"));
        if let Some(body) = body {
            self.tab.type_into(&format!("{block}?.querySelector('textarea.body-param__text')"), &body.to_string());
        }
        self.tab.click(&format!("{block}?.querySelector('button.execute')"));
        let shown = |column: &str| format!("{block}.querySelector('.live-responses-table tbody {column}')?.innerText");
        let status = self.tab.wait_for(&shown(".response-col_status"));
        let text = self.tab.wait_for(&shown(".response-col_description .highlight-code code"));
        let status = status.as_str().unwrap().trim().to_owned();
        (status, serde_json::from_str(text.as_str().unwrap()).unwrap_or_else(|error| panic!("{error} in {text}")))
    }

    /// Gives the page this access token.
    fn authorize(&mut self, token: &str) {
        self.tab.click("document.querySelector('.scheme-container .btn.authorize')");
        self.tab.type_into("document.querySelector('#auth-bearer-value')", token);
        self.tab.click("document.querySelector('.auth-container:has(#auth-bearer-value) button.authorize')");
        self.tab.wait_for("!document.querySelector('#auth-bearer-value')");
        self.tab.click("document.querySelector('.modal-ux .btn-done')");
    }
}

/// The methods and paths of the document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().iter().filter(|(_, operation)| operation["responses"].is_object());
        methods.map(|(method, _)| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[rstest]
fn the_page_shows_every_operation_and_tries_the_api(#[values("", "/auth")] path: &'static str) {
    let mut scene = Scene::open(path);
    let shown = scene.tab.value(
        "[...document.querySelectorAll('.opblock')].map(block => [
            block.querySelector('.opblock-summary-method').innerText,
            block.querySelector('[data-path]').dataset.path,
        ])",
    );
    let documented = operations(&scene.app.send("GET", "/openapi.json", &[], None).json());
    assert!(documented.len() >= 6, "{documented:?}");
    let shown: Vec<(String, String)> = serde_json::from_value(shown).unwrap();
    let place = |method: &str, path: &str| shown.iter().position(|(m, p)| (&**m, &**p) == (method, path)).unwrap();
    for path in ["/authenticate", "/refresh-access-token"] {
        assert!(place("POST", path) < place("GET", path), "{shown:?}");
    }
    assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), documented);

    let email = unique_email();
    let credentials = json!({"email": email, "password": PASSWORD});
    let signed_up = scene.send("post", "/signup", Some(&credentials));
    assert_eq!(signed_up, ("201".to_owned(), json!({"result": "Account successfully created"})));
    let (status, tokens) = scene.send("post", "/authenticate", Some(&credentials));
    assert_eq!((&*status, &tokens["result"]), ("200", &json!("Authentication successful")));
    scene.authorize(tokens["access_token"].as_str().unwrap());
    let (status, profile) = scene.send("get", "/user", None);
    assert_eq!((&*status, &profile["data"]["email"]), ("200", &json!(email)), "{profile}");
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let (status, refreshed) = scene.send("post", "/refresh-access-token", Some(&body));
    assert_eq!((&*status, &refreshed["result"]), ("200", &json!("Access token refreshed successfully")));

    assert_eq!(scene.tab.violations(), [] as [Value; 0]);
    let sent: Vec<_> = scene.tab.requests().iter().filter(|url| !url.starts_with("data:")).collect();
    for file in ["/docs", "/docs/swagger-ui-bundle.js", "/openapi.json", "/signup", "/user"] {
        assert!(sent.contains(&&format!("{}{file}", scene.base)), "{file}: {sent:#?}");
    }
    let elsewhere: Vec<_> = sent.iter().filter(|url| !url.starts_with(&format!("{}/", scene.base))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");

    // The answers are open.
    scene.tab.make_narrow();
    let widths = scene.tab.value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
    assert_eq!(widths, json!([390, 390]));
}

#[test]
fn each_request_has_an_id_of_its_own() {
    let mut scene = Scene::open("");
    let account = json!({"email": unique_email(), "password": PASSWORD});
    scene.send("post", "/signup", Some(&account));
    scene.send("post", "/authenticate", Some(&account));
    let is_post = |line: &Value| line["message"] == "request" && line["method"] == "POST";
    let mut lines = Vec::new();
    wait_until("the log has both requests", || {
        lines = scene.app.log().into_iter().filter(is_post).collect();
        lines.len() == 2
    });
    assert_ne!(lines[0]["request_id"], lines[1]["request_id"]);
    assert!(lines.iter().all(|line| line["trace_id"].is_null()), "{lines:#?}");
}

#[test]
fn a_reload_forgets_the_token() {
    let mut scene = Scene::open("");
    let email = scene.app.new_account();
    let session = scene.app.session_of(&email);
    scene.authorize(&session.access_token);
    assert_eq!(scene.send("get", "/user", None).0, "200");
    let kept = "JSON.stringify([document.cookie, Object.entries(localStorage), Object.entries(sessionStorage)])";
    assert_eq!(scene.tab.value(kept), json!(r#"["",[],[]]"#));
    let url = format!("{}/docs?", scene.base);
    scene.tab.open(&url);
    scene.tab.wait_for(&format!("location.href === '{url}' && Boolean(document.querySelector('.opblock'))"));
    let (status, answer) = scene.send("get", "/user", None);
    assert_eq!((&*status, &answer["code"]), ("401", &json!("token_missing")));
}

#[test]
fn the_page_can_send_nothing_elsewhere() {
    let mut scene = Scene::open("");
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = elsewhere.local_addr().unwrap();
    let refused = scene.tab.value(&format!("fetch('http://{address}/').then(() => 'sent', error => error.name)"));
    assert_eq!(refused, "TypeError");
    // The image comes from the document, or from an example in it.
    scene.tab.value(&format!(
        "new Promise(resolve => {{
            const image = new Image();
            image.onload = image.onerror = () => resolve();
            image.src = 'http://{address}/token.png';
        }})"
    ));
    let blocked: Vec<_> = scene
        .tab
        .violations()
        .iter()
        .map(|violation| &violation["contentSecurityPolicyIssueDetails"]["violatedDirective"])
        .collect();
    assert_eq!(blocked, ["connect-src", "img-src"]);
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "the page has connected to another server");
}
