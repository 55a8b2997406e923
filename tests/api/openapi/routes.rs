//! The document and the router must have the same paths and methods.

use std::{collections::BTreeSet, fs};

use rstest::rstest;

use super::document::Document;
use crate::support::{Store::Embedded, TestApp};

/// The paths in the source of the router, as the document writes them.
fn paths_of_the_router() -> BTreeSet<String> {
    let source = fs::read_to_string("src/http/mod.rs").unwrap();
    let literals = source.split('"').skip(1).step_by(2).filter(|literal| literal.starts_with('/'));
    literals.map(|literal| literal.replace("{*", "{")).collect()
}

/// A path without parameters.
fn concrete(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[rstest]
fn the_document_has_exactly_the_routes(#[values("open", "owner", "off")] removal: &str) {
    let app = TestApp::start_with(Embedded, &[("TOKEN_REMOVAL", removal)]);
    let document = Document::of(&app);
    let paths: BTreeSet<_> = document.paths().into_iter().cloned().collect();
    assert_eq!(paths, paths_of_the_router());
    for path in paths {
        // TRACE instead of OPTIONS, because some routes handle OPTIONS themselves.
        let answer = app.send("TRACE", &concrete(&path), &[], None);
        answer.assert_error(405, "method_not_allowed");
        let allowed = answer.header("allow").unwrap().split(", ").filter(|method| !method.is_empty());
        let methods = document.methods(&path);
        assert_eq!(allowed.map(str::to_owned).collect::<BTreeSet<_>>(), methods, "{path}");
        for method in methods {
            let answer = app.send(&method, &concrete(&path), &[], None);
            assert_ne!(answer.status, 405, "{method} {path}: {answer:?}");
            document.assert_describes(&method, &path, &answer);
        }
    }
}

#[rstest]
fn each_operation_has_a_name_of_its_own_and_a_sentence() {
    let document = Document::of(&TestApp::start(Embedded));
    let operations = document.operations();
    let names: BTreeSet<_> = operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    let tags: BTreeSet<_> =
        document.0["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for operation in operations {
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{operation}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{operation}");
        for response in operation["responses"].as_object().unwrap().values() {
            for link in document.resolve(response)["links"].as_object().into_iter().flat_map(|links| links.values()) {
                assert!(names.contains(link["operationId"].as_str().unwrap()), "{link}");
            }
        }
    }
    // The use cases of the service that this server replaces.
    for name in ["sign_up", "authenticate", "current_user", "refresh_access_token", "remove_access_token"] {
        assert!(names.contains(name), "{name}");
    }
    for (path, get) in [("/authenticate", true), ("/refresh-access-token", true), ("/user", false)] {
        assert_eq!(document.operation("GET", path)["deprecated"] == true, get, "{path}");
    }
}
