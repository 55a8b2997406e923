//! The target of a request: the path and the query.

use axum::http::{Uri, uri::PathAndQuery};

/// Decodes each percent-encoded letter, digit, `-`, `.`, `_` and `~`, so that the router and the handlers see one
/// spelling of a target. Clients may encode these characters, and the encoded spelling is equivalent (RFC 3986, section
/// 6.2.2.2). All other encoded characters stay encoded, because their decoding could change the structure of the target.
pub(super) fn decode_unreserved(uri: &mut Uri) {
    let Some(target) = uri.path_and_query().map(PathAndQuery::as_str).filter(|target| target.contains('%')) else {
        return;
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(decoded(target)).ok();
    // Never fails, because every target may have these characters.
    if let Ok(decoded) = Uri::from_parts(parts) {
        *uri = decoded;
    }
}

fn decoded(target: &str) -> String {
    let mut parts = target.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match unreserved(part) {
            Some((character, rest)) => {
                text.push(character);
                text += rest;
            }
            None => {
                text.push('%');
                text += part;
            }
        }
    }
    text
}

/// The character that the two hexadecimal digits at the start stand for, and the rest. `None` if the character is
/// reserved, or if there are no such digits.
fn unreserved(part: &str) -> Option<(char, &str)> {
    let (digits, rest) = part.split_at_checked(2)?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some((byte.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded_once() {
        for (target, expected) in [
            ("/user", "/user"),
            ("/%75ser", "/user"),
            ("/%75%73%65%72", "/user"),
            ("/%55ser", "/User"),
            ("/a%2Db%2db%5Fc%2Ed%7E", "/a-b-b_c.d~"),
            ("/sessions?%6cimit=%37", "/sessions?limit=7"),
            ("http://a.example/%75ser?x", "http://a.example/user?x"),
            ("/%2575ser", "/%2575ser"),
            ("/user%2F%3F%23%25%00%20%C3%BC", "/user%2F%3F%23%25%00%20%C3%BC"),
            ("/user%", "/user%"),
            ("/user%7", "/user%7"),
            ("/user%7g%+7%%75", "/user%7g%+7%u"),
            ("/%7\u{e4}", "/%7\u{e4}"),
            ("*", "*"),
        ] {
            let mut uri = target.parse().unwrap();
            decode_unreserved(&mut uri);
            assert_eq!(uri.to_string(), expected);
        }
    }
}
