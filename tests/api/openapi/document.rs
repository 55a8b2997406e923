//! The document of a running server.

use std::collections::BTreeSet;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

const ADDRESS: &str = "https://server.example/openapi.json";

/// The document of a running server.
pub(super) struct Document(pub(super) Value);

impl Document {
    pub(super) fn of(app: &TestApp) -> Self {
        let answer = app.send("GET", "/openapi.json", &[], None);
        assert_eq!(answer.status, 200, "{answer:?}");
        Self(answer.json())
    }

    pub(super) fn paths(&self) -> Vec<&String> {
        self.0["paths"].as_object().unwrap().keys().collect()
    }

    /// The methods of a path, in upper case.
    pub(super) fn methods(&self, path: &str) -> BTreeSet<String> {
        self.0["paths"][path].as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()).collect()
    }

    pub(super) fn operation(&self, method: &str, path: &str) -> &Value {
        &self.0["paths"][path][method.to_ascii_lowercase()]
    }

    /// All operations.
    pub(super) fn operations(&self) -> Vec<&Value> {
        let paths = self.0["paths"].as_object().unwrap().values();
        paths.flat_map(|path| path.as_object().unwrap().values()).collect()
    }

    /// Follows a reference, if there is one.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere")),
            None => value,
        }
    }

    /// Asserts that the document describes an answer: its status, its media type, its headers and its whole body.
    #[track_caller]
    pub(super) fn assert_describes(&self, method: &str, path: &str, answer: &Answer) {
        let responses = &self.operation(method, path)["responses"];
        let response = &responses[answer.status.to_string()];
        assert!(response.is_object(), "{method} {path} has no {}: {answer:?}", answer.status);
        let response = self.resolve(response);
        self.assert_describes_headers(response, answer);
        let content = &response["content"];
        if answer.body.is_empty() {
            assert!(content.is_null() || method == "HEAD", "{method} {path}: {answer:?}");
            return;
        }
        let media_type = answer.header("content-type").unwrap().split(';').next().unwrap();
        let schema = &content[media_type]["schema"];
        assert!(schema.is_object(), "{method} {path} has no {media_type}: {answer:?}");
        let body = if media_type == "application/json" { answer.json() } else { json!(answer.body) };
        self.assert_valid(schema, &body, &format!("{method} {path}: {answer:?}"));
    }

    #[track_caller]
    fn assert_describes_headers(&self, response: &Value, answer: &Answer) {
        let headers = response["headers"].as_object().unwrap();
        for (name, header) in headers {
            let header = self.resolve(header);
            let value = answer.header(&name.to_ascii_lowercase());
            assert!(value.is_some() || header["required"] != true, "no {name}: {answer:?}");
            let Some(value) = value else { continue };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => json!(value.parse::<u64>().unwrap()),
                _ => json!(value),
            };
            self.assert_valid(&header["schema"], &value, &format!("{name}: {answer:?}"));
        }
        // An OpenAPI document does not list the headers of HTTP itself.
        let unlisted = ["content-type", "content-length", "date", "connection"];
        for (name, _) in answer.headers.iter().filter(|(name, _)| !unlisted.contains(&name.as_str())) {
            assert!(headers.keys().any(|listed| listed.eq_ignore_ascii_case(name)), "{name} is not listed: {answer:?}");
        }
    }

    /// Asserts that a value has the schema, and no property that the schema does not list.
    #[track_caller]
    fn assert_valid(&self, schema: &Value, value: &Value, context: &str) {
        self.assert_all_valid(schema, [value], context);
    }

    /// As [`Document::assert_valid`], for values of the same schema.
    #[track_caller]
    pub(super) fn assert_all_valid<'v>(
        &self,
        schema: &Value,
        values: impl IntoIterator<Item = &'v Value>,
        context: &str,
    ) {
        let mut document = self.0.clone();
        document["components"]["schemas"].as_object_mut().unwrap().values_mut().for_each(close);
        let mut schema = schema.clone();
        close(&mut schema);
        document["schema"] = schema;
        let (schemas, index) = compiled(document);
        for value in values {
            if let Err(error) = schemas.validate(value, index) {
                panic!("{error} of {value} in {context}");
            }
        }
    }
}

fn compiled(document: Value) -> (Schemas, SchemaIndex) {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource(ADDRESS, document).unwrap();
    let index = compiler.compile(&format!("{ADDRESS}#/schema"), &mut schemas).unwrap();
    (schemas, index)
}

/// Forbids properties that a schema does not list. Each member of `allOf` lists only some properties, so the function
/// closes the whole `allOf` instead.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.contains_key("properties") || schema.contains_key("allOf") {
        schema.insert("unevaluatedProperties".to_owned(), false.into());
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(close);
    }
    if let Some(Value::Array(alternatives)) = schema.get_mut("oneOf") {
        alternatives.iter_mut().for_each(close);
    }
    if let Some(items) = schema.get_mut("items") {
        close(items);
    }
}
