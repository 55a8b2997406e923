//! Registers tests, each on the stores it runs on, and says which were left out for want of a program.

use std::{
    path::Path,
    process::ExitCode,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::redis_server::RedisServer;

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
static PROGRAMS: LazyLock<[(&str, bool); 2]> = LazyLock::new(|| ["redis-server", "haproxy"].map(|p| (p, on_path(p))));

/// Registers each named function of the module, under the heading that says where it runs:
/// `every_store` (a `fn(Store)`, run on both), `redis`, `haproxy` (which needs Redis too) and `plain` (a `fn()`).
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

fn needs(store: Store) -> &'static [&'static str] {
    match store {
        Store::Redis => &["redis-server"],
        Store::Embedded => &[],
    }
}

pub(crate) fn every_store(module: &str, name: &str, test: fn(Store)) -> Vec<Case> {
    let on = |store, suffix| case(&format!("{}::{suffix}", path(module, name)), needs(store), move || test(store));
    vec![on(Store::Redis, "redis"), on(Store::Embedded, "embedded")]
}

pub(crate) fn redis(module: &str, name: &str, test: fn()) -> Vec<Case> {
    vec![case(&path(module, name), &["redis-server"], test)]
}

pub(crate) fn haproxy(module: &str, name: &str, test: fn()) -> Vec<Case> {
    vec![case(&path(module, name), &["redis-server", "haproxy"], test)]
}

pub(crate) fn plain(module: &str, name: &str, test: fn()) -> Vec<Case> {
    vec![case(&path(module, name), &[], test)]
}

fn path(module: &str, name: &str) -> String {
    format!("{}::{name}", module.trim_start_matches("api::"))
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
