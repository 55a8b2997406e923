//! Limits on client addresses in a cluster. The counter of an address may be in another slot than the account.

use auth_service_records::throttle::address_name;
use serde_json::json;

use crate::support::{Cluster, PASSWORD, PROXY, cluster_scene, in_time, not_beside_load};

/// The key of the feed of revocations.
const FEED: &str = "as:revocations";

/// An address whose counters are on this primary, or on another one.
fn address_on(cluster: &Cluster, primary: usize, is_there: bool) -> String {
    let found = (1..=250).map(|n| format!("192.0.2.{n}")).find(|address| {
        let name = address_name(address.parse().unwrap());
        (cluster.owner(0, &format!("{{{name}}}:n:f")) == primary) == is_there
    });
    found.unwrap()
}

/// Kills a primary and its replica, so that nobody takes over.
fn lose(cluster: &mut Cluster, primary: usize) {
    let replica = cluster.replica_of(primary);
    for server in [replica, primary] {
        cluster.servers[server].kill();
    }
}

/// The counter of a client address may be in another slot than the account. The primary of that slot may be down while
/// the primary of the account is up.
#[test]
fn a_lost_primary_of_an_address_counter_stops_no_other_user() {
    let _turn = not_beside_load();
    let (mut cluster, app, sessions) =
        cluster_scene(&[("ADDRESS_LIMIT", "100"), ("SIGNUP_LIMIT_PER_HOUR", "100"), PROXY]);
    let feed = cluster.owner(0, FEED);
    let lost = sessions.iter().map(|(primary, _)| *primary).find(|primary| *primary != feed).unwrap();
    let address = address_on(&cluster, lost, true);
    lose(&mut cluster, lost);
    for _ in 0..10 {
        for (_, session) in sessions.iter().filter(|(primary, _)| *primary != lost) {
            let answer = in_time("POST /authenticate", || app.authenticate_from(&address, &session.email, PASSWORD));
            assert_eq!(answer.status, 200, "{answer:?}");
            let removal = json!({"email": session.email}).to_string();
            let headers = [("X-Forwarded-For", address.as_str())];
            let removal =
                in_time("DELETE /access-token", || app.send("DELETE", "/access-token", &headers, Some(&removal)));
            assert_eq!(removal.status, 200, "{removal:?}");
        }
    }
}

#[test]
fn sign_ins_that_fail_with_a_lost_primary_do_not_use_up_the_address_limit() {
    let _turn = not_beside_load();
    let (mut cluster, app, sessions) = cluster_scene(&[("ADDRESS_LIMIT", "5"), PROXY]);
    let (lost, user_of_lost) = &sessions[0];
    let address = address_on(&cluster, *lost, false);
    lose(&mut cluster, *lost);
    for _ in 0..10 {
        let answer = in_time("POST /authenticate", || app.authenticate_from(&address, &user_of_lost.email, PASSWORD));
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let answer = app.authenticate_from(&address, &sessions[1].1.email, PASSWORD);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A removal that verifiers elsewhere do not hear of must not be acknowledged.
#[test]
fn while_the_primary_of_the_feed_is_lost_a_removal_is_refused_and_changes_nothing() {
    let _turn = not_beside_load();
    let (mut cluster, app, sessions) = cluster_scene(&[]);
    let feed = cluster.owner(0, FEED);
    lose(&mut cluster, feed);
    for (_, session) in sessions.iter().filter(|(primary, _)| *primary != feed) {
        let removal = in_time("DELETE /access-token", || app.remove_access_token(&session.email));
        removal.assert_error(503, "store_unreachable");
        session.assert_lives([&app]);
        assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    }
}
