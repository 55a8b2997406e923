//! Password hashes of other services, which an import brings. The first sign-in replaces each by a hash with argon2id.
//!
//! | file | forms |
//! |---|---|
//! | `bcrypt` | `$2a$`, `$2b$`, `$2y$`, and Django's `bcrypt$` and `bcrypt_sha256$` |
//! | `pbkdf2` | Django's `pbkdf2_sha256$` and `pbkdf2_sha1$`, Werkzeug's `pbkdf2:` |
//! | `scrypt` | Django's `scrypt$`, Werkzeug's `scrypt:`, Firebase's modified scrypt as `$fbscrypt$` |
//! | `fields` | the parts of a hash: numbers, base64 and hexadecimal |
//!
//! The old service hashed the bytes that the client sent, so a password is verified here without normalisation.

mod bcrypt;
mod fields;
mod pbkdf2;
mod scrypt;

use auth_service_records::error::Error;

use self::{bcrypt::Bcrypt, pbkdf2::Pbkdf2, scrypt::Scrypt};
use crate::unusable::Unusable;

/// The longest hash in bytes. Firebase's form, which has the key of the project, is the longest.
const LONGEST: usize = 1_024;

/// A hash of another service.
pub(crate) enum ForeignHash {
    Bcrypt(Bcrypt),
    Pbkdf2(Pbkdf2),
    Scrypt(Scrypt),
}

impl ForeignHash {
    /// Reads a hash. `None` if the text has none of the forms.
    ///
    /// # Errors
    /// [`Unusable::Cost`] if the hash costs more memory or time than the bounds in the file of its form.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Unusable> {
        if text.len() > LONGEST {
            return Ok(None);
        }
        if let Some(bcrypt) = Bcrypt::parse(text) {
            return bcrypt.bounded().map(|hash| Some(Self::Bcrypt(hash)));
        }
        if let Some(pbkdf2) = Pbkdf2::parse(text) {
            return pbkdf2.bounded().map(|hash| Some(Self::Pbkdf2(hash)));
        }
        match Scrypt::parse(text) {
            Some(scrypt) => scrypt.bounded().map(|hash| Some(Self::Scrypt(hash))),
            None => Ok(None),
        }
    }

    /// Whether the hash is that of this password. The comparison takes constant time.
    ///
    /// # Errors
    /// [`Error::Internal`] if the parameters do not fit the function.
    pub(crate) fn matches(&self, password: &[u8]) -> Result<bool, Error> {
        match self {
            Self::Bcrypt(hash) => Ok(hash.matches(password)),
            Self::Pbkdf2(hash) => Ok(hash.matches(password)),
            Self::Scrypt(hash) => hash.matches(password),
        }
    }

    /// The work in the unit of [`crate::HashCost::work`]. It is less than half of what was measured on x86-64 in
    /// November 2026, so that the padding of a wrong password is long enough on other processors too.
    pub(crate) fn work(&self) -> u32 {
        match self {
            Self::Bcrypt(hash) => hash.work(),
            Self::Pbkdf2(hash) => hash.work(),
            Self::Scrypt(hash) => hash.work(),
        }
    }

    /// The memory in KiB.
    pub(crate) fn memory_kib(&self) -> u32 {
        match self {
            Self::Bcrypt(_) | Self::Pbkdf2(_) => 0,
            Self::Scrypt(hash) => hash.memory_kib(),
        }
    }
}

/// The hashes come from Python's packages, from Firebase's documentation and from RFCs.
#[cfg(test)]
mod tests {
    use super::*;

    /// The password of all hashes without another one.
    const PASSWORD: &str = "correct horse";

    /// Made by bcrypt 5.0, Django 5.2 and Werkzeug 3.1, with parameters that take little time.
    const HASHES: [&str; 14] = [
        "$2a$04$YpORbkxwV7DUm8Aq.fVMA.qaDdkJSmm9Y5r6AP1WDWhD1nHeQ8IOe",
        "$2b$10$b2g2ZheJ1iw1jlNofEJdxusezgubbib01OEEiSYlSFeg2.XefeUVG",
        "$2y$04$M6NjgkTcyFNhtBAn1J5GaOb1tGr6FCHTT6j4rUh1.Q.9lv9adsFwe",
        "bcrypt$$2b$04$ztLiR/k5rcMLmXHa65su9uGpoTErrEeRAopi71JNlbUOlX.ySYW7W",
        "bcrypt_sha256$$2b$04$a1TMAbq5GEZjRXTWflrZQeMlpbh2BLyBOvvhY22C4oqgQM8RM4MY.",
        "pbkdf2_sha256$1000$UPnoN3LEXZMiS9C7fBZGQP$XKxKR2NqesV2A7LvykfTktUSKRzD9qdF+8Mdb609/jg=",
        "pbkdf2_sha1$1000$Yge1V3VjTDY6dfSRVj1CCg$Zc6Ggj89e6Cxa6jkkK01jrPawGE=",
        "pbkdf2:sha1:1000$ZEysoNbnLdFyXEiS$2a115cf0dd0f16ee36d0c4867b961e1d62ee0591",
        "pbkdf2:sha256:1000$qUj5NOfAeBh27u9t$4e7dd417b147a6fe796cff3d0e364230360104f87384176c0a9a46d7a92123de",
        "pbkdf2:sha512:1000$ziggQ5nMwBGzZmvZ$c16de464d716aa764d4c3dd61d7aa311f66133af952738a9671bd9f89661afd582f299b525893af\
         133dc25019cd466d0d7e285460d2d34ddf7f0c014a81ba554",
        "scrypt$16$7fI8EDYpFq7mhts6j5w3xT$1$2$TWrChlVOHKyDSltceDNimPjXb9n89Yh2anjUx06++OoyG1MF/VTJgj4JHKIqLKJImUKAfyB1JUDFW\
         6Nq+04Keg==",
        "scrypt$16384$jFIpedEXUDTLN4m4hMnJGP$8$5$St1kpx4SRL8BUMfZsJ1h+m7Bn/uTMhLW8QjjFqpCAV7XbM4TgtZyUGGlYqRZ0E7/SisKyEGReGt\
         ZwDYJ3pqDOw==",
        "scrypt:16:1:2$vukeEGX3ebRZCNvA$1b5f5507112f038ddb2662db31cf344bda7a9ee25a855bcf8516f01ad19a6015fcace0500fef68b284a45\
         daf7b9323eeecebdf0a220c3088880dee5cf9d2a74e",
        "scrypt:32768:8:1$9XwP406R3iu3HCJy$f3730cb54cdb4cb511af28995e7120d4bd5419779d484f0b52cf75444cb2fd4d70e276d12bc434a262\
         662c8fe48a538184df2443bfcda4fd785ab63b1a39706a",
    ];

    /// The example in the README of github.com/firebase/scrypt.
    const FIREBASE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZv\
         pjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    fn parse(text: &str) -> ForeignHash {
        ForeignHash::parse(text).unwrap().unwrap_or_else(|| panic!("{text} has no known form"))
    }

    fn matches(hash: &str, password: &str) -> bool {
        parse(hash).matches(password.as_bytes()).unwrap()
    }

    #[test]
    fn hashes_of_other_programs_match_their_password_and_no_other() {
        for hash in HASHES {
            assert!(matches(hash, PASSWORD), "{hash}");
            assert!(!matches(hash, "Correct horse") && !matches(hash, ""), "{hash}");
        }
        assert!(matches(FIREBASE, "user1password") && !matches(FIREBASE, "user2password"));
    }

    /// RFC 7914, section 12, and RFC 6070, in the forms of Werkzeug and Django.
    #[test]
    fn published_vectors_match() {
        let scrypt = "scrypt:1024:8:16$NaCl$fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff1\
                      09279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
        assert!(matches(scrypt, "password"));
        let pbkdf2 = "pbkdf2:sha1:4096$salt$4b007901b765489abead49d926f721d065a429c1";
        assert!(matches(pbkdf2, "password"));
    }

    #[test]
    fn bcrypt_counts_72_bytes_as_the_client_sent_them() {
        // Made by bcrypt 5.0 from 80 letters, of which it got the first 72.
        let long = "$2b$04$.88p5z84b8mXlhQxws8xv.Ftsfuyn3RAraUUGWzPGR01otiLbGVZq";
        for (length, expected) in [(71, false), (72, true), (80, true), (1_024, true)] {
            assert_eq!(matches(long, &"x".repeat(length)), expected, "{length}");
        }
        let decomposed = "$2b$04$cV1ZHarfrzTf/JflxxfqkeqP3QrAdVkIpDlNF8wic8CZp8N6Uq4.S";
        assert!(matches(decomposed, "cafe\u{301} horse") && !matches(decomposed, "caf\u{e9} horse"));
    }

    #[test]
    fn broken_hashes_have_no_known_form() {
        let broken = HASHES.iter().chain([&FIREBASE]).flat_map(|hash| {
            let cut = &hash[..hash.len() - 3];
            [format!(" {hash}"), format!("{hash}$"), cut.replace("==", ""), hash.replacen('$', "", 1)]
        });
        let empty = [
            "",
            "!",
            "$",
            "pbkdf2_sha256$1000$salt$",
            "pbkdf2_sha256$0$salt$XKxKR2NqesV2A7LvykfTktUSKRzD9qdF+8Mdb609/jg=",
            "pbkdf2_md5$1000$salt$XKxKR2NqesV2A7LvykfTktUSKRzD9qdF+8Mdb609/jg=",
            "pbkdf2:sha256$salt$4e7dd417b147a6fe796cff3d0e364230360104f87384176c0a9a46d7a92123de",
            "pbkdf2:sha256:+9$salt$4e7dd417b147a6fe796cff3d0e364230360104f87384176c0a9a46d7a92123de",
            "pbkdf2:sha1:9$salt$2a115cf0dd0f16ee36d0c4867b961e1d62ee05912a115cf0dd0f16ee36d0c4867b961e1d62ee0591",
            "pbkdf2:sha512:9$salt$4e7dd417b147a6fe796cff3d0e364230360104f87384176c0a9a46d7a92123de",
            "scrypt:15:1:2$salt$1b5f5507112f038ddb2662db31cf344bda7a9ee25a855bcf8516f01ad19a6015",
            "scrypt:16:0:2$salt$1b5f5507112f038ddb2662db31cf344bda7a9ee25a855bcf8516f01ad19a6015",
            "scrypt:16:1:2$salt$",
            "$2b$03$b2g2ZheJ1iw1jlNofEJdxusezgubbib01OEEiSYlSFeg2.XefeUVG",
            "$2x$10$b2g2ZheJ1iw1jlNofEJdxusezgubbib01OEEiSYlSFeg2.XefeUVG",
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=$42xEC+ixf3L2lw==$",
        ];
        for text in broken.chain(empty.map(str::to_owned)).chain(["A".repeat(100_000)]) {
            let usable =
                matches!(ForeignHash::parse(&text), Ok(Some(hash)) if hash.matches(PASSWORD.as_bytes()).unwrap());
            assert!(!usable, "{text:.200}");
        }
        for text in empty {
            assert!(matches!(ForeignHash::parse(text), Ok(None)), "{text}");
        }
    }

    #[test]
    fn costs_are_bounded() {
        let replaced = |hash: &str, from: &str, to: &str| hash.replacen(from, to, 1);
        for (hash, from, most, too_much) in [
            (HASHES[0], "$04$", "$14$", &["$15$", "$31$"][..]),
            (HASHES[4], "$04$", "$14$", &["$15$"]),
            (HASHES[5], "$1000$", "$2000000$", &["$2000001$", "$4294967295$"]),
            (HASHES[8], ":1000$", ":2000000$", &[":2000001$"]),
            (HASHES[10], "$16$", "$524288$", &["$2097152$", "$2147483648$"]),
            (HASHES[12], ":16:1:2$", ":131072:8:1$", &[":262144:8:1$", ":131072:8:5$", ":2:4294967295:4294967295$"]),
            (HASHES[12], ":16:1:2$", ":16:8:128$", &[":16:8:129$", ":2:1:393216$", ":2:524288:3$"]),
            (FIREBASE, "n=14,r=8", "n=17,r=8", &["n=18,r=8", "n=31,r=8", "n=14,r=4294967295"]),
        ] {
            assert!(matches!(ForeignHash::parse(&replaced(hash, from, most)), Ok(Some(_))), "{most}");
            for too_much in too_much {
                assert!(
                    matches!(ForeignHash::parse(&replaced(hash, from, too_much)), Err(Unusable::Cost)),
                    "{too_much}"
                );
            }
        }
    }
}
