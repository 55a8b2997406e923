//! The state that all parts share, how long each load runs, and the requests.

use std::path::Path;

use auth_service_store::settings::StoreSettings;

use crate::{
    generator::{Load, Requests},
    picture::Pictures,
    populate::Member,
    report::Row,
    scene::{PASSWORD, Process},
};

pub(super) const CONNECTIONS: usize = 64;
/// The number of connections that a load balancer keeps open.
pub(super) const FEW_CONNECTIONS: usize = 4;
/// A rate that leaves the machine idle for half of the time, so that the latency is not the latency of a saturated
/// machine.
pub(super) const STEADY_RATE: u32 = 5_000;
pub(super) const STORM_RATE: u32 = 5_000;
pub(super) const THROUGHPUT_SECONDS: u64 = 1;
pub(super) const LATENCY_SECONDS: u64 = 2;
/// The number of tokens is the same in each case, so that the client reads the same amount of memory.
pub(super) const TOKENS: usize = 20_000;

/// The state that all parts share.
pub(crate) struct Bench {
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) pictures: Pictures,
}

pub(super) fn get_user(members: &[Member]) -> Requests {
    let tokens = members.iter().cycle().take(TOKENS);
    Requests::new("user", tokens.map(|member| ["GET", "/user", &member.access_token, ""].map(str::to_owned)))
}

pub(super) fn sign_in(members: &[Member]) -> Requests {
    let body = |member: &Member| format!(r#"{{"email": "{}", "password": "{PASSWORD}"}}"#, member.email);
    let request = |member| ["POST".to_owned(), "/authenticate".to_owned(), String::new(), body(member)];
    Requests::new("sign-in", members.iter().map(request))
}

/// Runs a load. Also returns the CPU time that the process took for each request, in microseconds.
pub(super) fn with_cpu(process: &Process, load: impl FnOnce() -> Load) -> (Load, f64) {
    let before = process.cpu();
    let load = load();
    let cpu = (process.cpu() - before).as_secs_f64() * 1e6 / load.requests as f64;
    (load, cpu)
}

impl Bench {
    /// The order of the turns. Turns are short and many, because the machine's speed changes within seconds. Every
    /// other round runs in reverse order, so that no process always runs after the same other process.
    pub(super) fn turns(&self, of: usize) -> impl Iterator<Item = usize> + use<> {
        let rounds = if self.quick { 2 } else { 11 };
        (0..rounds * of).map(move |turn| match (turn / of % 2, turn % of) {
            (0, n) => n,
            (_, n) => of - 1 - n,
        })
    }

    /// The number of rounds of a longer part.
    pub(super) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    /// How long a load of a longer part runs.
    pub(super) fn seconds(&self) -> u64 {
        if self.quick { 3 } else { 4 }
    }
}

pub(super) fn embedded_settings(data: &Path) -> StoreSettings {
    StoreSettings::Embedded { directory: data.to_owned() }
}
