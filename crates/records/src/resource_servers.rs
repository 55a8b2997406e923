//! Resource servers: the services that may ask this server about tokens. Each has a name and a secret.

use std::{collections::HashSet, fmt};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::{Choice, ConstantTimeEq};

use crate::secret::Secret;

const NAME_MAX_BYTES: usize = 64;
/// Generated secrets and hashes are longer.
const SHOWN_MAX_BYTES: usize = 32;
/// The rule for a name, as the rest of a sentence. These characters are the same in every encoding of credentials.
const NAME_RULE: &str = "must have a name of 1 to 64 ASCII letters, digits, dots, hyphens or underscores";
const HASH_RULE: &str = "must end with the SHA-256 of the secret, in 64 hexadecimal digits";

type Hash = [u8; SHA256_OUTPUT_LEN];

/// The resource servers, and the hashes of their secrets.
#[derive(Clone, Default)]
pub struct ResourceServers(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    name: String,
    name_hash: Hash,
    secret_hash: Hash,
}

/// What is wrong with an entry. The text shows nothing of the entry except its name, because a wrong entry may hold a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryError {
    /// The place of the entry, counted from 1 without comments and blank lines.
    number: usize,
    /// The name, if the entry has one.
    name: Option<String>,
    /// A clause without its subject, the entry.
    fault: &'static str,
}

impl ResourceServers {
    /// Reads entries of the form `name:hash`, separated by commas or line breaks. The hash is the SHA-256 of the secret,
    /// in hexadecimal digits. Blank lines, and lines that begin with `#`, do not count.
    ///
    /// # Errors
    /// One error for each wrong entry.
    pub fn parse(text: &str) -> Result<Self, Vec<EntryError>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let texts = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
        let (mut entries, mut errors, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        for (n, text) in texts.enumerate() {
            let is_new = |entry: Entry| {
                if names.insert(entry.name.clone()) { Ok(entry) } else { Err("has the name of an earlier entry") }
            };
            match Entry::parse(text).and_then(is_new) {
                Ok(entry) => entries.push(entry),
                Err(fault) => errors.push(EntryError { number: n + 1, name: shown_name(text), fault }),
            }
        }
        if errors.is_empty() { Ok(Self(entries)) } else { Err(errors) }
    }

    /// Whether the credentials are those of a resource server.
    ///
    /// The work does not depend on which name is known or how much of a secret is right. Both are compared as hashes,
    /// with every entry.
    #[must_use]
    pub fn knows(&self, name: &[u8], secret: &[u8]) -> bool {
        let (name, secret) = (sha256(name), sha256(secret));
        let matches = |entry: &Entry| entry.name_hash.ct_eq(&name) & entry.secret_hash.ct_eq(&secret);
        self.0.iter().map(matches).fold(Choice::from(0), |any, one| any | one).into()
    }

    /// The number of resource servers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Shows the names only. Whoever has the hash of a weak secret can guess the secret.
impl fmt::Debug for ResourceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| &entry.name)).finish()
    }
}

impl Entry {
    /// # Errors
    /// What is wrong with the entry, as a clause without its subject.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, hash) = text.rsplit_once(':').ok_or("must have a colon between the name and the hash")?;
        if name.contains(':') {
            return Err("must have only one colon, between the name and the hash");
        }
        if !is_name(name) {
            return Err(NAME_RULE);
        }
        let secret_hash = parse_hash(hash).ok_or(HASH_RULE)?;
        if secret_hash == sha256(b"") {
            return Err("has the hash of an empty secret");
        }
        Ok(Self { name: name.to_owned(), name_hash: sha256(name.as_bytes()), secret_hash })
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, name, fault } = self;
        match name {
            Some(name) => write!(f, "entry {number} ({name}) {fault}"),
            None => write!(f, "entry {number} {fault}"),
        }
    }
}

/// Whether a resource server may have this name. HTTP Basic allows no colon in a name (RFC 7617, section 2).
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// The entry of a resource server with this name and secret.
#[must_use]
pub fn entry(name: &str, secret: &Secret) -> String {
    let hash = sha256(secret.expose().as_bytes());
    let hexadecimal: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}:{hexadecimal}")
}

/// The name of a wrong entry. A long text is not shown, because it could be a secret or its hash in the wrong place.
fn shown_name(text: &str) -> Option<String> {
    let (name, _) = text.split_once(':')?;
    (is_name(name) && name.len() <= SHOWN_MAX_BYTES).then(|| name.to_owned())
}

fn parse_hash(text: &str) -> Option<Hash> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

fn sha256(input: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, input).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "orders:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn entry_of(name: &str, secret: &str) -> String {
        entry(name, &Secret::new(secret.to_owned()))
    }

    fn faults(text: &str) -> Vec<String> {
        ResourceServers::parse(text).err().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn entries_are_separated_by_commas_and_lines_and_there_may_be_comments() {
        let (orders, mail) = (entry_of("orders", "one"), entry_of("mail-2_a.b", "two").to_uppercase());
        let mail = mail.replace("MAIL-2_A.B", "mail-2_a.b");
        for text in [
            format!("{orders},{mail}"),
            format!(" {orders} , ,{mail},"),
            format!("# comment, with: a comma\n\n{orders}\r\n  # another\n{mail}\n"),
        ] {
            let servers = ResourceServers::parse(&text).unwrap();
            assert_eq!(servers.count(), 2, "{text}");
            assert!(servers.knows(b"orders", b"one") && servers.knows(b"mail-2_a.b", b"two"), "{text}");
        }
        for none in ["", " \n,", "# orders:x"] {
            assert_eq!(ResourceServers::parse(none).unwrap().count(), 0, "{none:?}");
        }
    }

    #[test]
    fn only_the_name_with_its_own_secret_is_known() {
        let text = [entry_of("orders", "one"), entry_of("mail", "two")].join("\n");
        let servers = ResourceServers::parse(&text).unwrap();
        for (name, secret) in [
            ("orders", "two"),
            ("orders", ""),
            ("orders", "one "),
            ("orders", "One"),
            ("Orders", "one"),
            ("", ""),
            ("", "one"),
            ("unknown", "one"),
            ("orders\0", "one"),
        ] {
            assert!(!servers.knows(name.as_bytes(), secret.as_bytes()), "{name} {secret}");
        }
        assert!(!ResourceServers::default().knows(b"", b""));
    }

    #[test]
    fn each_wrong_entry_is_named_and_shows_no_secret() {
        let hash = &ORDERS[7..];
        let long_name = "x".repeat(65);
        for (text, fault) in [
            ("planted".to_owned(), "entry 1 must have a colon"),
            (hash.to_owned(), "entry 1 must have a colon"),
            (format!("orders:planted:{hash}"), "entry 1 (orders) must have only one colon"),
            (format!("http://a:{hash}"), "entry 1 (http) must have only one colon"),
            (format!(":{hash}"), "entry 1 must have a name of"),
            (format!("bücher:{hash}"), "entry 1 must have a name of"),
            (format!("two words:{hash}"), "entry 1 must have a name of"),
            (format!("orders :{hash}"), "entry 1 must have a name of"),
            (format!("a+b%20:{hash}"), "entry 1 must have a name of"),
            (format!("{long_name}:{hash}"), "entry 1 must have a name of"),
            ("orders:".to_owned(), "entry 1 (orders) must end with the SHA-256"),
            ("orders:planted".to_owned(), "entry 1 (orders) must end with the SHA-256"),
            (format!("{hash}:orders"), "entry 1 must end with the SHA-256"),
            (format!("orders:{}", &hash[1..]), "entry 1 (orders) must end with the SHA-256"),
            (format!("orders:{hash}0"), "entry 1 (orders) must end with the SHA-256"),
            (format!("orders:{hash}00"), "entry 1 (orders) must end with the SHA-256"),
            (format!("orders: {hash}"), "entry 1 (orders) must end with the SHA-256"),
            (format!("orders:{}+f", &hash[2..]), "entry 1 (orders) must end with the SHA-256"),
            (format!("orders:{}ü", &hash[2..]), "entry 1 (orders) must end with the SHA-256"),
            (entry_of("orders", ""), "entry 1 (orders) has the hash of an empty secret"),
        ] {
            let faults = faults(&text);
            assert!(faults.len() == 1 && faults[0].starts_with(fault), "{text}: {faults:?}");
            assert!(!faults[0].contains("planted") && !faults[0].contains(&hash[2..60]), "{faults:?}");
        }
        let several = format!("# one\n{ORDERS}\nplanted, {ORDERS}\norders:{}", &hash[1..]);
        let faults = faults(&several);
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("entry 2 must have a colon"), "{faults:?}");
        assert_eq!(faults[1], "entry 3 (orders) has the name of an earlier entry");
        assert!(faults[2].starts_with("entry 4 (orders) must end"), "{faults:?}");
    }

    #[test]
    fn an_entry_has_the_hash_that_sha256sum_prints() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entry_of("abc", "abc"), format!("abc:{hash}"));
        assert_eq!(format!("{:?}", ResourceServers::parse(ORDERS).unwrap()), r#"["orders"]"#);
    }
}
