//! Sign-ins and sign-ups, and token checks while many clients sign in.

use std::{
    thread::{self, sleep},
    time::{Duration, Instant},
};

use super::bench::{Bench, CONNECTIONS, STORM_RATE, get_user, sign_in};
use crate::{
    floors,
    generator::{Latency, Requests, Wrk, closed_loop, open_loop},
    populate::{Member, populate, redis_settings},
    report::{Row, Target::*},
    scene::{self, Client, PASSWORD, Process, Redis},
};

impl Bench {
    pub(super) fn passwords(&mut self) {
        let redis = Redis::start();
        let members = populate(&redis_settings(&redis), 64, 64, 1);
        let body = format!(r#"{{"email": "new-NNNNNN@example.com", "password": "{PASSWORD}"}}"#);
        let sign_up = Requests::new("sign-up", [["POST".into(), "/signup".into(), String::new(), body]]);
        let sign_in = sign_in(&members);
        // All sign-ups come from one address.
        let ours = scene::server(&[("REDIS_URL", &redis.url()), ("SIGNUP_LIMIT_PER_HOUR", "0")]);
        let (mut ups, mut ins, mut floor) = (vec![], vec![], vec![]);
        let seconds = self.seconds();
        for _ in 0..self.rounds() {
            floor.push(floors::hashes_per_second(seconds));
            ins.push(closed_loop(ours.port, &sign_in, 8, seconds).per_second());
            ups.push(closed_loop(ours.port, &sign_up, 8, seconds).per_second());
            // The hashes of one address run in turn, so the hashes of requests that wrk has abandoned end first. They
            // would not end while the floor keeps the cores busy, and the server would then refuse sign-ins.
            let body = format!(r#"{{"email": "{}", "password": "{PASSWORD}"}}"#, members[0].email);
            let (status, ..) = Client::open(ours.port).send("POST", "/authenticate", "", &body).unwrap();
            assert_eq!(status, 200);
        }
        self.rows.push(Row::pair("sign-in", "req/s", &ins, ("floor (c)", &floor), Some(AtLeast(0.90))));
        self.rows.push(Row::pair("sign-up", "req/s", &ups, ("floor (c)", &floor), Some(AtLeast(0.90))));
    }

    /// 64 clients sign in without pause.
    pub(super) fn storm(&mut self) {
        let redis = Redis::start();
        let members = populate(&redis_settings(&redis), 1_000, 1_000, 1);
        let (users, sign_in) = (get_user(&members), sign_in(&members));
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        let token = &members[0].access_token;
        let seconds = self.seconds();
        let start_storm = |connections, seconds| {
            let storm = Wrk::counting(ours.port, &sign_in, connections, seconds);
            sleep(Duration::from_millis(300));
            storm
        };
        let load = || closed_loop(ours.port, &users, CONNECTIONS, seconds).per_second();
        let latency = || open_loop(ours.port, "/user", token, STORM_RATE, seconds);
        let [mut quiet, mut stormy, mut quiet_p99, mut stormy_p99, mut livez, mut ins] = [const { Vec::new() }; 6];
        let [mut quiet_latencies, mut stormy_latencies] = [const { Vec::<Latency>::new() }; 2];
        for _ in 0..self.rounds() {
            quiet.push(load());
            let storm = start_storm(CONNECTIONS, seconds + 1);
            stormy.push(load());
            storm.finish();
            quiet_latencies.push(latency());
            quiet_p99.push(quiet_latencies.last().unwrap().at(99.0));
            let storm = start_storm(CONNECTIONS, seconds + 1);
            let probe = thread::scope(|scope| {
                let probe = scope.spawn(|| open_loop(ours.port, "/livez", "", 100, seconds));
                stormy_latencies.push(latency());
                probe.join().unwrap()
            });
            let storm = storm.finish();
            stormy_p99.push(stormy_latencies.last().unwrap().at(99.0));
            livez.push(probe.at(99.0));
            ins.push(storm.count(200) as f64 / storm.seconds);
        }
        let against = ("quiet", quiet.as_slice());
        self.rows.push(Row::pair("user in a storm", "req/s", &stormy, against, Some(AtLeast(0.80))));
        let name = format!("user in a storm: p99 at {STORM_RATE} req/s");
        self.rows.push(Row::pair(&name, "ms", &stormy_p99, ("quiet", &quiet_p99), Some(AtMost(2.5))));
        self.rows.push(Row::single("livez in a storm: p99", "ms", &livez, Some(AtMost(20.0))));
        self.rows.push(Row::single("sign-ins in that storm", "req/s", &ins, None));
        let cores = thread::available_parallelism().unwrap().get() as f64;
        let most = [ours.memory_mib("VmHWM")];
        self.rows.push(Row::single("memory in a storm", "MiB", &most, Some(AtMost(64.0 + cores * 19.0))));
        self.pictures.latency(&format!("auth-service before the storm, {STORM_RATE} req/s"), &quiet_latencies);
        self.pictures.latency(&format!("auth-service in a storm, {STORM_RATE} req/s"), &stormy_latencies);
        self.overload(&ours, &members, start_storm(4 * CONNECTIONS, 3));
    }

    /// More sign-ins than the server can hash before the deadline.
    fn overload(&mut self, ours: &Process, members: &[Member], storm: Wrk) {
        let mut client = Client::open(ours.port);
        let body = format!(r#"{{"email": "{}", "password": "{PASSWORD}"}}"#, members[999].email);
        let (start, mut took) = (Instant::now(), Vec::new());
        while start.elapsed() < Duration::from_secs(2) {
            let asked = Instant::now();
            let (status, retry_after, answer) = client.send("POST", "/authenticate", "", &body).unwrap();
            if answer.contains("overloaded") {
                assert!(status == 503 && retry_after, "{status}: {answer}");
                took.push(asked.elapsed().as_secs_f64() * 1e3);
            }
        }
        storm.finish();
        assert!(!took.is_empty(), "256 clients do not overload the server");
        self.rows.push(Row::single("503 beyond the queue", "ms", &took, Some(AtMost(20.0))));
    }
}
