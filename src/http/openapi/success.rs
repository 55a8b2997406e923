//! An answer that is no error.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{components::Components, parts::ACCESS_TOKEN};

const JSON: &[&str] = &["application/json"];

/// An answer that is no error.
#[derive(Clone)]
pub(super) struct Success {
    pub(super) status: StatusCode,
    description: &'static str,
    /// The media types of the body, its schema and an example.
    content: Option<(&'static [&'static str], Value, Value)>,
    headers: Map<String, Value>,
    links: Map<String, Value>,
    is_public: bool,
}

impl Success {
    /// An answer without a body.
    pub(super) fn empty(status: StatusCode, description: &'static str) -> Self {
        let (headers, links) = (Map::new(), Map::new());
        Self { status, description, content: None, headers, links, is_public: false }
    }

    /// An answer whose body has a schema of the components.
    pub(super) fn json(description: &'static str, schema: &str, example: Value) -> Self {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        Self { content: Some((JSON, schema, example)), ..Self::empty(StatusCode::OK, description) }
    }

    /// A text of one of these types.
    pub(super) fn text(description: &'static str, media_types: &'static [&'static str], example: &str) -> Self {
        let content = Some((media_types, json!({"type": "string"}), json!(example)));
        Self { content, ..Self::empty(StatusCode::OK, description) }
    }

    /// An answer without data. `result` is the sentence in the body.
    pub(super) fn done(description: &'static str, result: &str) -> Self {
        let schema = json!({"type": "object", "required": ["result"], "properties": {"result": {"const": result}}});
        Self { content: Some((JSON, schema, json!({"result": result}))), ..Self::empty(StatusCode::OK, description) }
    }

    /// Like [`Success::done`], with a new access token that replaces that of the request.
    pub(super) fn done_with_token(description: &'static str, result: &str) -> Self {
        let properties = json!({"result": {"const": result}, "access_token": {"type": "string"}});
        let schema = json!({"type": "object", "required": ["access_token", "result"], "properties": properties});
        let example = json!({"result": result, "access_token": ACCESS_TOKEN});
        let empty = Self::empty(StatusCode::OK, description);
        Self { content: Some((JSON, schema, example)), ..empty }.shared_header("Access-Token")
    }

    /// A document that caches may keep.
    pub(super) fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Adds a header of the components.
    pub(super) fn shared_header(mut self, name: &str) -> Self {
        self.headers.insert(name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        self
    }

    /// Adds a header that the answer always has.
    pub(super) fn header(mut self, name: &str, description: &str, schema: &Value, example: impl Into<Value>) -> Self {
        let example: Value = example.into();
        let header = json!({"description": description, "required": true, "schema": schema, "example": example});
        self.headers.insert(name.to_owned(), header);
        self
    }

    /// Adds a header that some of these answers have.
    pub(super) fn optional_header(mut self, name: &str, description: &str, schema: &Value, example: &str) -> Self {
        let header = json!({"description": description, "schema": schema, "example": example});
        self.headers.insert(name.to_owned(), header);
        self
    }

    /// Adds a link to an operation that a client can call with this answer. `with` has `parameters` or `requestBody`.
    pub(super) fn link(mut self, operation_id: &str, description: &str, mut with: Value) -> Self {
        with["operationId"] = operation_id.into();
        with["description"] = description.into();
        self.links.insert(operation_id.to_owned(), with);
        self
    }

    pub(super) fn into_value(mut self, components: &Components, has_content: bool) -> Value {
        self.headers.append(&mut if self.is_public { components.public_headers() } else { components.headers() });
        let mut value = json!({"description": self.description, "headers": self.headers});
        if let Some((media_types, schema, example)) = self.content.filter(|_| has_content) {
            let content = json!({"schema": schema, "example": example});
            let content = media_types.iter().map(|media_type| ((*media_type).to_owned(), content.clone()));
            value["content"] = content.collect::<Map<_, _>>().into();
        }
        if !self.links.is_empty() {
            value["links"] = self.links.into();
        }
        value
    }
}
