//! The webhooks that the server sends, if it has a receiver.

use serde_json::{Value, json};

use super::parts::{EMAIL, ID, USER_ID, described, id, object, uuid};
use crate::audit::Event;

/// The object `webhooks` of the document.
pub(super) fn webhooks() -> Value {
    let description = "Sent to `WEBHOOK_URL`, at least once, and in order for each user. Check `webhook-signature` by the \
                       rules of [Standard Webhooks](https://www.standardwebhooks.com) before you read the body.";
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": true, "description": description, "schema": schema});
    let signature = json!({"type": "string", "pattern": "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)*$"});
    json!({
        "securityEvent": {
            "post": {
                "operationId": "securityEvent",
                "summary": "An account or a session has changed, or somebody who knows a password sent a wrong code",
                "description": description,
                "parameters": [
                    header("webhook-id", "The id of the event, the same for each try.", id()),
                    header("webhook-timestamp", "The time of this try, in Unix time.", json!({"type": "integer"})),
                    header("webhook-signature", "A signature for each secret.", signature),
                ],
                "requestBody": {
                    "required": true,
                    "content": {"application/json": {"schema": body(), "example": example()}},
                },
                "responses": {
                    "2XX": {"description": "The receiver has the event."},
                    "default": {"description": "The server tries again later."},
                },
            },
        },
    })
}

fn body() -> Value {
    let types: Vec<_> = Event::ALL.into_iter().filter(|event| event.is_announced()).map(Event::name).collect();
    let mut data = object(&json!({
        "address": described("The address of the client."),
        "request_id": described("The `X-Request-Id` of the request."),
    }));
    data["properties"]["user_id"] = uuid();
    data["properties"]["session_id"] = id();
    data["properties"]["email"] = described("Only with `AUDIT_EMAILS=on`, and not for every event.");
    object(&json!({
        "type": {"type": "string", "enum": types, "description": "Later versions have more types."},
        "timestamp": {"type": "string", "format": "date-time", "description": "The time of the event."},
        "data": data,
    }))
}

fn example() -> Value {
    json!({
        "type": Event::SignedIn.name(),
        "timestamp": "2026-11-29T09:05:30Z",
        "data": {"user_id": USER_ID, "session_id": ID, "email": EMAIL, "address": "192.0.2.7", "request_id": "4f1c2b7e"},
    })
}
