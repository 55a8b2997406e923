//! The middleware for other services: the cost of a check, requests a second, and the time from a removal to a refusal.

use std::{
    hint::black_box,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use auth_service_resource_server::{Refusal, Verifier};
use serde_json::Value;
use tokio::runtime::{self, Runtime};

use super::bench::{Bench, CONNECTIONS, THROUGHPUT_SECONDS, with_cpu};
use crate::{
    api,
    generator::{Requests, closed_loop},
    populate::{Member, populate, redis_settings},
    report::{Row, Target::*, median},
    scene::{self, Client, Process, Redis},
};

const MEMBERS: usize = 1_000;
/// Each sends one removal at a time.
const REMOVERS: usize = 8;

impl Bench {
    pub(super) fn verifiers(&mut self) {
        let redis = Redis::start();
        let mut members = populate(&redis_settings(&redis), MEMBERS, MEMBERS, 1);
        let settings = [("ACCESS_TOKEN_ALGORITHM", "ES256"), ("ADDRESS_LIMIT", "1000000"), api::RESOURCE_SERVERS];
        let server = scene::server(&[&settings[..], &[("REDIS_URL", &redis.url())]].concat());
        let mut client = Client::open(server.port);
        for member in &mut members {
            member.access_token = refreshed(&mut client, member);
        }
        self.requests_at_a_verifier(&server, &members);
        let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let verifier = runtime.block_on(api::verifier(&format!("http://127.0.0.1:{}", server.port)));
        self.cost_of_checks(&runtime, &verifier, &members);
        self.time_to_refusal(&runtime, &verifier, &server, &members);
    }

    fn requests_at_a_verifier(&mut self, server: &Process, members: &[Member]) {
        let requests = ["/orders", "/user"].map(|path| {
            let request = |member: &Member| ["GET", path, &member.access_token, ""].map(str::to_owned);
            Requests::new("verifier", members.iter().map(request)).renamed(&format!("verifier-{}", &path[1..]))
        });
        let api = scene::api(&format!("http://127.0.0.1:{}", server.port));
        let processes = [&api, server];
        let (mut throughput, mut cpu) = ([vec![], vec![]], [vec![], vec![]]);
        for n in self.turns(2) {
            let load = || closed_loop(processes[n].port, &requests[n], CONNECTIONS, THROUGHPUT_SECONDS);
            let (load, cost) = with_cpu(processes[n], load);
            throughput[n].push(load.per_second());
            cpu[n].push(cost);
        }
        let against = "GET /user, ES256";
        self.rows.push(Row::pair("verifier", "req/s", &throughput[0], (against, &throughput[1]), Some(AtLeast(1.0))));
        self.rows.push(Row::pair("verifier: CPU", "µs/req", &cpu[0], (against, &cpu[1]), None));
    }

    /// Each token once, and then all of them again and again.
    fn cost_of_checks(&mut self, runtime: &Runtime, verifier: &Verifier, members: &[Member]) {
        let all = || async {
            for member in members {
                black_box(verifier.verify(&member.access_token).await.unwrap());
            }
        };
        let micros = |start: Instant, checks: usize| start.elapsed().as_secs_f64() * 1e6 / checks as f64;
        runtime.block_on(async {
            let start = Instant::now();
            all().await;
            self.rows.push(Row::single("check of a new token", "µs", &[micros(start, MEMBERS)], Some(AtMost(120.0))));
            let mut again = Vec::new();
            for _ in 0..100 {
                let start = Instant::now();
                all().await;
                again.push(micros(start, MEMBERS));
            }
            self.rows.push(Row::single("check of a token seen before", "µs", &again, Some(AtMost(1.0))));
        });
    }

    /// From the acknowledgement of a removal to the first refusal at the verifier.
    fn time_to_refusal(&mut self, runtime: &Runtime, verifier: &Verifier, server: &Process, members: &[Member]) {
        let took = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for members in members.chunks(MEMBERS / REMOVERS) {
                let took = &took;
                scope.spawn(move || {
                    let mut client = Client::open(server.port);
                    for member in members {
                        let one = runtime.block_on(time_of_one(&mut client, verifier, member));
                        took.lock().unwrap().push(one);
                    }
                });
            }
        });
        let mut took = took.into_inner().unwrap();
        took.sort_by(f64::total_cmp);
        let p99 = took[took.len() * 99 / 100];
        self.rows.push(Row::single("removal to refusal: p50", "ms", &[median(&took)], None));
        self.rows.push(Row::single("removal to refusal: p99", "ms", &[p99], None));
        self.rows.push(Row::single("removal to refusal: max", "ms", &[took[took.len() - 1]], Some(AtMost(1_000.0))));
    }
}

/// In milliseconds.
async fn time_of_one(client: &mut Client, verifier: &Verifier, member: &Member) -> f64 {
    let body = format!(r#"{{"email": "{}"}}"#, member.email);
    let answer = client.send("DELETE", "/access-token", "", &body).unwrap();
    let acknowledged = Instant::now();
    assert_eq!(answer.0, 200, "{answer:?}");
    loop {
        match verifier.verify(&member.access_token).await {
            Err(Refusal::Revoked | Refusal::Invalid) => return acknowledged.elapsed().as_secs_f64() * 1e3,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// A new access token, which the server signs with ES256.
fn refreshed(client: &mut Client, member: &Member) -> String {
    let body = format!(r#"{{"refresh_token": "{}"}}"#, member.refresh_token);
    let (status, _, body) = client.send("POST", "/refresh-access-token", "", &body).unwrap();
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}
