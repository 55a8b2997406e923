//! Settings that cannot work.

use std::fmt;

/// Why a verifier does not start. An outage of the server is no reason: the verifier then answers 503 until it has heard
/// from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// A server is not a base URL such as `https://auth.example.com`.
    Server(String),
    /// [`Builder::resource_server`](crate::Builder::resource_server) is missing, or the name is empty or has a colon or a
    /// control character.
    ResourceServer,
    /// [`Builder::bound`](crate::Builder::bound) is less than a second.
    Bound,
    /// [`Builder::certificate_authorities`](crate::Builder::certificate_authorities) cannot be read.
    CertificateAuthorities(String),
    /// The server answers 401: its `RESOURCE_SERVERS` do not have this name with this secret.
    Credentials,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(url) => write!(f, "{url:?} is not a base URL; write, for example, https://auth.example.com"),
            Self::ResourceServer => f.write_str("name this resource server, without a colon, and give its secret"),
            Self::Bound => f.write_str("the bound must be at least one second, which is two polls"),
            Self::CertificateAuthorities(error) => write!(f, "the certificate authorities cannot be read: {error}"),
            Self::Credentials => {
                f.write_str("the server does not know this name with this secret; see RESOURCE_SERVERS")
            }
        }
    }
}

impl std::error::Error for StartError {}
