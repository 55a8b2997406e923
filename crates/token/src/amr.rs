//! The methods of a sign-in: the claim `amr`.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

/// The names of the methods (RFC 8176, section 2). The place of a name is its bit.
const NAMES: [&str; 3] = ["pwd", "otp", "mfa"];

/// The methods of a sign-in (RFC 8176; RFC 9068, section 2.2.1). A method that this version does not know is left out.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Amr(u8);

impl Amr {
    /// `pwd`: the password alone.
    pub const PASSWORD: Self = Self(0b001);
    /// `pwd`, `otp`, `mfa`: the password, and a code of an authenticator app.
    pub const PASSWORD_AND_CODE: Self = Self(0b111);
    /// `pwd`, `mfa`: the password, and a recovery code, for which RFC 8176 has no name.
    pub const PASSWORD_AND_RECOVERY_CODE: Self = Self(0b101);

    /// Whether no method is known. A token of a version without this claim has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The names of the methods.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| name)
    }

    /// Whether the methods include the one with this name.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }
}

impl fmt::Debug for Amr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Serialize for Amr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Amr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AmrVisitor)
    }
}

struct AmrVisitor;

impl<'de> Visitor<'de> for AmrVisitor {
    type Value = Amr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of authentication methods")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Amr, A::Error> {
        let mut methods = 0;
        while let Some(Method(bits)) = names.next_element()? {
            methods |= bits;
        }
        Ok(Amr(methods))
    }
}

/// The bit of one name, without an allocation for the name.
struct Method(u8);

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MethodVisitor)
    }
}

struct MethodVisitor;

impl Visitor<'_> for MethodVisitor {
    type Value = Method;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an authentication method")
    }

    fn visit_str<E>(self, name: &str) -> Result<Method, E> {
        Ok(Method(NAMES.iter().position(|known| *known == name).map_or(0, |bit| 1 << bit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_are_the_names_of_rfc_8176() {
        for (amr, json) in [
            (Amr::default(), "[]"),
            (Amr::PASSWORD, r#"["pwd"]"#),
            (Amr::PASSWORD_AND_CODE, r#"["pwd","otp","mfa"]"#),
            (Amr::PASSWORD_AND_RECOVERY_CODE, r#"["pwd","mfa"]"#),
        ] {
            assert_eq!(serde_json::to_string(&amr).unwrap(), json);
            assert_eq!(serde_json::from_str::<Amr>(json).unwrap(), amr);
        }
    }

    #[test]
    fn a_method_of_a_later_version_is_left_out() {
        let amr: Amr = serde_json::from_str(r#"["hwk","mfa","pwd","pwd"]"#).unwrap();
        assert_eq!(amr, Amr::PASSWORD_AND_RECOVERY_CODE);
        assert!(amr.contains("mfa") && !amr.contains("otp") && !amr.contains("hwk"));
        for text in ["\"pwd\"", "[1]", "{}", "null"] {
            assert!(serde_json::from_str::<Amr>(text).is_err(), "{text}");
        }
    }
}
