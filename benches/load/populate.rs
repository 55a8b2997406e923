//! The accounts and sessions that a store holds before it is measured.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use auth_service_password::{HashCost, Password, Passwords, Rules, Settings};
use auth_service_records::{
    clock::Clock,
    session::{NewSession, Origin, SessionPolicy},
    throttle::{KnownAddresses, known_address_name},
    user::{Email, User},
};
use auth_service_store::{
    Store,
    backend::Backend,
    settings::{RedisSettings, StoreSettings},
};
use auth_service_token::{Amr, Claims, Id, Tokens};
use tokio::{runtime, task::JoinSet};
use uuid::Uuid;

use crate::scene::{ACCESS_SECRET, PASSWORD, REFRESH_SECRET, REFRESH_TTL_SECONDS, Redis, TTL_SECONDS, unix_seconds};

/// The number of accounts that are created at the same time.
const MAKERS: usize = 256;

/// A user with a session.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Adds `users` accounts to a store. The first `with_session` accounts get `sessions` sessions each, and are returned.
/// The store code of the server writes the accounts directly, because the server would hash passwords for hours.
pub(crate) fn populate(settings: &StoreSettings, users: usize, with_session: usize, sessions: usize) -> Vec<Member> {
    let policy = SessionPolicy {
        access_seconds: TTL_SECONDS,
        refresh_seconds: REFRESH_TTL_SECONDS,
        rotation: false,
        grace_seconds: 10,
        max_age_seconds: None,
        max_sessions: 1_000,
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cost = HashCost { memory_kib: 19_456, iterations: 2, parallelism: 1 };
        let hashing = Settings { cost, rules: Rules::default(), threads: 1, deadline: Duration::from_secs(10) };
        let passwords = Passwords::start(hashing).unwrap();
        let password_hash = passwords.hash(Password::new(PASSWORD), "", Id::digest(b"")).await.unwrap();
        let store = Arc::new(Backend::open(settings, policy, Clock::new()).ok().unwrap().connect().await);
        let tokens = Arc::new(Tokens::new(ACCESS_SECRET.as_bytes(), REFRESH_SECRET.as_bytes()));
        let mut makers = JoinSet::new();
        for maker in 0..MAKERS {
            let (store, tokens, password_hash) = (Arc::clone(&store), Arc::clone(&tokens), password_hash.clone());
            makers.spawn(async move {
                let mut members = Vec::new();
                for n in (maker..users).step_by(MAKERS) {
                    let sessions = if n < with_session { sessions } else { 0 };
                    members.extend(make(&store, &tokens, &password_hash, sessions).await.map(|member| (n, member)));
                }
                members
            });
        }
        let mut members: Vec<_> = makers.join_all().await.into_iter().flatten().collect();
        members.sort_by_key(|(n, _)| *n);
        members.into_iter().map(|(_, member)| member).collect()
    })
}

async fn make(store: &Store, tokens: &Tokens, password_hash: &str, sessions: usize) -> Option<Member> {
    let id = Uuid::new_v4();
    let email = format!("user-{}@example.com", &id.simple().to_string()[..8]);
    let tag = Email::parse(&email).unwrap().tag();
    let mut known_addresses = KnownAddresses::default();
    known_addresses.remember(known_address_name(id, Ipv4Addr::LOCALHOST.into()), unix_seconds());
    let user = User {
        id,
        email: email.clone(),
        created_at: unix_seconds(),
        password_hash: password_hash.to_owned(),
        known_addresses,
        password_change: None,
        email_verified_at: None,
        totp: None,
    };
    if !store.create_user(tag, &user).await.unwrap() || sessions == 0 {
        return None;
    }
    let stored = store.find_user(tag).await.unwrap().unwrap();
    let mut last = None;
    for _ in 0..sessions {
        let origin = Origin { ip: "127.0.0.1".to_owned(), user_agent: "curl/7.88.1".to_owned() };
        let random = || Id::random().unwrap();
        let session = NewSession { sid: random(), epoch: random(), refresh_id: random(), origin };
        assert!(store.open_session(tag, &stored, None, &session, None).await.unwrap().is_some());
        last = Some(session);
    }
    let NewSession { sid, refresh_id, .. } = last?;
    let now = unix_seconds();
    let access = Claims {
        sid,
        jti: Id::random().unwrap(),
        iat: now,
        exp: now + TTL_SECONDS,
        amr: Amr::PASSWORD,
        auth_time: Some(now),
        ..Claims::of(id, tag)
    };
    let refresh = Claims { jti: refresh_id, exp: now + REFRESH_TTL_SECONDS, ..access };
    Some(Member {
        email,
        access_token: tokens.access.issue(&access).unwrap(),
        refresh_token: tokens.refresh.issue(&refresh),
    })
}

pub(crate) fn redis_settings(redis: &Redis) -> StoreSettings {
    StoreSettings::Redis(RedisSettings::at(&redis.url()).into())
}
