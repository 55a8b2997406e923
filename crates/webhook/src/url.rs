//! The rules for the URL of webhooks.

use std::fmt;

use http::Uri;
use url::{Host, Url};

use crate::address::is_public;

/// A URL that webhooks may go to.
#[derive(Clone)]
pub struct WebhookUrl {
    pub(crate) uri: Uri,
    /// Whether the host may have an address that is not public.
    pub(crate) allow_private: bool,
}

impl WebhookUrl {
    /// Checks a URL. Without `allow_private`, the scheme must be https, and the host must not be an address of a private
    /// network. The addresses of a name are checked at each connection.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the name of the setting. It does not repeat the URL.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, &'static str> {
        // This parser also knows the unusual forms of an address, such as `http://2130706433/` for 127.0.0.1.
        let url = Url::parse(text).map_err(|_| "must be a URL such as https://example.com/hooks")?;
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            "http" => {
                return Err(
                    "must begin with https://; if your receiver is in a private network, set WEBHOOK_ALLOW_PRIVATE=on",
                );
            }
            _ => return Err("must begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no user name and no password; the receiver checks the signature");
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        if address.is_some_and(|address| !allow_private && !is_public(address)) {
            return Err("must not lead to a private network; if your receiver is in one, set WEBHOOK_ALLOW_PRIVATE=on");
        }
        let uri = url.as_str().parse().map_err(|_| "must be a URL such as https://example.com/hooks")?;
        Ok(Self { uri, allow_private })
    }
}

/// Shows only the host, because the path or the query may hold a secret.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookUrl").field("host", &self.uri.host()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_needs_https_and_no_credentials() {
        for good in ["https://example.com/hooks?key=1", "https://1.1.1.1:8443/", "https://[2606:4700::1111]/"] {
            assert!(WebhookUrl::parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "http://example.com/",
            "https://user@example.com/",
            "https://:secret@example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
        ] {
            assert!(WebhookUrl::parse(bad, false).is_err(), "{bad}");
        }
        assert!(WebhookUrl::parse("http://127.0.0.1:1/", true).is_ok());
        assert!(WebhookUrl::parse("http://user@127.0.0.1:1/", true).is_err());
    }

    #[test]
    fn the_debug_output_shows_no_path() {
        let url = WebhookUrl::parse("https://example.com/secret-path?token=secret", false).unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl { host: Some(\"example.com\"), .. }");
    }
}
