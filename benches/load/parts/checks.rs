//! Token checks, refreshes and removals.

use std::time::Instant;

use super::bench::{
    Bench, CONNECTIONS, LATENCY_SECONDS, STEADY_RATE, THROUGHPUT_SECONDS, TOKENS, embedded_settings, get_user, with_cpu,
};
use crate::{
    floors::{Floor, Shape},
    generator::{Requests, closed_loop, open_loop},
    populate::{Member, populate, redis_settings},
    report::{Row, Target::*},
    scene::{self, Client, Redis},
};

impl Bench {
    pub(super) fn user(&mut self) {
        let redis = Redis::start();
        let members = populate(&redis_settings(&redis), 1_000, 1_000, 1);
        let requests = get_user(&members);
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        let floor = scene::floor(Floor::Mget, Shape::PerCore, &redis);
        let peer = scene::peer(&redis);
        let (mut throughput, mut cpu) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
        let processes = [&ours, &floor, &peer];
        for n in self.turns(3) {
            let load = || closed_loop(processes[n].port, &requests, CONNECTIONS, THROUGHPUT_SECONDS);
            let (load, cost) = with_cpu(processes[n], load);
            throughput[n].push(load.per_second());
            cpu[n].push(cost);
        }
        let [ours_each, floor_each, peer_each] = &throughput;
        let (floor_name, peer_name) = ("floor (b)", "Go net/http");
        self.rows.push(Row::pair("user", "req/s", ours_each, (floor_name, floor_each), Some(AtLeast(0.88))));
        self.rows.push(Row::pair("user: CPU", "µs/req", &cpu[0], (floor_name, &cpu[1]), Some(AtMost(1.20))));
        let token = &members[0].access_token;
        let (mut p99, mut latencies) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
        for n in self.turns(3) {
            let latency = open_loop(processes[n].port, "/user", token, STEADY_RATE, LATENCY_SECONDS);
            p99[n].push(latency.at(99.0));
            latencies[n].push(latency);
        }
        let name = format!("user: p99 at {STEADY_RATE} req/s");
        self.rows.push(Row::pair(&name, "ms", &p99[0], (floor_name, &p99[1]), Some(AtMost(1.15))));
        self.rows.push(Row::pair("user, Go", "req/s", ours_each, (peer_name, peer_each), Some(AtLeast(3.0))));
        for (who, latencies) in ["auth-service", floor_name, peer_name].into_iter().zip(latencies) {
            self.pictures.latency(&format!("{who}, {STEADY_RATE} req/s"), &latencies);
        }
    }

    /// A user with 1,000 sessions, and a user with one.
    pub(super) fn sessions(&mut self) {
        let redis = Redis::start();
        let settings = redis_settings(&redis);
        let requests = [(1_000, "user-sessions"), (1, "user-session")]
            .map(|(sessions, name)| get_user(&populate(&settings, 100, 100, sessions)).renamed(name));
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        let mut throughput = [vec![], vec![]];
        for n in self.turns(2) {
            throughput[n].push(closed_loop(ours.port, &requests[n], CONNECTIONS, THROUGHPUT_SECONDS).per_second());
        }
        let [many, one] = &throughput;
        let against = ("with 1 session", one.as_slice());
        self.rows.push(Row::pair("user with 1,000 sessions", "req/s", many, against, Some(AtLeast(0.95))));
    }

    pub(super) fn embedded(&mut self) {
        let redis = Redis::start();
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let members = populate(&embedded_settings(&data), 1_000, 1_000, 1);
        let requests = get_user(&members);
        let ours = scene::server(&[("DATA_DIR", data.to_str().unwrap())]);
        let floor = scene::floor(Floor::Verify, Shape::PerCore, &redis);
        let mut throughput = [vec![], vec![]];
        for n in self.turns(2) {
            let load = closed_loop([&ours, &floor][n].port, &requests, CONNECTIONS, THROUGHPUT_SECONDS);
            throughput[n].push(load.per_second());
        }
        let [ours, floor] = &throughput;
        self.rows.push(Row::pair("user, embedded", "req/s", ours, ("floor (a)", floor), Some(AtLeast(0.85))));
    }

    pub(super) fn refresh(&mut self) {
        let redis = Redis::start();
        let members = populate(&redis_settings(&redis), 1_000, 1_000, 1);
        let users = get_user(&members);
        let body = |member: &Member| format!(r#"{{"refresh_token": "{}"}}"#, member.refresh_token);
        let refresh = |member| ["POST".into(), "/refresh-access-token".into(), String::new(), body(member)];
        let refreshes = Requests::new("refresh", members.iter().cycle().take(TOKENS).map(refresh));
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        let loads = [&refreshes, &users];
        let (mut throughput, mut cpu) = ([vec![], vec![]], [vec![], vec![]]);
        for n in self.turns(loads.len()) {
            let (load, cost) = with_cpu(&ours, || closed_loop(ours.port, loads[n], CONNECTIONS, THROUGHPUT_SECONDS));
            throughput[n].push(load.per_second());
            cpu[n].push(cost);
        }
        let against = "GET /user";
        let [refreshes, users] = &throughput;
        self.rows.push(Row::pair("refresh", "req/s", refreshes, (against, users), Some(AtLeast(0.50))));
        self.rows.push(Row::pair("refresh: CPU", "µs/req", &cpu[0], (against, &cpu[1]), None));
    }

    pub(super) fn removal(&mut self) {
        let redis = Redis::start();
        let config = redis_settings(&redis);
        let each = 100;
        let [one, hundred] = [1, 100].map(|sessions| populate(&config, each, each, sessions));
        let ours = scene::server(&[("REDIS_URL", &redis.url()), ("ADDRESS_LIMIT", "1000000")]);
        let mut client = Client::open(ours.port);
        let mut remove = |member: &Member| {
            let body = format!(r#"{{"email": "{}"}}"#, member.email);
            let start = Instant::now();
            let answer = client.send("DELETE", "/access-token", "", &body).unwrap();
            let took = start.elapsed().as_secs_f64() * 1e6;
            assert_eq!(answer.0, 200, "{answer:?}");
            took
        };
        let mut took = [vec![], vec![]];
        for (one, hundred) in one.iter().zip(&hundred) {
            took[0].push(remove(hundred));
            took[1].push(remove(one));
        }
        // Medians of 20 removals each, because a single removal says more about the scheduler than about the server.
        let [hundred, one] = took.map(|took| took.chunks(20).map(crate::report::median).collect::<Vec<_>>());
        self.rows.push(Row::pair(
            "removal of 100 sessions",
            "µs",
            &hundred,
            ("of 1 session", &one),
            Some(AtMost(1.10)),
        ));
    }
}
