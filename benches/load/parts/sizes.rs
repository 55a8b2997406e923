//! Speed and memory against the number of users; the start of the server; the shapes of the runtime.

use std::{fs, os::unix::fs::MetadataExt, thread::sleep, time::Duration};

use super::bench::{Bench, CONNECTIONS, FEW_CONNECTIONS, THROUGHPUT_SECONDS, embedded_settings, get_user, with_cpu};
use crate::{
    floors::{Floor, Shape},
    generator::closed_loop,
    populate::{populate, redis_settings},
    report::{Row, Target::*, median},
    scene::{self, Redis},
};

impl Bench {
    pub(super) fn size(&mut self) {
        let sizes: &[usize] = if self.quick { &[1_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
        let mut stores = Vec::new();
        for &users in sizes {
            let redis = Redis::start();
            let (config, live) = (redis_settings(&redis), users.min(100_000));
            let empty = redis.used_memory();
            populate(&config, users - live, 0, 0);
            let per_user = (redis.used_memory() - empty) as f64 / (users - live) as f64;
            let members = populate(&config, live, live, 1);
            let with_sessions = redis.used_memory();
            if users == *sizes.last().unwrap() {
                self.bytes(per_user, live, with_sessions - empty);
            }
            let server = scene::server(&[("REDIS_URL", &redis.url())]);
            let requests = get_user(&members);
            // All sizes take turns, so each has its own file of requests.
            let requests = requests.renamed(&format!("user-{users}"));
            stores.push((users, redis, server, requests));
        }
        // The floors show how the number of users affects Redis alone.
        let floors = [0, stores.len() - 1].map(|n| scene::floor(Floor::Mget, Shape::PerCore, &stores[n].1));
        let mut throughput = vec![vec![]; stores.len()];
        let mut floor_throughput = [vec![], vec![]];
        let mut cpu = vec![[vec![], vec![]]; stores.len()];
        for n in self.turns(stores.len() + floors.len()) {
            if let Some((_, redis, server, requests)) = stores.get(n) {
                let before = redis.cpu();
                let load = || closed_loop(server.port, requests, CONNECTIONS, THROUGHPUT_SECONDS);
                let (load, cost) = with_cpu(server, load);
                throughput[n].push(load.per_second());
                cpu[n][0].push(cost);
                cpu[n][1].push((redis.cpu() - before).as_secs_f64() * 1e6 / load.requests as f64);
            } else {
                let n = n - stores.len();
                let requests = &stores[n * (stores.len() - 1)].3;
                let load = closed_loop(floors[n].port, requests, CONNECTIONS, THROUGHPUT_SECONDS);
                floor_throughput[n].push(load.per_second());
            }
        }
        let (least, most) = (&throughput[0], throughput.last().unwrap());
        let name = format!("user with {} users", sizes.last().unwrap());
        let against = format!("with {} users", sizes[0]);
        self.rows.push(Row::pair(&name, "req/s", most, (&against, least), Some(AtLeast(0.95))));
        let [least, most] = &floor_throughput;
        let name = format!("floor (b) with {} users", sizes.last().unwrap());
        self.rows.push(Row::pair(&name, "req/s", most, (&against, least), None));
        let costs = sizes.iter().zip(&cpu).map(|(users, cpu)| (*users as f64, cpu.each_ref().map(|each| median(each))));
        self.pictures.sizes = costs.collect();
        drop(stores);
        self.embedded_file();
    }

    /// Memory of Redis for a user and for a live session, with all keys.
    fn bytes(&mut self, per_user: f64, live: usize, all: u64) {
        let redis = Redis::start();
        let config = redis_settings(&redis);
        // If all users have a session, no user without a session was measured.
        let (per_user, live, all) = if per_user.is_finite() {
            let empty = redis.used_memory();
            populate(&config, live, live, 1);
            (per_user, live, redis.used_memory() - empty)
        } else {
            let empty = redis.used_memory();
            populate(&config, live, 0, 0);
            ((redis.used_memory() - empty) as f64 / live as f64, live, all)
        };
        let per_session = all as f64 / live as f64 - per_user;
        self.rows.push(Row::single("Redis memory of a user", "bytes", &[per_user], Some(AtMost(450.0))));
        self.rows.push(Row::single("Redis memory of a live session", "bytes", &[per_session], Some(AtMost(900.0))));
    }

    fn embedded_file(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let users = if self.quick { 10_000 } else { 100_000 };
        populate(&embedded_settings(&data), users, users / 10, 1);
        let file = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let file = file.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let metadata = fs::metadata(&file).unwrap();
        let stored = redb::Database::open(&file).unwrap().begin_write().unwrap().stats().unwrap().stored_bytes() as f64;
        let against = ("keys and values", &[stored][..]);
        let name = format!("embedded file, {users} users");
        // redb extends the file ahead of its writes and does not always truncate it. Holes in the file take no space on
        // disk.
        let on_disk = [(metadata.blocks() * 512) as f64];
        self.rows.push(Row::pair(&name, "bytes", &on_disk, against, Some(AtMost(2.0))));
        self.rows.push(Row::pair(&(name + ": its length"), "bytes", &[metadata.len() as f64], against, None));
    }

    pub(super) fn start(&mut self) {
        let redis = Redis::start();
        let (mut ready, mut at_rest) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (milliseconds, server) = scene::milliseconds_until_ready(&[("REDIS_URL", &redis.url())]);
            ready.push(milliseconds);
            // A hashing thread returns its memory after two seconds without work.
            let readings = (0..40).map(|_| {
                sleep(Duration::from_millis(100));
                server.memory_mib("VmRSS")
            });
            at_rest.push(readings.fold(f64::INFINITY, f64::min));
        }
        let binary = fs::metadata(env!("CARGO_BIN_EXE_auth-service")).unwrap().len() as f64 / f64::from(1 << 20);
        self.rows.push(Row::single("exec to ready, on Redis", "ms", &ready, Some(AtMost(100.0))));
        self.rows.push(Row::single("memory at rest", "MiB", &at_rest, Some(AtMost(15.0))));
        self.rows.push(Row::single("stripped binary", "MiB", &[binary], Some(AtMost(12.0))));
    }

    /// Floor (b) in each shape of runtime, with many connections and with few.
    pub(super) fn runtimes(&mut self) {
        let redis = Redis::start();
        let members = populate(&redis_settings(&redis), 1_000, 1_000, 1);
        let requests = get_user(&members);
        let servers = Shape::ALL.map(|shape| scene::floor(Floor::Mget, shape, &redis));
        for connections in [CONNECTIONS, FEW_CONNECTIONS] {
            let mut throughput = [vec![], vec![], vec![]];
            for n in self.turns(3).take(5 * 3) {
                let load = closed_loop(servers[n].port, &requests, connections, THROUGHPUT_SECONDS);
                throughput[n].push(load.per_second());
            }
            for (n, shape) in Shape::ALL.into_iter().enumerate().skip(1) {
                let name = format!("floor (b), {connections} connections, {}", shape.word());
                let per_core = (Shape::PerCore.word(), throughput[0].as_slice());
                self.rows.push(Row::pair(&name, "req/s", &throughput[n], per_core, None));
            }
        }
    }
}
