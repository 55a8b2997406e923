//! Tests of the outbox of webhooks.

use std::time::Duration;

use auth_service_records::{
    clock::Clock,
    error::Error,
    outbox::{Announcement, DEAD_LETTER_LIMIT, OUTBOX_LIMIT, OutboxPage, Queued},
    revocation::StreamId,
};
use auth_service_store::{
    backend::Backend,
    settings::{RedisSettings, StoreSettings, Wait},
};
use auth_service_token::Id;
use uuid::Uuid;

use crate::scene::{POLICY, Scene, id, wait_for};

const OUTBOX: &str = "as:webhooks";
const DEAD: &str = "as:{as:webhooks}:dead";
const LEASE: &str = "as:{as:webhooks}:lease";

fn event(number: u128) -> Announcement {
    Announcement { id: id(), user_id: Some(Uuid::from_u128(number)), body: format!(r#"{{"number":{number}}}"#) }
}

async fn announce(scene: &Scene, count: u128) -> Vec<Announcement> {
    let events: Vec<_> = (1..=count).map(event).collect();
    for event in &events {
        assert!(!scene.store.announce(event).await.unwrap());
    }
    events
}

async fn read(scene: &Scene, server: Id) -> OutboxPage {
    scene.store.read_outbox(server, StreamId::default(), 100).await.unwrap()
}

fn announcements(events: Vec<Queued>) -> Vec<Announcement> {
    events.into_iter().map(|queued| queued.announcement).collect()
}

#[tokio::test]
async fn events_are_read_in_order_until_they_are_removed() {
    let scene = Scene::new(POLICY).await;
    let server = id();
    assert_eq!(read(&scene, server).await, OutboxPage { is_ours: true, ..OutboxPage::default() });
    let events = announce(&scene, 3).await;
    let page = read(&scene, server).await;
    assert_eq!((page.length, page.dead_letters, page.oldest), (3, 0, Some(page.events[0].place)));
    let places: Vec<_> = page.events.iter().map(|queued| queued.place).collect();
    assert_eq!(announcements(page.events), events);
    let after = scene.store.read_outbox(server, places[0].next(), 1).await.unwrap();
    assert_eq!(announcements(after.events), [events[1].clone()]);
    let none = scene.store.read_outbox(server, StreamId::default(), 0).await.unwrap();
    assert_eq!((none.is_ours, none.length, none.events), (true, 3, vec![]));
    for _ in 0..2 {
        scene.store.remove_event(places[1]).await.unwrap();
    }
    assert_eq!(announcements(read(&scene, server).await.events), [events[0].clone(), events[2].clone()]);
    let without_user = Announcement { user_id: None, ..event(4) };
    scene.store.announce(&without_user).await.unwrap();
    assert_eq!(read(&scene, server).await.events[2].announcement, without_user);
    assert_eq!(scene.ttl(OUTBOX), -1);
}

#[tokio::test]
async fn one_server_delivers_until_its_lease_ends() {
    let scene = Scene::new(POLICY).await;
    let (first, second) = (id(), id());
    announce(&scene, 1).await;
    assert!(read(&scene, first).await.is_ours);
    assert_eq!(scene.ttl(LEASE), 10);
    let page = read(&scene, second).await;
    assert_eq!((page.is_ours, page.length, page.events), (false, 1, vec![]));
    // Each read keeps the lease.
    scene.expire(LEASE, 2);
    assert!(read(&scene, first).await.is_ours);
    assert_eq!(scene.ttl(LEASE), 10);
    // A server that no longer reads loses it.
    let _: u8 = scene.redis(&["DEL", LEASE]);
    assert!(read(&scene, second).await.is_ours);
    assert!(!read(&scene, first).await.is_ours);
    // The release by another server changes nothing.
    scene.store.release_outbox(first).await.unwrap();
    assert!(!read(&scene, first).await.is_ours);
    scene.store.release_outbox(second).await.unwrap();
    assert!(read(&scene, first).await.is_ours);
}

#[tokio::test]
async fn a_dead_letter_leaves_the_outbox_once_and_can_come_back() {
    let scene = Scene::new(POLICY).await;
    let (store, server) = (&scene.store, id());
    let events = announce(&scene, 2).await;
    let place = read(&scene, server).await.events[0].place;
    assert!(store.bury_event(place).await.unwrap());
    assert!(!store.bury_event(place).await.unwrap());
    let page = read(&scene, server).await;
    assert_eq!((page.length, page.dead_letters), (1, 1));
    assert_eq!(announcements(store.dead_letters().await.unwrap()), [events[0].clone()]);
    assert_eq!(store.retry_dead_letters().await.unwrap(), 1);
    assert_eq!(store.retry_dead_letters().await.unwrap(), 0);
    assert_eq!(announcements(read(&scene, server).await.events), [events[1].clone(), events[0].clone()]);
    assert!(store.dead_letters().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_outbox_and_the_dead_letters_have_an_end() {
    let scene = Scene::new(POLICY).await;
    let fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '1-' .. i, 'id', ARGV[2], 'user', '', 'body', i) end";
    let fill = |key: &str, count: usize| {
        let id = "i".repeat(22);
        scene.redis::<()>(&["EVAL", fill, "1", key, &count.to_string(), &id]);
    };
    fill(OUTBOX, OUTBOX_LIMIT);
    assert!(scene.store.announce(&event(1)).await.unwrap());
    let page = read(&scene, id()).await;
    assert_eq!((page.length, page.dead_letters), (OUTBOX_LIMIT as u64, 1));
    assert_eq!(page.oldest, Some(StreamId { millis: 1, number: 2 }));
    assert_eq!(scene.store.dead_letters().await.unwrap()[0].announcement.body, "1");
    let _: u8 = scene.redis(&["DEL", DEAD]);
    fill(DEAD, DEAD_LETTER_LIMIT);
    assert!(scene.store.bury_event(StreamId { millis: 1, number: 2 }).await.unwrap());
    assert_eq!(scene.redis::<usize>(&["XLEN", DEAD]), DEAD_LETTER_LIMIT);
    // All but the last are older than 30 days.
    scene.store.announce(&event(2)).await.unwrap();
    let letters = scene.store.dead_letters().await.unwrap();
    assert_eq!(letters.iter().map(|letter| &*letter.announcement.body).collect::<Vec<_>>(), ["2"]);
}

#[tokio::test]
async fn an_event_is_added_while_the_memory_is_full() {
    let scene = Scene::new(POLICY).await;
    let _: String = scene.redis(&["CONFIG", "SET", "maxmemory", "1"]);
    announce(&scene, 1).await;
    assert_eq!(read(&scene, id()).await.length, 1);
}

/// A server repeats an event until a replica has it. Meanwhile, the event may have been delivered.
#[tokio::test]
async fn an_event_that_no_replica_confirms_is_added_once() {
    let scene = Scene::new(POLICY).await;
    let wait = Some(Wait { replicas: 1, timeout: Duration::from_millis(10) });
    let settings = RedisSettings { wait, ..RedisSettings::at(&scene.url()) };
    let backend = Backend::open(&StoreSettings::Redis(settings.into()), POLICY, Clock::new()).unwrap();
    let store = backend.connect().await;
    wait_for(&store).await;
    let (server, events) = (id(), [event(1), event(2)]);
    let announce = async || {
        for event in &events {
            let announced = store.announce(event).await;
            assert!(matches!(announced, Err(Error::NotReplicated)), "{announced:?}");
        }
        read(&scene, server).await.events
    };
    announce().await;
    let queued = announce().await;
    let delivered = queued[0].place;
    assert_eq!(announcements(queued), events);
    store.remove_event(delivered).await.unwrap();
    assert_eq!(announcements(announce().await), events[1..]);
    assert_eq!(scene.ttl(&format!("as:{{as:webhooks}}:i:{}", events[0].id)), 120);
}

#[tokio::test]
async fn a_foreign_entry_is_an_error() {
    let scene = Scene::new(POLICY).await;
    let _: String = scene.redis(&["XADD", OUTBOX, "*", "foreign", "entry"]);
    let read = scene.store.read_outbox(id(), StreamId::default(), 1).await;
    assert!(matches!(read, Err(Error::Internal(_))), "{read:?}");
}
