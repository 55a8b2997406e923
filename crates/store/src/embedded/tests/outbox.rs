//! Tests of the outbox of webhooks.

use std::sync::Arc;

use auth_service_records::{
    clock::Clock,
    outbox::{Announcement, OutboxPage, Queued},
    revocation::StreamId,
};
use uuid::Uuid;

use super::scene::{POLICY, Scene, id};
use crate::embedded::store::Embedded;

const DAY: u64 = 24 * 60 * 60 * 1_000;

fn event(number: u128) -> Announcement {
    Announcement { id: id(), user_id: Some(Uuid::from_u128(number)), body: format!(r#"{{"number":{number}}}"#) }
}

fn announcements(events: Vec<Queued>) -> Vec<Announcement> {
    events.into_iter().map(|queued| queued.announcement).collect()
}

fn read(store: &Embedded) -> OutboxPage {
    store.read_outbox(StreamId::default(), 100).unwrap()
}

#[tokio::test]
async fn events_are_read_in_order_until_they_are_removed_also_after_a_restart() {
    let scene = Scene::new(POLICY);
    assert_eq!(read(&scene.store), OutboxPage { is_ours: true, ..OutboxPage::default() });
    let events = [event(1), Announcement { user_id: None, ..event(2) }, event(3)];
    for event in &events {
        assert!(!scene.store.announce(event).await.unwrap());
    }
    let page = read(&scene.store);
    assert_eq!((page.length, page.dead_letters, page.oldest), (3, 0, Some(page.events[0].place)));
    let places: Vec<_> = page.events.iter().map(|queued| queued.place).collect();
    assert_eq!(announcements(page.events), events);
    let after = scene.store.read_outbox(places[0].next(), 1).unwrap();
    assert_eq!(announcements(after.events), [events[1].clone()]);
    scene.store.remove_event(places[1]).await.unwrap();
    let Scene { directory, store, .. } = scene;
    drop(Arc::into_inner(store).unwrap());
    let store = Embedded::open(&directory.path().join("data"), POLICY, Clock::new()).unwrap();
    assert_eq!(announcements(read(&store).events), [events[0].clone(), events[2].clone()]);
}

#[tokio::test]
async fn a_dead_letter_leaves_the_outbox_once_and_can_come_back() {
    let scene = Scene::new(POLICY);
    let events = [event(1), event(2)];
    for event in &events {
        scene.store.announce(event).await.unwrap();
    }
    let place = read(&scene.store).events[0].place;
    assert!(scene.store.bury_event(place).await.unwrap());
    assert!(!scene.store.bury_event(place).await.unwrap());
    let page = read(&scene.store);
    assert_eq!((page.length, page.dead_letters), (1, 1));
    assert_eq!(announcements(scene.store.dead_letters().unwrap()), [events[0].clone()]);
    assert_eq!(scene.store.retry_dead_letters().await.unwrap(), 1);
    assert_eq!(scene.store.retry_dead_letters().await.unwrap(), 0);
    assert_eq!(announcements(read(&scene.store).events), [events[1].clone(), events[0].clone()]);
}

#[tokio::test]
async fn a_dead_letter_stays_for_thirty_days() {
    let scene = Scene::new(POLICY);
    for (day, left) in [(0, 1), (29, 2), (31, 2)] {
        scene.at(day * DAY);
        scene.store.announce(&event(1)).await.unwrap();
        let place = read(&scene.store).events[0].place;
        scene.at(day * DAY);
        assert!(scene.store.bury_event(place).await.unwrap());
        assert_eq!(scene.store.dead_letters().unwrap().len(), left, "day {day}");
    }
}
