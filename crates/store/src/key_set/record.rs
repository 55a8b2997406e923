//! The record of the key set. A write keeps the fields that this version does not know.

use std::collections::BTreeMap;

use auth_service_records::error::Error;
use auth_service_token::{Id, KeyError, Kid, SealingKey, SigningKey, VerifyingKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::versioned::{VERSION, Versioned, decode_quietly};

/// The end of the year 9999, after which RFC 3339 has no dates.
const LATEST: u64 = 253_402_300_799;

/// The keys of the replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeySetRecord {
    #[serde(serialize_with = "current_version")]
    v: u64,
    /// The keys, in the order in which they were made.
    pub(super) keys: Vec<KeyRecord>,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

/// A key, and when it signs. All times are in seconds since the Unix epoch, by the clock of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    kid: Kid,
    x: String,
    y: String,
    /// The private key in PKCS#8, sealed once for each secret that the writer had, in base64url. The name of a secret
    /// is [`SealingKey::id`].
    sealed: BTreeMap<Id, String>,
    /// When the key was made.
    pub created_at: u64,
    /// From when on the key signs, until a later key signs.
    pub sign_from: u64,
    /// Until when a key is published that no longer signs. `None` while it signs or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_until: Option<u64>,
    #[serde(flatten)]
    unknown_fields: Map<String, Value>,
}

impl Versioned for KeySetRecord {
    const NAME: &'static str = "the record of the signing keys";

    fn version(&self) -> u64 {
        self.v
    }
}

impl Default for KeySetRecord {
    fn default() -> Self {
        Self { v: VERSION, keys: Vec::new(), unknown_fields: Map::new() }
    }
}

impl KeySetRecord {
    /// # Errors
    /// As [`decode_quietly`]. Also if the id of a key is not its thumbprint, two keys are the same, or a time is no date.
    pub(super) fn read(json: &[u8]) -> Result<Self, Error> {
        let record: Self = decode_quietly(json)?;
        for (n, key) in record.keys.iter().enumerate() {
            let is_whole = key.verifying_key().is_some_and(|public| public.kid() == key.kid)
                && [key.created_at, key.sign_from, key.publish_until.unwrap_or(0)].iter().all(|time| *time <= LATEST);
            if !is_whole || record.keys[..n].iter().any(|other| other.kid == key.kid) {
                return Err(Error::Internal(format!("{} cannot be read", Self::NAME)));
            }
        }
        Ok(record)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        // A struct of text, numbers and JSON always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The keys, in the order in which they were made.
    #[must_use]
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// Adds a key.
    pub fn add(&mut self, key: KeyRecord) {
        self.keys.push(key);
    }

    /// Removes a key. Returns whether the key was there.
    pub fn remove(&mut self, kid: Kid) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.kid != kid);
        self.keys.len() < before
    }

    /// Removes the keys that none of the `secrets` opens. Returns whether there were any.
    pub fn remove_unopenable(&mut self, secrets: &[SealingKey]) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.open(secrets).is_some());
        self.keys.len() < before
    }

    /// Seals each key that one of the `secrets` opens for the first secret too, so that replicas that have only the
    /// first secret can open the key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn seal_for_first(&mut self, secrets: &[SealingKey]) -> Result<(), KeyError> {
        let Some(first) = secrets.first() else { return Ok(()) };
        for key in &mut self.keys {
            if !key.sealed.contains_key(&first.id())
                && let Some(private) = key.private(secrets)
            {
                key.seal(&private, first)?;
            }
        }
        Ok(())
    }
}

impl KeyRecord {
    /// A new key, sealed for each of the `secrets`.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate(secrets: &[SealingKey], created_at: u64, sign_from: u64) -> Result<Self, KeyError> {
        let (key, private) = SigningKey::generate()?;
        let public = key.verifying_key();
        let mut record = Self {
            kid: public.kid(),
            x: URL_SAFE_NO_PAD.encode(public.x()),
            y: URL_SAFE_NO_PAD.encode(public.y()),
            sealed: BTreeMap::new(),
            created_at,
            sign_from,
            publish_until: None,
            unknown_fields: Map::new(),
        };
        for secret in secrets {
            record.seal(&private, secret)?;
        }
        Ok(record)
    }

    /// The id of the key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The public key. `None` only for a record that this program has not written.
    #[must_use]
    pub fn verifying_key(&self) -> Option<VerifyingKey> {
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok();
        Some(VerifyingKey::from_coordinates(coordinate(&self.x)?, coordinate(&self.y)?))
    }

    /// The private key, if one of the `secrets` opens it.
    #[must_use]
    pub fn open(&self, secrets: &[SealingKey]) -> Option<SigningKey> {
        let key = SigningKey::from_pkcs8(&self.private(secrets)?).ok()?;
        (key.verifying_key().kid() == self.kid).then_some(key)
    }

    fn private(&self, secrets: &[SealingKey]) -> Option<Vec<u8>> {
        secrets.iter().find_map(|secret| {
            let sealed = URL_SAFE_NO_PAD.decode(self.sealed.get(&secret.id())?).ok()?;
            secret.open(&sealed, self.kid.as_str().as_bytes())
        })
    }

    fn seal(&mut self, private: &[u8], secret: &SealingKey) -> Result<(), KeyError> {
        let sealed = secret.seal(private, self.kid.as_str().as_bytes())?;
        self.sealed.insert(secret.id(), URL_SAFE_NO_PAD.encode(sealed));
        Ok(())
    }
}

/// A write gives a record of an earlier version the current version.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls the function with a reference")]
fn current_version<S: Serializer>(_: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(VERSION)
}

#[cfg(test)]
mod tests {
    use auth_service_records::error::Outage;
    use serde_json::json;

    use super::*;

    fn secret() -> [SealingKey; 1] {
        [SealingKey::new(&[1; 32])]
    }

    fn record() -> KeySetRecord {
        let mut record = KeySetRecord::default();
        record.add(KeyRecord::generate(&secret(), 5, 7).unwrap());
        record
    }

    fn json_of(record: &KeySetRecord) -> Value {
        serde_json::from_slice(&record.write()).unwrap()
    }

    fn read(json: &Value) -> Result<KeySetRecord, Error> {
        KeySetRecord::read(json.to_string().as_bytes())
    }

    #[test]
    fn unknown_fields_survive() {
        let mut json = json_of(&record());
        json["later"] = json!([1, {"a": null}]);
        json["keys"][0]["later"] = json!("x");
        let mut read = read(&json).unwrap();
        assert_eq!(json_of(&read), json);
        read.seal_for_first(&[SealingKey::new(&[2; 32]), SealingKey::new(&[1; 32])]).unwrap();
        let written = json_of(&read);
        assert_eq!((&written["later"], &written["keys"][0]["later"]), (&json["later"], &json["keys"][0]["later"]));
        assert_eq!(written["keys"][0]["sealed"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_later_version_and_a_damaged_record_are_told_apart() {
        let damaged: [fn(&mut Value); 8] = [
            |json| json["keys"][0]["sign_from"] = json!(u64::MAX),
            |json| json["keys"][0]["x"] = json!("AAAA"),
            |json| json["keys"][0]["x"] = json["keys"][0]["y"].clone(),
            |json| json["keys"][0]["kid"] = json!("A".repeat(43)),
            |json| json["keys"][0]["sign_from"] = json!(-1),
            |json| json["keys"] = json!([json["keys"][0], json["keys"][0]]),
            |json| json["v"] = json!("1"),
            |json| *json = json!([]),
        ];
        for (n, damage) in damaged.into_iter().enumerate() {
            let mut json = json_of(&record());
            damage(&mut json);
            assert!(matches!(read(&json), Err(Error::Internal(_))), "case {n}");
        }
        let later = json!({"v": 2, "keys": {}});
        assert!(matches!(read(&later), Err(Error::Unavailable(Outage::NewerVersion))));
    }

    #[test]
    fn a_sealed_key_of_another_record_does_not_open() {
        let (mut ours, theirs) = (json_of(&record()), json_of(&record()));
        ours["keys"][0]["sealed"] = theirs["keys"][0]["sealed"].clone();
        assert!(read(&ours).unwrap().keys()[0].open(&secret()).is_none());
    }

    #[test]
    fn the_record_shows_nothing_of_the_private_key() {
        let (record, secret) = (record(), secret());
        let private = record.keys()[0].private(&secret).unwrap();
        let text = format!("{}{record:?}", String::from_utf8(record.write()).unwrap());
        // The private scalar is in the bytes 36 to 68 of PKCS#8.
        for part in private[36..68].windows(6) {
            assert!(!text.contains(&URL_SAFE_NO_PAD.encode(part)), "{text}");
        }
    }
}
