//! Registers tests, each on the stores it runs on, and says which were left out for want of a program.

use std::{
    path::Path,
    process::ExitCode,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{app::published_port, redis_server::RedisServer, topology::Shared};

/// The store under a test's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Redis,
    Embedded,
}

/// A registered test.
pub(crate) struct Case {
    trial: Trial,
    /// What it lacks on this machine.
    missing: Vec<&'static str>,
}

/// The programs that tests start beside the server, each with whether it is installed.
static PROGRAMS: LazyLock<[(&str, bool); 3]> =
    LazyLock::new(|| ["redis-server", "haproxy", "openssl"].map(|p| (p, on_path(p))));

static HAS_TLS: LazyLock<bool> = LazyLock::new(RedisServer::has_tls);

/// Registers each named function of the module, under the heading that says where it runs:
/// `every_store` (a `fn(Store)`, run on both), `with_settings` (likewise, on a server of the test's own), `redis`, `haproxy`, `tls` and `slow_loading` (which need Redis too) and `plain` (a `fn()`).
#[macro_export]
macro_rules! suite {
    ($($place:ident: [$($name:ident),* $(,)?])*) => {
        pub(crate) fn tests() -> Vec<$crate::runner::Case> {
            let mut cases = Vec::new();
            $($(cases.extend($crate::runner::$place(module_path!(), stringify!($name), $name));)*)*
            cases
        }
    };
}

/// Whether only the tests of every store run: on a Redis of another form than single, or on a deployment.
fn elsewhere() -> bool {
    Shared::name() != "redis" || published_port().is_some()
}

/// The tests that look at a server through its answers alone.
const PUBLISHED: [&str; 7] =
    ["authenticate", "current_user", "json", "old_client", "refresh_access_token", "remove_access_token", "sign_up"];

/// Whether only the tests with a Redis run, on another one than the installed.
fn matrix() -> bool {
    std::env::var_os("TEST_REDIS_SERVER").is_some()
}

fn needs(store: Store) -> &'static [&'static str] {
    match store {
        Store::Redis => &["redis-server"],
        Store::Embedded => &[],
    }
}

pub(crate) fn every_store(module: &str, name: &str, test: fn(Store)) -> Vec<Case> {
    if published_port().is_some() {
        let about_requests = PUBLISHED.iter().any(|name| module.ends_with(&format!("::{name}")));
        return about_requests
            .then(|| case(&format!("{}::published", path(module, name)), &[], move || test(Store::Redis)))
            .into_iter()
            .collect();
    }
    let on = |store, suffix| case(&format!("{}::{suffix}", path(module, name)), needs(store), move || test(store));
    if elsewhere() {
        return vec![on(Store::Redis, Shared::name())];
    }
    if matrix() {
        return vec![on(Store::Redis, Shared::name())];
    }
    vec![on(Store::Redis, Shared::name()), on(Store::Embedded, "embedded")]
}

/// As `every_store`, for a test that needs a server with other settings than a deployment has.
pub(crate) fn with_settings(module: &str, name: &str, test: fn(Store)) -> Vec<Case> {
    if published_port().is_some() { Vec::new() } else { every_store(module, name, test) }
}

pub(crate) fn redis(module: &str, name: &str, test: fn()) -> Vec<Case> {
    unless_elsewhere(case(&path(module, name), &["redis-server"], test))
}

pub(crate) fn haproxy(module: &str, name: &str, test: fn()) -> Vec<Case> {
    if matrix() {
        return Vec::new();
    }
    unless_elsewhere(case(&path(module, name), &["redis-server", "haproxy"], test))
}

/// With a Redis that was built with TLS; certificates are made by openssl.
pub(crate) fn tls(module: &str, name: &str, test: fn()) -> Vec<Case> {
    if matrix() && !*HAS_TLS {
        eprintln!("left out, because this Redis was built without TLS: {}", path(module, name));
        return Vec::new();
    }
    unless_elsewhere(case(&path(module, name), &["redis-server", "openssl"], test))
}

/// With a Redis that can be made to load so slowly that it answers meanwhile, which came with 7.0.
pub(crate) fn slow_loading(module: &str, name: &str, test: fn()) -> Vec<Case> {
    if !is_known("--loading-process-events-interval-bytes", "1024", module, name) {
        return Vec::new();
    }
    redis(module, name, test)
}

/// Of the installed Redis everything is asked; of another what it knows.
fn is_known(directive: &str, value: &str, module: &str, name: &str) -> bool {
    let known = !matrix() || RedisServer::knows(directive, value);
    if !known {
        eprintln!("left out, because this Redis does not know {directive}: {}", path(module, name));
    }
    known
}

pub(crate) fn plain(module: &str, name: &str, test: fn()) -> Vec<Case> {
    if matrix() {
        return Vec::new();
    }
    unless_elsewhere(case(&path(module, name), &[], test))
}

fn path(module: &str, name: &str) -> String {
    format!("{}::{name}", module.trim_start_matches("api::"))
}

fn unless_elsewhere(case: Case) -> Vec<Case> {
    if elsewhere() { Vec::new() } else { vec![case] }
}

fn case(name: &str, needs: &[&str], test: impl FnOnce() + Send + 'static) -> Case {
    let missing = |(program, there): &(&'static str, bool)| (!there && needs.contains(program)).then_some(*program);
    let missing: Vec<_> = PROGRAMS.iter().filter_map(missing).collect();
    let run = move || -> Result<(), Failed> {
        test();
        Ok(())
    };
    Case { trial: Trial::test(name, run).with_ignored_flag(!missing.is_empty()), missing }
}

/// Runs all, then stops the Redis server that tests share. With `TEST_LEAVE_NOTHING_OUT=1` a missing program is a failure.
pub(crate) fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let left_out = |case: &Case| {
        let missing = (!case.missing.is_empty()).then(|| case.missing.join(" and "))?;
        Some(format!("  {}: {missing} is not installed", case.trial.name()))
    };
    let left_out: Vec<_> = cases.iter().filter_map(left_out).collect();
    if !left_out.is_empty() && !arguments.list {
        eprintln!("left out (./test.sh installs what is missing):\n{}", left_out.join("\n"));
        if std::env::var_os("TEST_LEAVE_NOTHING_OUT").is_some() {
            return ExitCode::FAILURE;
        }
    }
    // Each test waits more than it works, and the slow-client tests wait for seconds.
    arguments.test_threads.get_or_insert(6);
    let conclusion = libtest_mimic::run(&arguments, cases.into_iter().map(|case| case.trial).collect());
    RedisServer::stop_shared();
    conclusion.exit_code()
}

/// For a test that takes the whole machine, or that needs it: one of them at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| Path::new(&directory).join(program).is_file())
}
