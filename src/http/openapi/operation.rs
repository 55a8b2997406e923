//! An operation: a method of a path.

use serde_json::{Map, Value, json};

use super::{
    components::Components,
    failure::{by_status, failure},
    success::Success,
};
use crate::http::problem_response::Problem;

/// An operation.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) path: &'static str,
    /// In lower case. `None` for a path whose operations a setting has switched off.
    pub(super) method: Option<&'static str>,
    id: String,
    tag: &'static str,
    summary: &'static str,
    description: String,
    deprecated: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    security: Value,
    successes: Vec<Success>,
    problems: Vec<Problem>,
}

impl Operation {
    /// An operation without a body and security. `id` is the name of the use case.
    pub(super) fn new(tag: &'static str, method: &'static str, path: &'static str, id: &str) -> Self {
        Self {
            path,
            method: Some(method),
            id: id.to_owned(),
            tag,
            summary: "",
            description: String::new(),
            deprecated: false,
            parameters: vec![parameter("X-Request-Id"), parameter("traceparent")],
            body: None,
            security: json!([]),
            successes: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A path whose operations a setting has switched off.
    pub(super) fn switched_off(path: &'static str) -> Self {
        Self { method: None, ..Self::new("", "", path, "") }
    }

    /// Sets the summary and the description.
    pub(super) fn described(mut self, summary: &'static str, description: impl Into<String>) -> Self {
        (self.summary, self.description) = (summary, description.into());
        self
    }

    /// Adds a header of the request, which is a parameter of the components.
    pub(super) fn request_header(mut self, name: &str) -> Self {
        self.parameters.push(parameter(name));
        self
    }

    /// Adds an optional parameter of the query.
    pub(super) fn query(mut self, name: &str, description: &str, schema: &Value, example: impl Into<Value>) -> Self {
        let example: Value = example.into();
        self.parameters.push(json!({
            "name": name, "in": "query", "description": description, "schema": schema, "example": example,
        }));
        self
    }

    /// Adds a parameter of the path.
    pub(super) fn in_path(mut self, name: &str, description: &str, schema: &Value, example: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
            "example": example,
        }));
        self
    }

    /// A document that caches may keep. It belongs to no request, so it has no request id.
    pub(super) fn public(self) -> Self {
        Self { parameters: vec![parameter("If-None-Match")], ..self }
    }

    /// Adds a body with a schema of the components and an example. The body is optional if `is_required` is false.
    pub(super) fn body(self, media_type: &str, schema: &str, is_required: bool, example: &Value) -> Self {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let content = json!({media_type: {"schema": schema, "example": example}});
        Self { body: Some(json!({"required": is_required, "content": content})), ..self }
    }

    /// Sets the accepted credentials: a list of alternatives, each an object whose names are security schemes.
    pub(super) fn security(self, security: Value) -> Self {
        Self { security, ..self }
    }

    /// Needs an access token, or an expired one together with a refresh token.
    pub(super) fn protected(self) -> Self {
        self.security(json!([{"accessToken": []}, {"accessToken": [], "refreshToken": []}]))
    }

    /// Adds an answer that is no error.
    pub(super) fn answers(mut self, success: Success) -> Self {
        self.successes.push(success);
        self
    }

    /// Adds errors.
    pub(super) fn fails(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The same operation on another path, or by another method.
    pub(super) fn at(&self, path: &'static str, id: &str) -> Self {
        Self { path, id: id.to_owned(), ..self.clone() }
    }

    /// The same operation by another method.
    pub(super) fn twin(&self, method: &'static str) -> Self {
        Self { method: Some(method), id: format!("{}_by_{method}", self.id), ..self.clone() }
    }

    /// The operation as clients of the old service call it, which send a GET with a body.
    pub(super) fn old_twin(&self) -> Self {
        let description = format!(
            "For clients of the old service, which send a GET with a body. New clients should use POST, because \
             browsers, CDNs and some proxies refuse a GET with a body.\n\n{}",
            self.description
        );
        Self { deprecated: true, description, ..self.twin("get") }
    }

    pub(super) fn into_value(self, components: &mut Components) -> Value {
        let mut responses = Map::new();
        let has_content = self.method != Some("head");
        for success in self.successes {
            responses.insert(success.status.as_str().to_owned(), success.into_value(components, has_content));
        }
        for (status, problems) in by_status(self.problems) {
            let failure = failure(&problems, components, has_content);
            responses.insert(status.as_str().to_owned(), components.shared_response(status, failure));
        }
        let mut value = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "security": self.security,
            "responses": responses,
        });
        if self.deprecated {
            value["deprecated"] = true.into();
        }
        if !self.parameters.is_empty() {
            value["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            value["requestBody"] = body;
        }
        value
    }
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}
