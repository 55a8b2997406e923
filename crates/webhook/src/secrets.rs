//! The secrets of webhooks, and the signature.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac::{self, HMAC_SHA256, Key};

/// Every secret begins with this text.
const PREFIX: &str = "whsec_";
/// The number of bytes of a secret that Standard Webhooks allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// One or more secrets. A request is signed with each of them, so that a receiver which knows one can check it.
#[derive(Clone)]
pub struct WebhookSecrets(Vec<Key>);

impl WebhookSecrets {
    /// Parses secrets with blanks or commas between them. Each is `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the name of the setting. It does not repeat a secret.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let words = text.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let keys: Option<Vec<_>> = words.map(key).collect();
        keys.filter(|keys| !keys.is_empty())
            .map(Self)
            .ok_or("must be whsec_ and 24 to 64 bytes in base64; run `auth-service secrets webhook`")
    }

    /// A new secret of 32 bytes from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<String, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// The value of the header `webhook-signature`: one signature for each secret.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signature = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes())));
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Option<Key> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    LENGTHS.contains(&bytes.len()).then(|| Key::new(HMAC_SHA256, &bytes))
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, section "Signature scheme".
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let secrets = WebhookSecrets::parse(SECRET).unwrap();
        let signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let other = WebhookSecrets::generate().unwrap();
        for separator in [" ", ",", ", ", "\n"] {
            let secrets = WebhookSecrets::parse(&format!("{SECRET}{separator}{other}\n")).unwrap();
            let both = secrets.sign("id", 1, "{}");
            let alone = |secret: &str| WebhookSecrets::parse(secret).unwrap().sign("id", 1, "{}");
            assert_eq!(both, format!("{} {}", alone(SECRET), alone(&other)));
        }
    }

    #[test]
    fn a_secret_has_its_prefix_and_enough_bytes() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert!(WebhookSecrets::parse(&of(24)).is_ok());
        assert!(WebhookSecrets::parse(&of(64)).is_ok());
        let bare = SECRET.trim_start_matches("whsec_").to_owned();
        for bad in [String::new(), " ".to_owned(), bare, "whsec_".to_owned(), "whsec_?".to_owned(), of(23), of(65)] {
            let problem = WebhookSecrets::parse(&bad).unwrap_err();
            assert!(problem.contains("secrets webhook"), "{problem}");
        }
        assert!(WebhookSecrets::parse(&format!("{SECRET} x")).is_err());
        assert_eq!(format!("{:?}", WebhookSecrets::parse(SECRET).unwrap()), "[redacted]");
    }
}
