//! The examples of the document must have the schemas of the document.

use serde_json::Value;

use super::document::Document;
use crate::support::{Store::Embedded, TestApp};

/// Asserts that the examples of a body, a parameter or a header are valid. Returns their number.
#[track_caller]
fn assert_examples(document: &Document, described: &Value) -> usize {
    let named = described["examples"].as_object().into_iter().flat_map(|examples| examples.values());
    let examples: Vec<_> = named.map(|example| &example["value"]).chain(described.get("example")).collect();
    let count = examples.len();
    document.assert_all_valid(&described["schema"], examples, &described.to_string());
    count
}

/// The values of a map, which may be missing.
fn values(map: &Value) -> impl Iterator<Item = &Value> {
    map.as_object().into_iter().flat_map(|map| map.values())
}

#[test]
fn every_example_is_valid() {
    let settings = [("REFRESH_TOKEN_ROTATION", "on"), ("ISSUER", "https://auth.example.com")];
    let document = Document::of(&TestApp::start_with(Embedded, &settings));
    let components = &document.0["components"];
    let mut count = 0;
    // Components of their own, which many operations share.
    for described in values(&components["headers"]).chain(values(&components["parameters"])) {
        count += assert_examples(&document, described);
    }
    let own = document.operations().into_iter().flat_map(|operation| values(&operation["responses"]));
    let own = own.filter(|response| response.get("$ref").is_none());
    for response in values(&components["responses"]).chain(own) {
        let headers = values(&response["headers"]).filter(|header| header.get("$ref").is_none());
        count += headers
            .chain(values(&response["content"]))
            .map(|described| assert_examples(&document, described))
            .sum::<usize>();
    }
    for operation in document.operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let own = parameters.filter(|parameter| parameter.get("$ref").is_none());
        let bodies = values(&operation["requestBody"]["content"]);
        count += own.chain(bodies).map(|described| assert_examples(&document, described)).sum::<usize>();
        for body in values(&operation["requestBody"]["content"]) {
            assert!(body.get("example").is_some(), "{operation}");
        }
    }
    assert!(count > 200, "{count}");
}
