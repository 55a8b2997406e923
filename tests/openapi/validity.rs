//! Whether the document is valid OpenAPI.

use std::{fs, process::Output};

use serde_json::Value;

use crate::{
    python::python,
    support::{Store::Embedded, TestApp},
};

fn validate(document: &Value) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    python().args(["-m", "openapi_spec_validator", "--errors", "all"]).arg(file).output().unwrap()
}

#[test]
fn the_document_is_valid() {
    let app = TestApp::start(Embedded);
    let answer = app.send("GET", "/openapi.json", &[], None);
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let output = validate(&document);
    assert!(output.status.success(), "{output:?}");
    document["paths"]["/user"]["get"]["responses"] = 200.into();
    let output = validate(&document);
    assert!(!output.status.success(), "the validator finds no fault: {output:?}");
}
