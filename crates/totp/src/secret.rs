//! The secret that an authenticator app shares with the server.

use std::fmt;

use totp_rs::{Algorithm, Builder, Secret, Totp};

/// The number of bytes of a secret: as many as SHA-1 has (RFC 4226, section 4, R6).
const SECRET_BYTES: usize = 20;
/// The number of digits of a code.
pub(crate) const DIGITS: usize = 6;
/// How long a code is the current one, in seconds (RFC 6238, section 5.2).
const STEP_SECONDS: u64 = 30;

/// A secret for codes of six digits by HMAC-SHA-1. Authenticator apps know no other algorithm for sure.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; SECRET_BYTES]);

impl TotpSecret {
    /// 160 bits from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The secret with these bytes. `None` unless there are 20 of them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 20 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The 32 characters of base32 that a user can type into an app.
    #[must_use]
    pub fn base32(&self) -> String {
        Secret::new_stack(self.0).to_base32()
    }

    /// The `otpauth://` URL, which an app reads from a QR code. `None` if `issuer` or `account` has a colon, or `account`
    /// is empty.
    #[must_use]
    pub fn url(&self, issuer: &str, account: &str) -> Option<String> {
        self.builder().with_issuer(Some(issuer)).with_account_name(account).build().ok()?.to_url().ok()
    }

    /// The step of a code that is right at the time `now`, in seconds since the Unix epoch. The codes of the step before
    /// and of the step after are right too, for clocks that differ (RFC 6238, section 5.2). The step is later than
    /// `last_step`, so that no code is accepted twice. `None` for any other code.
    #[must_use]
    pub fn verify(&self, code: &str, now: u64, last_step: u64) -> Option<u64> {
        let totp = self.totp()?;
        let current = now / STEP_SECONDS;
        let steps = current.saturating_sub(1).max(last_step.saturating_add(1))..=current + 1;
        steps.into_iter().find(|step| totp.check(code, step * STEP_SECONDS).is_some())
    }

    fn totp(&self) -> Option<Totp> {
        self.builder().build().ok()
    }

    fn builder(&self) -> Builder {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS as u8)
            .with_step_duration(STEP_SECONDS)
            // `verify` chooses the steps.
            .with_skew(0)
            .with_secret(self.0)
    }
}

/// Never shows the secret.
impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    /// The last six digits of the table have the same remainder as all eight.
    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().verify(code, now, 0), Some(now / 30), "{now}");
        }
    }

    #[test]
    fn a_code_is_right_from_one_step_before_to_one_step_after() {
        let step = 1_111_111_109 / 30;
        for (now, accepted) in [(step - 2, false), (step - 1, true), (step, true), (step + 1, true), (step + 2, false)]
        {
            assert_eq!(secret().verify("081804", now * 30, 0).is_some(), accepted, "{now}");
            assert_eq!(secret().verify("081804", now * 30 + 29, 0).is_some(), accepted, "{now}");
        }
    }

    #[test]
    fn a_code_of_a_step_that_was_used_or_of_an_earlier_one_is_wrong() {
        let step = 1_111_111_109 / 30;
        let verify = |last_step| secret().verify("081804", step * 30, last_step);
        assert_eq!([verify(step - 1), verify(step), verify(step + 1)], [Some(step), None, None]);
        assert_eq!(verify(step + 100), None);
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        for code in ["", "08180", "0818044", "+81804", " 81804", "O81804", "٠٨١٨٠٤", "081805"] {
            assert_eq!(secret().verify(code, 1_111_111_109, 0), None, "{code}");
        }
    }

    #[test]
    fn the_url_has_the_secret_in_base32_and_names_both_parties() {
        assert_eq!(secret().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            secret().url("auth.example.com", "ada+x@example.com").unwrap(),
            "otpauth://totp/auth.example.com:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=\
             auth.example.com"
        );
        assert_eq!(secret().url("a:b", "ada@example.com"), None);
    }

    #[test]
    fn two_secrets_differ_and_debug_output_shows_none() {
        let (one, other) = (TotpSecret::generate().unwrap(), TotpSecret::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(TotpSecret::from_bytes(one.as_bytes()), Some(one.clone()));
        assert_eq!(TotpSecret::from_bytes(&[0; 19]), None);
        assert_eq!(format!("{one:?}"), "TotpSecret(..)");
    }
}
