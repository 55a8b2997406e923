//! The rules over years of simulated time.

use std::collections::HashMap;

use auth_service_token::{Kid, SealingKey};

use super::{
    record::KeySetRecord,
    rules::{KeyPolicy, KeyState},
};

const START: u64 = 1_800_000_000;
const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
const POLICY: KeyPolicy = KeyPolicy { rotation: Some(30 * DAY), lead: HOUR, first_lead: 2, token_life: 65 };

fn secrets() -> [SealingKey; 1] {
    [SealingKey::new(&[1; 32])]
}

fn maintained(mut record: KeySetRecord, now: u64, policy: &KeyPolicy) -> KeySetRecord {
    record.maintain(now, policy, &secrets()).unwrap();
    record
}

/// A set with its first key, which signs.
fn young() -> KeySetRecord {
    maintained(KeySetRecord::default(), START - 2, &POLICY)
}

fn states(record: &KeySetRecord, now: u64) -> Vec<KeyState> {
    record.keys().iter().map(|key| record.state(key, now)).collect()
}

#[test]
fn the_first_key_signs_after_two_seconds() {
    let record = young();
    assert_eq!(states(&record, START - 1), [KeyState::Waiting]);
    assert_eq!(states(&record, START), [KeyState::Signing]);
    assert_eq!(maintained(record.clone(), START + 29 * DAY, &POLICY), record);
}

#[test]
fn each_key_is_published_a_lead_before_it_signs_and_until_its_last_token_has_ended() {
    let (mut record, mut now) = (young(), START);
    let mut published: HashMap<Kid, u64> = HashMap::new();
    let mut signed: HashMap<Kid, u64> = HashMap::new();
    let first = record.keys()[0].kid();
    // A year, in steps that are no divisor of anything.
    while now < START + 365 * DAY {
        record = maintained(record, now, &POLICY);
        for key in record.keys() {
            published.entry(key.kid()).or_insert(now);
        }
        assert!(record.keys().iter().filter(|key| key.sign_from > now).count() <= 1);
        let signing = record.signing(now).unwrap().kid();
        assert!(signing == first || now >= published[&signing] + HOUR);
        signed.insert(signing, now);
        for (kid, last) in &signed {
            let is_published = record.keys().iter().any(|key| key.kid() == *kid);
            assert!(is_published || now >= last + POLICY.token_life + POLICY.lead);
            assert!(!is_published || now <= last + POLICY.token_life + POLICY.lead + 2 * 1_237);
        }
        now += 1_237;
    }
    assert_eq!(signed.len(), 13);
}

#[test]
fn a_key_that_was_asked_for_signs_after_the_lead() {
    let mut record = young();
    record.make_next(START + 5, START + 5 + HOUR, &secrets()).unwrap();
    assert_eq!(states(&record, START + 4 + HOUR), [KeyState::Signing, KeyState::Waiting]);
    assert_eq!(states(&record, START + 5 + HOUR), [KeyState::Retired, KeyState::Signing]);
    // The rotation period starts again with the new key.
    let later = START + 30 * DAY;
    assert_eq!(maintained(record, later, &POLICY).keys().len(), 1);
}

#[test]
fn without_a_rotation_period_no_next_key_is_made() {
    let policy = KeyPolicy { rotation: None, ..POLICY };
    let record = young();
    assert_eq!(maintained(record.clone(), START + 4_000 * DAY, &policy), record);
}

#[test]
fn a_replacement_takes_the_waiting_key_or_makes_one() {
    let mut record = young();
    assert_eq!(record.replace_signing(START + 5, START + 7, &secrets()).unwrap(), START + 7);
    assert_eq!(record.keys().len(), 2);
    assert_eq!(record.replace_signing(START + 6, START + 8, &secrets()).unwrap(), START + 7);
    assert_eq!(record.keys().len(), 2);
}

#[test]
fn a_clock_that_was_set_back_leaves_a_signing_key_and_goes_on_rotating() {
    let ahead = START + 10_000 * DAY;
    let mut record = maintained(KeySetRecord::default(), ahead, &POLICY);
    record = maintained(record, START, &POLICY);
    assert_eq!(states(&record, START + 2), [KeyState::Signing]);
    record = maintained(record, START + 30 * DAY, &POLICY);
    assert_eq!(states(&record, START + 30 * DAY), [KeyState::Signing, KeyState::Waiting]);
    // Back again while a key waits.
    record = maintained(record, START - 1_000 * DAY, &POLICY);
    assert_eq!(states(&record, START - 1_000 * DAY + 2), [KeyState::Signing, KeyState::Waiting]);
    let waiting = record.waiting(START - 1_000 * DAY + 2).unwrap().sign_from;
    assert!(waiting <= START - 970 * DAY, "{waiting}");
}

#[test]
fn only_the_secrets_of_the_writers_open_a_key() {
    let [old, new, other] = [1, 2, 3].map(|byte| SealingKey::new(&[byte; 32]));
    let mut record = KeySetRecord::default();
    record.maintain(START, &POLICY, &[old]).unwrap();
    assert!(record.keys()[0].open(&[new]).is_none());
    // A replica that signs with the new secret and still has the old one.
    let [old, new] = [1, 2].map(|byte| SealingKey::new(&[byte; 32]));
    record.maintain(START, &POLICY, &[new, old]).unwrap();
    let [old, new] = [1, 2].map(|byte| SealingKey::new(&[byte; 32]));
    assert!(record.keys()[0].open(&[old]).is_some() && record.keys()[0].open(&[new]).is_some());
    assert!(record.remove_unopenable(&[other]));
    assert!(record.keys().is_empty());
}
