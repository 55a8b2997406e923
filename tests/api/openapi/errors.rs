//! The document and the page on the API must have the same errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::document::Document;
use crate::support::{Store::Embedded, TestApp};

/// The codes of docs/api.md, with the status of each. The test of documentation compares this table with the source.
fn codes_of_the_page() -> BTreeMap<String, u16> {
    let page = fs::read_to_string("docs/api.md").unwrap();
    let (_, errors) = page.split_once("\n## Errors\n").unwrap();
    let (errors, _) = errors.split_once("\n### Errors of the load balancer\n").unwrap();
    let rows = errors.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].to_owned(), cells[2].parse().unwrap())).collect()
}

/// With these settings, the server can give every error.
#[test]
fn the_document_has_exactly_the_errors_of_the_page() {
    let mut found = BTreeMap::new();
    let mut in_schema = BTreeSet::new();
    let every_setting = [
        &[("TOKEN_REMOVAL", "owner"), ("ACCESS_TOKEN_ALGORITHM", "ES256")][..],
        &[
            ("ISSUER", "https://auth.example.com"),
            ("SMTP_URL", "smtp://127.0.0.1:9"),
            ("SMTP_FROM", "no-reply@example.com"),
            ("PUBLIC_URL", "https://app.example.com"),
            ("EMAIL_VERIFICATION", "required"),
        ],
    ];
    for settings in every_setting {
        let document = Document::of(&TestApp::start_with(Embedded, settings));
        let codes = document.0["components"]["schemas"]["Error"]["properties"]["code"]["enum"].as_array().unwrap();
        in_schema.extend(codes.iter().map(|code| code.as_str().unwrap().to_owned()));
        for operation in document.operations() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let examples = &document.resolve(response)["content"]["application/json"]["examples"];
                for example in examples.as_object().into_iter().flat_map(|examples| examples.values()) {
                    let code = example["value"]["code"].as_str().unwrap().to_owned();
                    let status: u16 = status.parse().unwrap();
                    assert_eq!(*found.entry(code).or_insert(status), status, "{example}");
                }
            }
        }
    }
    let expected = codes_of_the_page();
    assert!(expected.len() > 40, "{expected:?}");
    assert_eq!(found, expected);
    assert_eq!(in_schema, expected.into_keys().collect());
}
