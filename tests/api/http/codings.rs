//! Codings of a body: how it is compressed (`Content-Encoding`), and how it travels (`Transfer-Encoding`).

use serde_json::json;

use crate::support::{BODY_ROUTES, Connection, JSON, PASSWORD, Store, TestApp, raw, request_of_bytes, unique_email};

#[test]
fn a_content_encoding_other_than_identity_is_415() {
    let app = TestApp::start(Store::Embedded);
    let token = app.new_session().access_token;
    for (method, path) in BODY_ROUTES {
        let with = |encodings: &[&str]| {
            let encodings = encodings.iter().map(|encoding| ("Content-Encoding", *encoding));
            let headers: Vec<_> = [JSON, ("Authorization", token.as_str())].into_iter().chain(encodings).collect();
            raw::exchange(app.port(), &request_of_bytes(method, path, &headers, b"{}")).unwrap()
        };
        for encodings in [
            &["gzip"][..],
            &["x-gzip"],
            &["br"],
            &["deflate, identity"],
            &["identity, zstd"],
            &["identity", "gzip"],
            &["identity;q=1"],
            &["\"identity\""],
        ] {
            let answer = with(encodings);
            answer.assert_error(415, "unsupported_encoding");
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{encodings:?}");
        }
        for encodings in
            [&[][..], &["identity"], &["Identity"], &[""], &["identity, identity"], &["identity", "identity"]]
        {
            with(encodings).assert_error(400, "validation_failed");
        }
    }
}

/// A sign-up whose body is chunked, under these headers.
fn chunked(headers: &[&str], email: &str) -> Vec<u8> {
    let body = json!({"email": email, "password": PASSWORD}).to_string();
    let headers: Vec<_> = headers.iter().map(|value| ("Transfer-Encoding", *value)).chain([JSON]).collect();
    let mut bytes = raw::request("POST", "/signup", &headers, None);
    bytes.extend(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes());
    bytes
}

/// RFC 9112, section 6.1. The server cannot know where such a body ends for a proxy in front, so the connection ends.
#[test]
fn a_transfer_coding_beside_chunked_is_501() {
    let app = TestApp::start(Store::Embedded);
    let email = unique_email();
    for headers in [
        &["gzip, chunked"][..],
        &["GZIP , Chunked"],
        &["gzip", "chunked"],
        &["identity, chunked"],
        &["x, chunked"],
        &["chunked, chunked"],
        &["chunked", "chunked"],
    ] {
        let mut connection = Connection::open(app.port());
        connection.write(&[chunked(headers, &email), raw::request("GET", "/livez", &[], None)].concat()).unwrap();
        connection.read().unwrap().assert_error(501, "unsupported_transfer_coding");
        assert!(connection.is_closed(), "{headers:?}");
        for (method, path) in [("GET", "/livez"), ("GET", "/nothing-here"), ("OPTIONS", "/user")] {
            let headers: Vec<_> = headers.iter().map(|value| ("Transfer-Encoding", *value)).collect();
            let bytes = [raw::request(method, path, &headers, None), b"0\r\n\r\n".to_vec()].concat();
            raw::exchange(app.port(), &bytes).unwrap().assert_error(501, "unsupported_transfer_coding");
        }
    }
    app.authenticate(&email, PASSWORD).assert_error(401, "invalid_credentials");
    // The end of a body that is not chunked at last is unknown, so hyper refuses it (RFC 9112, section 6.3).
    for headers in [&["gzip"][..], &["chunked, gzip"], &["identity"]] {
        let mut connection = Connection::open(app.port());
        connection.write(&chunked(headers, &email)).unwrap();
        assert_eq!(connection.read().unwrap().status, 400, "{headers:?}");
        assert!(connection.is_closed(), "{headers:?}");
    }
    for headers in ["chunked", "Chunked", ", chunked"] {
        let answer = raw::exchange(app.port(), &chunked(&[headers], &unique_email())).unwrap();
        answer.assert(201, &json!({"result": "Account successfully created"}));
    }
}
