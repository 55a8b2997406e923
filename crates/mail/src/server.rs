//! The SMTP server, from a URL.

use std::{fmt, net::IpAddr};

use auth_service_records::secret::Secret;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// RFC 8314, section 7.3.
const SUBMISSIONS_PORT: u16 = 465;
/// RFC 6409, section 3.1.
const SUBMISSION_PORT: u16 = 587;

/// The server that takes the mails, and how to talk to it.
#[derive(Clone)]
pub struct SmtpServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: Encryption,
    pub(crate) login: Option<Login>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// TLS after the command STARTTLS. A server without the command gets no mail.
    StartTls,
    /// None.
    Off,
}

/// A user name and a password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

impl SmtpServer {
    /// The rest of a sentence that says which forms a URL may have.
    pub const FORMS: &str = "must have the form smtps://user:password@host[:465], smtp://user:password@host[:587] (with \
                             STARTTLS), or smtp://host:port?tls=off (in a private network); write special characters of \
                             the user name and the password as percent codes, such as %40 for @";

    /// Parses a URL. `smtps` is TLS from the first byte, and `smtp` is STARTTLS. `?tls=off` turns STARTTLS off. A
    /// server on this machine needs `?tls=on` for STARTTLS, because its certificate is rarely genuine. `None` if the URL
    /// has none of the [`forms`](Self::FORMS).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = host(&url)?;
        let encryption = match (url.scheme(), url.query()) {
            ("smtps", None) => Encryption::Tls,
            ("smtp", None) if is_this_machine(&host) => Encryption::Off,
            ("smtp", None | Some("tls=on")) => Encryption::StartTls,
            ("smtp", Some("tls=off")) => Encryption::Off,
            _ => return None,
        };
        let port = match (url.port(), encryption) {
            (Some(0), _) => return None,
            (Some(port), _) => port,
            (None, Encryption::Tls) => SUBMISSIONS_PORT,
            (None, _) => SUBMISSION_PORT,
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            ("", _) | (_, None) => return None,
            (user, Some(password)) => Some(Login { user: decoded(user)?, password: Secret::new(decoded(password)?) }),
        };
        let is_plain = matches!(url.path(), "" | "/") && url.fragment().is_none();
        is_plain.then_some(Self { host, port, encryption, login })
    }

    /// Whether others in the network could read the mails on their way to the server.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.encryption == Encryption::Off && !is_this_machine(&self.host)
    }
}

/// The host and the port, for a log.
impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Never shows the login.
impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpServer({self}, {:?})", self.encryption)
    }
}

/// The name or the address. An IPv6 address has no brackets.
fn host(url: &Url) -> Option<String> {
    // The scheme is unknown to the parser, so it takes every text as a name.
    let host = match Host::parse(match url.host()? {
        Host::Domain(name) => name,
        Host::Ipv4(address) => return Some(address.to_string()),
        Host::Ipv6(address) => return Some(address.to_string()),
    }) {
        Ok(host) => host,
        Err(_) => return None,
    };
    Some(host.to_string())
}

/// The text without percent codes. SMTP cannot carry control characters.
fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, Encryption, Option<(String, String)>) {
        let server = SmtpServer::parse(url).unwrap_or_else(|| panic!("{url}"));
        let login = server.login.as_ref().map(|login| (login.user.clone(), login.password.expose().to_owned()));
        (server.to_string(), server.encryption, login)
    }

    #[test]
    fn each_form_names_a_server_and_its_encryption() {
        use Encryption::{Off, StartTls, Tls};
        for (url, name, encryption) in [
            ("smtps://mail.example.com", "mail.example.com:465", Tls),
            ("smtps://mail.example.com:8465/", "mail.example.com:8465", Tls),
            ("smtp://mail.example.com", "mail.example.com:587", StartTls),
            ("smtp://10.0.0.1:25", "10.0.0.1:25", StartTls),
            ("smtp://bücher.example", "xn--bcher-kva.example:587", StartTls),
            ("smtp://mailpit:1025?tls=off", "mailpit:1025", Off),
            ("smtp://localhost:25", "localhost:25", Off),
            ("smtp://localhost:25?tls=on", "localhost:25", StartTls),
            ("smtp://[::1]:25", "[::1]:25", Off),
            ("smtps://127.0.0.1", "127.0.0.1:465", Tls),
        ] {
            assert_eq!(parsed(url), (name.to_owned(), encryption, None), "{url}");
        }
        let login = parsed("smtps://ada%40example.com:p%3a%2F%25@mail.example.com").2;
        assert_eq!(login, Some(("ada@example.com".to_owned(), "p:/%".to_owned())));
        let is_exposed = |url| SmtpServer::parse(url).unwrap().is_exposed();
        assert!(is_exposed("smtp://mailpit:1025?tls=off"));
        assert!(!is_exposed("smtp://127.0.0.1:25") && !is_exposed("smtp://mail.example.com"));
    }

    #[test]
    fn everything_else_is_refused() {
        for url in [
            "",
            "mail.example.com",
            "mail.example.com:587",
            "smtp://",
            "smtp:mail.example.com",
            "http://mail.example.com",
            "smtps://mail.example.com?tls=off",
            "smtp://mail.example.com?tls=yes",
            "smtp://mail.example.com?tls=off&a=b",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com#a",
            "smtp://mail.example.com:0",
            "smtp://user@mail.example.com",
            "smtp://:password@mail.example.com",
            "smtp://user:pass%00word@mail.example.com",
            "smtp://user:pass%ffword@mail.example.com",
            "smtp://a b.example.com",
        ] {
            assert!(SmtpServer::parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn no_output_shows_the_login() {
        let server = SmtpServer::parse("smtps://planted:planted@mail.example.com").unwrap();
        assert_eq!(format!("{server:?}"), "SmtpServer(mail.example.com:465, Tls)");
    }
}
