//! A file of the page.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use crate::http::document::Document;

/// The lengths of the two parts of a gzip file around the compressed content.
const GZIP_HEADER: usize = 10;
const GZIP_TRAILER: usize = 8;

/// A file in the program. The first request creates the documents, so that a server needs no memory for a page that
/// nobody reads.
pub(super) struct File {
    media_type: &'static str,
    content: Content,
    plain: OnceLock<Document>,
    compressed: OnceLock<Document>,
}

enum Content {
    Plain(&'static [u8]),
    /// The compressed document, which needs a quarter of the bytes.
    Gzip(&'static [u8]),
}

impl File {
    pub(super) const fn new(media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::of(media_type, Content::Plain(bytes))
    }

    /// A file that the program contains in compressed form.
    pub(super) const fn compressed(media_type: &'static str, gzip: &'static [u8]) -> Self {
        Self::of(media_type, Content::Gzip(gzip))
    }

    const fn of(media_type: &'static str, content: Content) -> Self {
        Self { media_type, content, plain: OnceLock::new(), compressed: OnceLock::new() }
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = match self.content {
            Content::Gzip(gzip) if accept_gzip(headers) => {
                let document = self.compressed.get_or_init(|| self.document(Bytes::from_static(gzip)));
                let mut response = document.answer(headers);
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            _ => self.plain().answer(headers),
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }

    /// The file without compression.
    fn plain(&self) -> &Document {
        self.plain.get_or_init(|| {
            self.document(match self.content {
                Content::Plain(bytes) => Bytes::from_static(bytes),
                Content::Gzip(gzip) => decompressed(gzip),
            })
        })
    }

    fn document(&self, bytes: Bytes) -> Document {
        Document::of(HeaderValue::from_static(self.media_type), bytes)
    }
}

fn decompressed(gzip: &[u8]) -> Bytes {
    let content = gzip.get(GZIP_HEADER..gzip.len().saturating_sub(GZIP_TRAILER)).unwrap_or_default();
    // The file cannot be damaged, because it is a part of the program. The tests fetch each file.
    miniz_oxide::inflate::decompress_to_vec(content).unwrap_or_default().into()
}

/// Whether the client accepts gzip by name (RFC 9110, section 12.5.3), as all browsers do.
fn accept_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(is_zero_weight)
    })
}

fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_name_gzip_get_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate,gzip ; q=1.0, *;q=0", true),
            ("", false),
            ("identity", false),
            ("*", false),
            ("gzip;q=0", false),
            ("gzip; Q=0.000, br", false),
            ("gzip2, x;q=gzip", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accept_gzip(&headers), accepted, "{value}");
        }
        assert!(!accept_gzip(&HeaderMap::new()));
    }
}
