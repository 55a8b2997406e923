//! The parts of the benchmark. In each, what is compared takes turns, several times, so that a change of the machine's
//! mood meets all alike.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use auth_service::config::StoreConfig;

use crate::{
    floors::{self, Floor, Shape},
    generator::{Latency, Load, Requests, Wrk, closed_loop, open_loop},
    picture::Pictures,
    report::{Row, Target::*},
    scene::{self, Client, Member, PASSWORD, Process, Redis},
};

const CONNECTIONS: usize = 64;
/// As from a load balancer that keeps connections.
const FEW_CONNECTIONS: usize = 4;
/// A rate that leaves the machine idle for half of its time: what is asked for is latency, not what gives way first.
const STEADY_RATE: u32 = 5_000;
const STORM_RATE: u32 = 5_000;
const THROUGHPUT_SECONDS: u64 = 1;
const LATENCY_SECONDS: u64 = 2;
/// Enough tokens that the client walks through the same amount of memory in each case.
const TOKENS: usize = 20_000;

/// What all parts share.
pub(crate) struct Bench {
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) pictures: Pictures,
}

/// A part by its name.
pub(crate) type Part = (&'static str, fn(&mut Bench));

pub(crate) const PARTS: [Part; 9] = [
    ("user", Bench::user),
    ("embedded", Bench::embedded),
    ("passwords", Bench::passwords),
    ("storm", Bench::storm),
    ("refresh", Bench::refresh),
    ("removal", Bench::removal),
    ("size", Bench::size),
    ("start", Bench::start),
    ("runtimes", Bench::runtimes),
];

fn get_user(members: &[Member]) -> Requests {
    let tokens = members.iter().cycle().take(TOKENS);
    Requests::new("user", tokens.map(|member| ["GET", "/user", &member.access_token, ""].map(str::to_owned)))
}

fn sign_in(members: &[Member]) -> Requests {
    let body = |member: &Member| format!(r#"{{"email": "{}", "password": "{PASSWORD}"}}"#, member.email);
    let request = |member| ["POST".to_owned(), "/authenticate".to_owned(), String::new(), body(member)];
    Requests::new("sign-in", members.iter().map(request))
}

/// A load, and the CPU time that a process took for each request of it, in microseconds.
fn with_cpu(process: &Process, load: impl FnOnce() -> Load) -> (Load, f64) {
    let before = process.cpu();
    let load = load();
    let cpu = (process.cpu() - before).as_secs_f64() * 1e6 / load.requests as f64;
    (load, cpu)
}

impl Bench {
    /// Whose turn it is: many short ones, as the machine's mood changes within seconds, and every other round backwards,
    /// so that nobody always comes after the same one.
    fn turns(&self, of: usize) -> impl Iterator<Item = usize> + use<> {
        let rounds = if self.quick { 2 } else { 11 };
        (0..rounds * of).map(move |turn| match (turn / of % 2, turn % of) {
            (0, n) => n,
            (_, n) => of - 1 - n,
        })
    }

    /// Of what takes longer.
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    /// Likewise.
    fn seconds(&self) -> u64 {
        if self.quick { 3 } else { 4 }
    }

    fn user(&mut self) {
        let redis = Redis::start();
        let members = scene::populate(&scene::redis_config(&redis), 1_000, 1_000, 1);
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
        self.rows.push(Row::pair("user", "req/s", ours_each, (floor_name, floor_each), Some(AtLeast(0.90))));
        self.rows.push(Row::pair("user: CPU", "µs/req", &cpu[0], (floor_name, &cpu[1]), Some(AtMost(1.15))));
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

    fn embedded(&mut self) {
        let redis = Redis::start();
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let members = scene::populate(&embedded_config(&data), 1_000, 1_000, 1);
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

    fn passwords(&mut self) {
        let redis = Redis::start();
        let members = scene::populate(&scene::redis_config(&redis), 64, 64, 1);
        let body = format!(r#"{{"email": "new-NNNNNN@example.com", "password": "{PASSWORD}"}}"#);
        let sign_up = Requests::new("sign-up", [["POST".into(), "/signup".into(), String::new(), body]]);
        let sign_in = sign_in(&members);
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        let (mut ups, mut ins, mut floor) = (vec![], vec![], vec![]);
        let seconds = self.seconds();
        for _ in 0..self.rounds() {
            floor.push(floors::hashes_per_second(seconds));
            ins.push(closed_loop(ours.port, &sign_in, 8, seconds).per_second());
            ups.push(closed_loop(ours.port, &sign_up, 8, seconds).per_second());
        }
        self.rows.push(Row::pair("sign-in", "req/s", &ins, ("floor (c)", &floor), Some(AtLeast(0.90))));
        self.rows.push(Row::pair("sign-up", "req/s", &ups, ("floor (c)", &floor), Some(AtLeast(0.90))));
    }

    /// 64 clients sign in without pause.
    fn storm(&mut self) {
        let redis = Redis::start();
        let members = scene::populate(&scene::redis_config(&redis), 1_000, 1_000, 1);
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
        self.rows.push(Row::pair("user in a storm", "req/s", &stormy, against, Some(AtLeast(0.85))));
        let name = format!("user in a storm: p99 at {STORM_RATE} req/s");
        self.rows.push(Row::pair(&name, "ms", &stormy_p99, ("quiet", &quiet_p99), Some(AtMost(1.5))));
        self.rows.push(Row::single("livez in a storm: p99", "ms", &livez, Some(AtMost(20.0))));
        self.rows.push(Row::single("sign-ins in that storm", "req/s", &ins, None));
        let cores = thread::available_parallelism().unwrap().get() as f64;
        let most = [ours.memory_mib("VmHWM")];
        self.rows.push(Row::single("memory in a storm", "MiB", &most, Some(AtMost(64.0 + cores * 19.0))));
        self.pictures.latency(&format!("auth-service before the storm, {STORM_RATE} req/s"), &quiet_latencies);
        self.pictures.latency(&format!("auth-service in a storm, {STORM_RATE} req/s"), &stormy_latencies);
        self.overload(&ours, &members, start_storm(4 * CONNECTIONS, 3));
    }

    /// More sign-ins than the queue holds.
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
        assert!(!took.is_empty(), "256 clients do not fill the queue");
        self.rows.push(Row::single("503 beyond the queue", "ms", &took, Some(AtMost(20.0))));
    }

    fn refresh(&mut self) {
        let redis = Redis::start();
        let [members, others] = [(); 2].map(|()| scene::populate(&scene::redis_config(&redis), 1_000, 1_000, 1));
        let users = get_user(&members);
        let refresh = |members: &[Member], name| {
            let body = |member: &Member| format!(r#"{{"refresh_token": "{}"}}"#, member.refresh_token);
            let refresh = |member| ["POST".into(), "/refresh-access-token".into(), String::new(), body(member)];
            Requests::new(name, members.iter().cycle().take(TOKENS).map(refresh))
        };
        let (refreshes, longer_lives) = (refresh(&members, "refresh"), refresh(&others, "longer"));
        let ours = scene::server(&[("REDIS_URL", &redis.url())]);
        // Its access tokens would outlive the session, which each refresh then makes live longer.
        let lifetime = scene::REFRESH_TTL_SECONDS.to_string();
        let longer = scene::server(&[("REDIS_URL", &redis.url()), ("ACCESS_TOKEN_TTL_SECONDS", &lifetime)]);
        let floor = scene::floor(Floor::Mget, Shape::PerCore, &redis);
        let loads =
            [(&ours, &refreshes), (&ours, &users), (&longer, &longer_lives), (&floor, &refreshes), (&floor, &users)];
        let (mut throughput, mut cpu) = ([const { Vec::new() }; 5], [const { Vec::new() }; 5]);
        for n in self.turns(loads.len()) {
            let (server, requests) = loads[n];
            let (load, cost) = with_cpu(server, || closed_loop(server.port, requests, CONNECTIONS, THROUGHPUT_SECONDS));
            throughput[n].push(load.per_second());
            cpu[n].push(cost);
        }
        let [refreshes, users, longer, floor_refreshes, floor_users] = &throughput;
        let against = "GET /user";
        self.rows.push(Row::pair("refresh", "req/s", refreshes, (against, users), Some(AtLeast(0.80))));
        self.rows.push(Row::pair("refresh: CPU", "µs/req", &cpu[0], (against, &cpu[1]), None));
        let name = "refresh that makes a session live longer";
        self.rows.push(Row::pair(name, "req/s", longer, (against, users), None));
        self.rows.push(Row::pair("refresh by floor (b)", "req/s", floor_refreshes, (against, floor_users), None));
        let floor = ("floor (b)", floor_refreshes.as_slice());
        self.rows.push(Row::pair("refresh, against the floor", "req/s", refreshes, floor, None));
    }

    fn removal(&mut self) {
        let redis = Redis::start();
        let config = scene::redis_config(&redis);
        let each = 100;
        let [one, hundred] = [1, 100].map(|sessions| scene::populate(&config, each, each, sessions));
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
        // Of 20 each: a single one says more of the scheduler than of the server.
        let [hundred, one] = took.map(|took| took.chunks(20).map(crate::report::median).collect::<Vec<_>>());
        self.rows.push(Row::pair(
            "removal of 100 sessions",
            "µs",
            &hundred,
            ("of 1 session", &one),
            Some(AtMost(1.10)),
        ));
    }

    fn size(&mut self) {
        let sizes: &[usize] = if self.quick { &[1_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
        let mut stores = Vec::new();
        for &users in sizes {
            let redis = Redis::start();
            let (config, live) = (scene::redis_config(&redis), users.min(100_000));
            let empty = redis.used_memory();
            scene::populate(&config, users - live, 0, 0);
            let per_user = (redis.used_memory() - empty) as f64 / (users - live) as f64;
            let members = scene::populate(&config, live, live, 1);
            let with_sessions = redis.used_memory();
            if users == *sizes.last().unwrap() {
                self.bytes(per_user, live, with_sessions - empty);
            }
            let server = scene::server(&[("REDIS_URL", &redis.url())]);
            let requests = get_user(&members);
            // Each has a file of its own: all of them take turns.
            let requests = requests.renamed(&format!("user-{users}"));
            stores.push((users, redis, server, requests));
        }
        // What Redis alone makes of its size.
        let floors = [0, stores.len() - 1].map(|n| scene::floor(Floor::Mget, Shape::PerCore, &stores[n].1));
        let mut throughput = vec![vec![]; stores.len()];
        let mut floor_throughput = [vec![], vec![]];
        let mut cpu = vec![vec![]; stores.len()];
        for n in self.turns(stores.len() + floors.len()) {
            if let Some((_, redis, server, requests)) = stores.get(n) {
                let before = redis.cpu();
                let load = || closed_loop(server.port, requests, CONNECTIONS, THROUGHPUT_SECONDS);
                let (load, cost) = with_cpu(server, load);
                throughput[n].push(load.per_second());
                cpu[n].push(cost + (redis.cpu() - before).as_secs_f64() * 1e6 / load.requests as f64);
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
        let costs = sizes.iter().zip(&cpu).map(|(users, cpu)| (*users as f64, crate::report::median(cpu)));
        self.pictures.sizes = costs.collect();
        drop(stores);
        self.embedded_file();
    }

    /// Of Redis, all keys counted.
    fn bytes(&mut self, per_user: f64, live: usize, all: u64) {
        let redis = Redis::start();
        let config = scene::redis_config(&redis);
        // The live ones may be all that there are.
        let (per_user, live, all) = if per_user.is_finite() {
            let empty = redis.used_memory();
            scene::populate(&config, live, live, 1);
            (per_user, live, redis.used_memory() - empty)
        } else {
            let empty = redis.used_memory();
            scene::populate(&config, live, 0, 0);
            ((redis.used_memory() - empty) as f64 / live as f64, live, all)
        };
        let per_session = all as f64 / live as f64 - per_user;
        self.rows.push(Row::single("Redis memory of a user", "bytes", &[per_user], Some(AtMost(350.0))));
        self.rows.push(Row::single("Redis memory of a live session", "bytes", &[per_session], Some(AtMost(600.0))));
    }

    fn embedded_file(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let users = if self.quick { 10_000 } else { 100_000 };
        scene::populate(&embedded_config(&data), users, users / 10, 1);
        let file = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let file = file.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let metadata = fs::metadata(&file).unwrap();
        let stored = redb::Database::open(&file).unwrap().begin_write().unwrap().stats().unwrap().stored_bytes() as f64;
        let against = ("keys and values", &[stored][..]);
        let name = format!("embedded file, {users} users");
        // redb makes the file longer ahead of what it writes, and does not always cut it: holes, which take no room.
        let on_disk = [(metadata.blocks() * 512) as f64];
        self.rows.push(Row::pair(&name, "bytes", &on_disk, against, Some(AtMost(2.0))));
        self.rows.push(Row::pair(&(name + ": its length"), "bytes", &[metadata.len() as f64], against, None));
    }

    fn start(&mut self) {
        let redis = Redis::start();
        let (mut ready, mut at_rest) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (milliseconds, server) = scene::milliseconds_until_ready(&[("REDIS_URL", &redis.url())]);
            ready.push(milliseconds);
            sleep(Duration::from_millis(500));
            at_rest.push(server.memory_mib("VmRSS"));
        }
        let binary = fs::metadata(env!("CARGO_BIN_EXE_auth-service")).unwrap().len() as f64 / f64::from(1 << 20);
        self.rows.push(Row::single("exec to ready, on Redis", "ms", &ready, Some(AtMost(100.0))));
        self.rows.push(Row::single("memory at rest", "MiB", &at_rest, Some(AtMost(15.0))));
        self.rows.push(Row::single("stripped binary", "MiB", &[binary], Some(AtMost(12.0))));
    }

    /// Which runtime: floor (b) in each shape, with many connections and with few.
    fn runtimes(&mut self) {
        let redis = Redis::start();
        let members = scene::populate(&scene::redis_config(&redis), 1_000, 1_000, 1);
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

fn embedded_config(data: &Path) -> StoreConfig {
    StoreConfig::Embedded { directory: data.to_owned() }
}
