//! The key set, which several replicas change at the same time.

use std::collections::HashMap;

use auth_service_records::clock::Clock;
use auth_service_store::{
    Store,
    key_set::{KeyPolicy, KeySetRecord},
};
use auth_service_token::{Kid, SealingKey};
use futures_util::future::join_all;

use crate::scene::{POLICY, Server, connect, url, wait_for};

const REPLICAS: u64 = 6;
const ROUNDS: u64 = 200;
const RULES: KeyPolicy = KeyPolicy { rotation: Some(50), lead: 10, first_lead: 2, token_life: 6 };
/// No write is too late for a simulated time.
const NEVER: u64 = 1 << 50;

struct Replicas {
    stores: Vec<Store>,
    client: redis::Client,
    _server: Server,
}

impl Replicas {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&directory);
        let server = Server::start(directory);
        let mut stores = Vec::new();
        for _ in 0..REPLICAS {
            stores.push(connect(&url, POLICY, Clock::new()).await);
        }
        for store in &stores {
            wait_for(store).await;
        }
        Self { stores, client: redis::Client::open(url.as_str()).unwrap(), _server: server }
    }

    /// All replicas do what is due, at the same time. Their times differ by a second.
    async fn maintain(&self, now: u64) -> KeySetRecord {
        join_all(self.stores.iter().zip(0..).map(|(store, n)| maintain(store, now - n % 2))).await;
        self.stores[0].key_set().await.unwrap().record
    }
}

async fn maintain(store: &Store, now: u64) {
    let stored = store.key_set().await.unwrap();
    let mut next = stored.record.clone();
    next.maintain(now, &RULES, &[SealingKey::new(&[1; 32])]).unwrap();
    if next != stored.record {
        store.replace_key_set(&stored, &next, NEVER).await.unwrap();
    }
}

#[tokio::test]
async fn racing_replicas_never_have_two_waiting_keys_or_an_unpublished_key_that_signs() {
    let replicas = Replicas::start().await;
    let mut published: HashMap<Kid, u64> = HashMap::new();
    let (mut now, mut rotations, mut signed) = (1_800_000_000, 0, None);
    for round in 0..ROUNDS {
        let record = replicas.maintain(now).await;
        for key in record.keys() {
            published.entry(key.kid()).or_insert(now);
        }
        assert!(record.keys().iter().filter(|key| key.sign_from > now).count() <= 1, "{record:?}");
        if let Some(key) = record.signing(now) {
            // The replica that made the key may be a second behind.
            let lead = if published.len() == 1 { RULES.first_lead } else { RULES.lead };
            assert!(now + 1 >= published[&key.kid()] + lead, "{record:?}");
            rotations += u64::from(signed.replace(key.kid()).is_some_and(|before| before != key.kid()));
        }
        now += 1 + round * 7_919 % 5;
    }
    assert!(rotations >= 8, "{rotations}");
}

#[tokio::test]
async fn racing_replicas_make_one_first_key() {
    let replicas = Replicas::start().await;
    for round in 0..ROUNDS {
        let () = redis::cmd("DEL").arg("as:keys").query(&mut replicas.client.get_connection().unwrap()).unwrap();
        assert_eq!(replicas.maintain(1_800_000_000).await.keys().len(), 1, "round {round}");
    }
}

#[tokio::test]
async fn a_write_that_comes_late_changes_nothing() {
    let replicas = Replicas::start().await;
    let store = &replicas.stores[0];
    let stored = store.key_set().await.unwrap();
    let mut next = stored.record.clone();
    let now = store.now_seconds();
    next.maintain(now, &RULES, &[SealingKey::new(&[1; 32])]).unwrap();
    assert!(!store.replace_key_set(&stored, &next, now - 1).await.unwrap());
    assert_eq!(store.key_set().await.unwrap(), stored);
    assert!(store.replace_key_set(&stored, &next, now + 60).await.unwrap());
    assert!(!store.replace_key_set(&stored, &next, now + 60).await.unwrap());
    assert_eq!(store.key_set().await.unwrap().record, next);
}
