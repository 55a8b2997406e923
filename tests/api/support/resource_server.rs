//! A resource server: its entry in the settings, its credentials, and its requests.

use super::{
    app::TestApp,
    bodies::request_of_bytes,
    raw::{self, Answer},
};

/// The setting with the entry. `printf %s 'secret of orders' | sha256sum` gives the hash.
pub(crate) const RESOURCE_SERVERS: (&str, &str) =
    ("RESOURCE_SERVERS", "orders:7570317b0a9074b17b281a99b3d46ee6da1a17d440a320c26cde8eaa711f975b");
/// `orders:secret of orders` in base64.
pub(crate) const CREDENTIALS: (&str, &str) = ("Authorization", "Basic b3JkZXJzOnNlY3JldCBvZiBvcmRlcnM=");
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

impl TestApp {
    /// A POST of a form.
    pub(crate) fn send_form(&self, path: &str, headers: &[(&str, &str)], form: impl AsRef<[u8]>) -> Answer {
        let bytes = request_of_bytes("POST", path, &[&[FORM], headers].concat(), form.as_ref());
        raw::exchange(self.port(), &bytes).unwrap_or_else(|| panic!("no answer; the server printed: {}", self.output()))
    }

    /// An introspection by the resource server of [`RESOURCE_SERVERS`].
    pub(crate) fn introspect(&self, token: &str) -> Answer {
        self.send_form("/introspect", &[CREDENTIALS], format!("token={token}"))
    }

    /// A revocation without credentials.
    pub(crate) fn revoke(&self, token: &str) -> Answer {
        self.send_form("/revoke", &[], format!("token={token}"))
    }
}
