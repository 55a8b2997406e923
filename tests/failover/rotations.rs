//! Secrets and passwords that are replaced under load, by the procedures of docs/secrets.md.

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    site::Site,
    support::{ACL, Load, RedisServer, SECRETS, TestApp, alone, wait_until},
};

const NEW: [(&str, &str); 2] = [
    ("AUTH_SECRET_KEY", "a new access secret of the tests, 32+ bytes"),
    ("REFRESH_SECRET_KEY", "a new refresh secret of the tests, 32+ bytes"),
];

/// Clients sign in again after this time, which is longer than the restart of a replica.
const TOKENS_AGE: Duration = Duration::from_secs(5);

/// These secrets as secrets that only verify.
fn verify_only(secrets: [(&'static str, &'static str); 2]) -> [(&'static str, &'static str); 2] {
    [("AUTH_SECRET_KEY_PREVIOUS", secrets[0].1), ("REFRESH_SECRET_KEY_PREVIOUS", secrets[1].1)]
}

/// Restarts all replicas, one after the other, with these secrets.
fn roll(site: &mut Site, load: &Load, secrets: &[(&str, &str)]) {
    for _ in 0..3 {
        let address = site.stop_replica(0);
        site.start_replica_with(address, secrets);
        load.wait_for_more();
    }
}

#[test]
fn replacing_the_signing_secrets_signs_nobody_out() {
    let mut site = Site::start(3);
    let load = Load::start_with(site.port, TOKENS_AGE);
    // Everyone verifies the new secrets.
    roll(&mut site, &load, &[SECRETS, verify_only(NEW)].concat());
    // Everyone signs with the new secrets, and one may still sign with the old ones during the roll.
    roll(&mut site, &load, &[NEW, verify_only(SECRETS)].concat());
    // The tokens of the old secrets have expired.
    load.wait_for_new_tokens();
    roll(&mut site, &load, &NEW);
    let report = load.stop();
    eprintln!("rotation of the signing secrets: {report}");
    report.assert_none_failed();
}

/// The two steps in the reverse direction, from the middle of a rotation.
#[test]
fn a_rotation_that_is_taken_back_signs_nobody_out() {
    let mut site = Site::start(3);
    let load = Load::start_with(site.port, TOKENS_AGE);
    roll(&mut site, &load, &[SECRETS, verify_only(NEW)].concat());
    // One replica signs with the new secrets, then the others get no further.
    let address = site.stop_replica(0);
    site.start_replica_with(address, &[NEW, verify_only(SECRETS)].concat());
    load.wait_for_more();
    roll(&mut site, &load, &[SECRETS, verify_only(NEW)].concat());
    load.wait_for_new_tokens();
    roll(&mut site, &load, &SECRETS);
    let report = load.stop();
    eprintln!("rotation taken back: {report}");
    report.assert_none_failed();
}

const ES256: [(&str, &str); 2] = [("ACCESS_TOKEN_ALGORITHM", "ES256"), ("SIGNING_KEY_LEAD_SECONDS", "2")];

/// The ids of the published keys.
fn published(site: &Site) -> Vec<String> {
    let answer = site.send("GET", "/.well-known/jwks.json", &[], None);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Makes the next key, and returns its id.
fn rotate(app: &TestApp) -> String {
    let output = app.cli(&["keys", "rotate", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    json["kid"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

/// The state of a key by `keys list`.
fn state(app: &TestApp, kid: &str) -> String {
    let output = app.cli(&["keys", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let key = json["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).cloned();
    key.map_or_else(String::new, |key| key["state"].as_str().unwrap().to_owned())
}

#[test]
fn rotating_the_signing_keys_refuses_no_request() {
    let mut site = Site::start(0);
    for n in 1..=3 {
        site.start_replica_with(Ipv4Addr::new(127, 0, 0, n), &ES256);
    }
    let load = Load::start_with(site.port, Duration::from_secs(2));
    let mut numbers = vec![published(&site).len()];
    for round in 0..5 {
        // A replica that starts in the middle of the rotation, and is killed while the next key takes over.
        let mut passing = TestApp::start_on(&site.redis.url(), &ES256);
        let next = rotate(&site.replicas[round % 3].1);
        wait_until("the next key is published", || published(&site).contains(&next));
        numbers.push(published(&site).len());
        wait_until("the next key signs", || state(&site.replicas[0].1, &next) == "signing");
        passing.kill();
        load.wait_for_new_tokens();
        load.wait_for_more();
        numbers.push(published(&site).len());
    }
    let report = load.stop();
    eprintln!("rotation of the signing keys: {report}, {numbers:?} published keys");
    report.assert_none_failed();
}

#[test]
fn replacing_the_password_of_redis_fails_no_request() {
    let _alone = alone();
    let redis = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let set_user = |rules: &[&str]| redis.command::<()>(&[&["ACL", "SETUSER", "server"], rules].concat());
    set_user(&[&["on", ">first"], &ACL.split(' ').collect::<Vec<_>>()[..]].concat());
    std::fs::write(&file, "first").unwrap();
    let user = [("REDIS_USERNAME", "server"), ("REDIS_PASSWORD_FILE", file.to_str().unwrap())];
    let replicas = [(); 2].map(|()| TestApp::start_on(&redis.url(), &user));
    let loads: Vec<_> = replicas.iter().map(|replica| Load::start(replica.port())).collect();
    for (old, new) in [("first", "second"), ("second", "third")] {
        set_user(&[&format!(">{new}")]);
        std::fs::write(&file, new).unwrap();
        loads.iter().for_each(Load::wait_for_more);
        set_user(&[&format!("<{old}")]);
        loads.iter().for_each(Load::wait_for_more);
    }
    // A replica that starts now has only the new password.
    let third = TestApp::start_on(&redis.url(), &user);
    Load::start(third.port()).stop().assert_none_failed();
    for load in loads {
        let report = load.stop();
        eprintln!("rotation of the password of Redis: {report}");
        report.assert_none_failed();
    }
    // The connections of the old password end.
    let _: u64 = redis.command(&["CLIENT", "KILL", "USER", "server"]);
    let ready = |app: &TestApp| app.send("GET", "/readyz", &[], None).status == 200;
    wait_until("the replicas use the new password", || replicas.iter().all(ready));
    Load::start(replicas[0].port()).stop().assert_none_failed();
}
