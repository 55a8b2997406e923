//! Requests that schemathesis makes from the document.

use std::{collections::BTreeSet, fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use crate::{
    python::python,
    support::{
        CREDENTIALS, RESOURCE_SERVERS,
        Store::{self, Embedded, Redis},
        TestApp,
    },
};

/// Settings that change the answers of routes. The server on the other store has the defaults.
const OTHER_THAN_THE_DEFAULTS: [(&str, &str); 5] = [
    ("ACCESS_TOKEN_ALGORITHM", "ES256"),
    ("REFRESH_TOKEN_ROTATION", "on"),
    ("TOKEN_REMOVAL", "owner"),
    // The path is the example in the document.
    ("ISSUER", "https://example.com/auth"),
    ("CORS_ORIGINS", "https://app.example.com"),
];

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The metadata needs the setting `ISSUER`, and is 404 without it.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// These need a server that sends mail, and two of them the token in a mail. schemathesis has neither, so it compares
/// only their errors. The API tests compare the other answers.
const NEED_A_MAIL: [&str; 5] = [
    "POST /password/forgot",
    "POST /password/reset",
    "POST /email/verification",
    "POST /email/verify",
    "PUT /user/email",
];

#[rstest]
#[case(Redis, &OTHER_THAN_THE_DEFAULTS)]
#[case(Embedded, &[])]
fn every_answer_is_as_the_document_says(#[case] store: Store, #[case] settings: &[(&str, &str)]) {
    let app = TestApp::start_with(store, &[&[RESOURCE_SERVERS], settings].concat());
    let run = Run::start(&app);
    let report = &run.report;
    let operations = operations_of(&app);
    assert_eq!(report["operations"]["tested"], operations.len(), "{}", report["operations"]);
    for (name, phase) in report["phases"].as_object().unwrap() {
        assert_eq!(phase["status"], "success", "{name}: {phase}");
    }
    let cases = Cases::of(&run.events);
    println!(
        "{store:?}: {} operations, {} cases, {} checks, links: {}, in {:.0} s",
        operations.len(),
        report["test_cases"]["generated"],
        cases.checks,
        run.links,
        report["running_time"].as_f64().unwrap(),
    );
    // Without a success, schemathesis has compared only errors with the document.
    let mut never = operations;
    let has_no_metadata = |name: &str| settings.is_empty() && name.contains(METADATA);
    let needs_more = |name: &String| NEED_A_MAIL.contains(&name.as_str()) || has_no_metadata(name);
    never.retain(|name| !(cases.successful.contains(name) || needs_more(name)));
    assert!(never.is_empty(), "never successful: {never:?}");
    let faults: Vec<_> = app.log().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let output = app.output();
    assert!(!output.contains("internal_error") && !output.contains("panicked"), "{output}");
    assert_eq!(app.current_user(&app.new_session().access_token).status, 200);
}

/// The operations of the document, such as `POST /signup`.
fn operations_of(app: &TestApp) -> Vec<String> {
    let document = app.send("GET", "/openapi.json", &[], None).json();
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method, path)));
    let operations = methods.filter(|(method, _)| METHODS.contains(&method.as_str()));
    operations.map(|(method, path)| format!("{} {path}", method.to_uppercase())).collect()
}

/// What schemathesis reports.
struct Run {
    report: Value,
    /// An event for each group of cases, with the cases and the answers.
    events: Vec<Value>,
    /// How many of the document's links schemathesis has followed.
    links: String,
}

impl Run {
    /// Runs schemathesis to its end. Panics if schemathesis finds a failure.
    fn start(app: &TestApp) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = format!("http://127.0.0.1:{}", app.port());
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/schemathesis.toml");
        let output = python()
            .current_dir(directory.path())
            .env("SERVER", &server)
            .env("CREDENTIALS", CREDENTIALS.1)
            .args(["-m", "schemathesis.cli", "--no-color", "--config-file"])
            .arg(configuration)
            .args(["run", &format!("{server}/openapi.json")])
            .args(["--report-json-path", "report.json", "--report-ndjson-path", "events.ndjson"])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        Self {
            report: serde_json::from_str(&read("report.json")).unwrap(),
            events: read("events.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            links: printed.lines().find_map(|line| line.trim().strip_prefix("API Links:")).unwrap().trim().to_owned(),
        }
    }
}

/// What the events count.
#[derive(Default)]
struct Cases {
    checks: usize,
    /// The operations that had an answer of success.
    successful: BTreeSet<String>,
}

impl Cases {
    fn of(events: &[Value]) -> Self {
        let mut counted = Self::default();
        for recorder in events.iter().filter_map(|event| event.pointer("/ScenarioFinished/recorder")) {
            let parts = |name: &str| recorder[name].as_object().into_iter().flatten();
            counted.checks += parts("checks").map(|(_, checks)| checks.as_array().unwrap().len()).sum::<usize>();
            for (id, case) in parts("cases") {
                let name = |field: &str| case["value"][field].as_str().unwrap();
                let name = format!("{} {}", name("method"), name("path"));
                let status = recorder["interactions"][id].pointer("/response/status_code").and_then(Value::as_u64);
                if status.is_some_and(|status| (200..300).contains(&status)) {
                    counted.successful.insert(name);
                }
            }
        }
        counted
    }
}
