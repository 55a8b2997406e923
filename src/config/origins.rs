//! `CORS_ORIGINS`: the origins whose pages may read the answers.

use url::{Position, Url};

use super::reader::Reader;

const NAME: &str = "CORS_ORIGINS";
const FORM: &str = "an origin has the form https://app.example.com or http://localhost:5173";

/// Origins of pages in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every origin.
    Any,
    /// These, which may be none. Each is spelled as browsers send it in the header `Origin`.
    Named(Vec<String>),
}

/// The origins in `CORS_ORIGINS`.
pub(super) fn origins(reader: &mut Reader<'_>) -> Origins {
    let text = reader.text(NAME).unwrap_or_default();
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries == ["*"] {
        return Origins::Any;
    }
    for entry in &entries {
        if let Some(advice) = advice(entry) {
            // An entry with an @ may hold a password.
            let shown = if entry.contains('@') { "which has an @" } else { &format!("{entry:?}") };
            reader.problem(NAME, &format!("has a wrong entry, {shown}: {advice}"));
        }
    }
    Origins::Named(entries.into_iter().map(str::to_owned).collect())
}

/// How to correct an entry, or `None` if browsers send an origin in exactly this spelling (RFC 6454, section 6.2). The
/// scheme may be that of an application, such as `capacitor://localhost`.
fn advice(entry: &str) -> Option<String> {
    let Some(url) = Url::parse(entry).ok().filter(|url| url.has_host() && !entry.contains('*')) else {
        return Some(FORM.to_owned());
    };
    // The parser has removed a default port, and an international domain has its `xn--` form.
    let origin = format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]).to_ascii_lowercase();
    (origin != entry).then(|| format!("write {origin}, as browsers send it"))
}

#[cfg(test)]
mod tests {
    use super::{super::sources::Sources, *};

    fn read(text: &str) -> Result<Origins, Vec<String>> {
        Reader::read(&Sources::of(&[(NAME, text)]), origins).map(|(origins, _)| origins)
    }

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        assert_eq!(read(""), Ok(Origins::Named(Vec::new())));
        assert_eq!(read(" * "), Ok(Origins::Any));
        for origin in [
            "https://app.example.com",
            "http://localhost:5173",
            "https://192.0.2.1:8443",
            "http://[2001:db8::1]:3000",
            "https://xn--bcher-kva.example",
            "http://example.com:443",
            "capacitor://localhost",
            "chrome-extension://aaaabbbbccccdddd",
        ] {
            assert_eq!(read(origin), Ok(Origins::Named(vec![origin.to_owned()])));
        }
        let two = ["https://a.example", "https://b.example"].map(str::to_owned).to_vec();
        assert_eq!(read(" https://a.example ,,https://b.example,"), Ok(Origins::Named(two)));
    }

    #[test]
    fn each_wrong_entry_is_named_with_its_correction() {
        for (entry, correction) in [
            ("https://a.example/", "write https://a.example,"),
            ("https://a.example/app", "write https://a.example,"),
            ("https://a.example?x", "write https://a.example,"),
            ("https://a.example#x", "write https://a.example,"),
            ("HTTPS://A.example", "write https://a.example,"),
            ("https://A.example:8443", "write https://a.example:8443,"),
            ("https://a.example:443", "write https://a.example,"),
            ("http://a.example:80", "write http://a.example,"),
            ("https://a.example:08443", "write https://a.example:8443,"),
            ("https://bücher.example", "write https://xn--bcher-kva.example,"),
            ("http://[::0:1]", "write http://[::1],"),
            ("capacitor://LocalHost", "write capacitor://localhost,"),
            ("a.example", FORM),
            ("localhost:5173", FORM),
            ("null", FORM),
            ("//a.example", FORM),
            ("https://", FORM),
            ("https://*.a.example", FORM),
            ("https://a.example b", FORM),
            ("https://a.example:65536", FORM),
            ("file:///a.html", FORM),
            ("*", FORM),
        ] {
            let sentences = read(&format!("https://right.example,{entry}")).unwrap_err();
            let expected = format!("CORS_ORIGINS has a wrong entry, {entry:?}: {correction}");
            assert!(sentences.len() == 1 && sentences[0].starts_with(&expected), "{sentences:?}");
        }
        assert_eq!(read("x,y,https://z.example").unwrap_err().len(), 2);
        let sentences = read("https://ada:secret@a.example").unwrap_err();
        assert_eq!(
            sentences,
            ["CORS_ORIGINS has a wrong entry, which has an @: write https://a.example, as browsers \
                                send it"]
        );
    }
}
