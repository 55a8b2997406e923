//! Documents that are the same for everybody, so that caches may keep them (RFC 9111).

use auth_service_token::Id;
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::response::{JSON, json_bytes};

/// How long a cache may keep a document without asking again.
const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A document, and the tag that changes with its content.
pub(super) struct Document {
    media_type: HeaderValue,
    bytes: Bytes,
    tag: HeaderValue,
}

impl Document {
    /// The JSON document with this content.
    pub(super) fn new(body: &impl Serialize) -> Self {
        Self::of(JSON, json_bytes(body))
    }

    /// A document of any type.
    pub(super) fn of(media_type: HeaderValue, bytes: Bytes) -> Self {
        // An id consists of characters that a tag may have, so the fallback is never used.
        let tag = HeaderValue::from_str(&format!("\"{}\"", Id::digest(&bytes)));
        Self { media_type, bytes, tag: tag.unwrap_or(HeaderValue::from_static("\"\"")) }
    }

    /// The document.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The answer to a request with these headers: the document, or 304 if the client has it already (RFC 9110, section
    /// 15.4.5).
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let caching = [(header::CACHE_CONTROL, FIVE_MINUTES), (header::ETAG, self.tag.clone())];
        if is_tag_named(headers, &self.tag) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(header::CONTENT_TYPE, self.media_type.clone())], self.bytes.clone()).into_response()
    }
}

/// Whether `If-None-Match` has the tag, or the `*` that stands for every tag. A proxy that compresses answers marks the
/// tag as weak, and the comparison ignores this mark (RFC 9110, section 13.1.2).
pub(super) fn is_tag_named(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
    // Our tags have no comma, so a comma always separates two tags, or is in the tag of somebody else.
    let tags = values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let unmarked = tags.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag));
    unmarked.into_iter().any(|named| named == tag.as_bytes() || named == b"*")
}
