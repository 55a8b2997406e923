//! Code that tests share: servers, clients, Redis in every topology, and waiting for conditions.

mod app;
mod authenticator;
mod bodies;
mod certificates;
mod client;
mod cluster;
mod command;
mod dns;
mod fake_clock;
mod guesses;
mod handmade;
mod keys;
pub(crate) mod load;
mod mailbox;
mod metrics;
mod outage;
mod own_reader;
mod ports;
mod process;
mod proxy;
mod racing;
pub(crate) mod raw;
mod receiver;
mod redis_server;
mod resource_server;
mod scenes;
mod sentinels;
mod session;
mod shared;
mod signing_key;
mod store;
mod wait;

pub(crate) use app::{Data, TestApp};
pub(crate) use authenticator::Authenticator;
pub(crate) use bodies::{BODY_ROUTES, JSON, request_of_bytes, send_body, sign_up_with};
pub(crate) use certificates::Certificates;
pub(crate) use client::{PASSWORD, unique_address, unique_email};
pub(crate) use cluster::Cluster;
pub(crate) use command::{
    ACCESS_SECRET, HS256, REFRESH_SECRET, SECRETS, SLOW_HASH, assert_says, command, refused, refused_in, run_to_end,
};
pub(crate) use dns::NameServer;
pub(crate) use fake_clock::FakeClock;
pub(crate) use guesses::{
    BEFORE_THE_FIRST_WAIT, Burst, PROXY, assert_throttled, guess_until_throttled, wait_until_compared,
};
pub(crate) use handmade::{
    Kind, access_claims, assert_refusal, encode, expired_access_token, for_both_kinds, kinds, message, sign, sign_by,
    start, tokens,
};
pub(crate) use keys::{Keys, Monitor, tag};
pub(crate) use load::{Load, flood_of_signups, kill_in_flight, new_session};
pub(crate) use mailbox::{MAILS, Mail, Mailbox, PUBLIC_URL};
pub(crate) use metrics::{METRICS, metric_at, scrape_at, series};
pub(crate) use outage::{
    SECOND, assert_away, assert_no_route_lies, assert_serves, every_worker, in_time, wait_until_ready,
};
pub(crate) use own_reader::start_with_own_reader;
pub(crate) use ports::{free_port, free_port_of_a_node};
pub(crate) use process::{Process, program, signal};
pub(crate) use proxy::Proxy;
pub(crate) use racing::{Ended, PATIENT, PAUSE, Racer, at_once, race};
pub(crate) use raw::{Answer, Connection};
pub(crate) use receiver::{ACCEPTED, FAILED, Hook, Receiver, Reply, WEBHOOK_SECRET};
pub(crate) use redis_server::RedisServer;
pub(crate) use resource_server::{CREDENTIALS, FORM, RESOURCE_SERVERS};
pub(crate) use scenes::{MovingSlot, cluster_scene, key, sentinel_scene, wait_for_replicas};
pub(crate) use sentinels::{LoneSentinel, SERVICE, Sentinels};
pub(crate) use session::{Session, assert_accepted, assert_moved, claims, number, replicas, text, time};
pub(crate) use shared::{ACL, Shared};
pub(crate) use signing_key::{known_signing_key, sign_with_known_key};
pub(crate) use store::Store;
pub(crate) use wait::{Turn, alone, not_beside_load, unix_seconds, wait_longer, wait_until, wait_until_after};
