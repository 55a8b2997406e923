//! Registers tests, each on the stores it runs on, and says which were left out for want of a program.

use std::{path::Path, process::ExitCode, sync::LazyLock};

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
    needs_redis: bool,
}

static REDIS_SERVER: LazyLock<bool> = LazyLock::new(|| on_path("redis-server"));

/// Registers each named function of the module, under the heading that says where it runs:
/// `every_store` (a `fn(Store)`, run on both), `redis` and `plain` (a `fn()`).
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

pub(crate) fn every_store(module: &str, name: &str, test: fn(Store)) -> Vec<Case> {
    let on =
        |store, suffix| case(&format!("{}::{suffix}", path(module, name)), store == Store::Redis, move || test(store));
    vec![on(Store::Redis, "redis"), on(Store::Embedded, "embedded")]
}

pub(crate) fn redis(module: &str, name: &str, test: fn()) -> Vec<Case> {
    vec![case(&path(module, name), true, test)]
}

pub(crate) fn plain(module: &str, name: &str, test: fn()) -> Vec<Case> {
    vec![case(&path(module, name), false, test)]
}

fn path(module: &str, name: &str) -> String {
    format!("{}::{name}", module.trim_start_matches("api::"))
}

fn case(name: &str, needs_redis: bool, test: impl FnOnce() + Send + 'static) -> Case {
    let left_out = needs_redis && !*REDIS_SERVER;
    let run = move || -> Result<(), Failed> {
        test();
        Ok(())
    };
    Case { trial: Trial::test(name, run).with_ignored_flag(left_out), needs_redis }
}

/// Runs all, then stops the Redis server that tests share. With `TEST_LEAVE_NOTHING_OUT=1` a missing program is a failure.
pub(crate) fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !*REDIS_SERVER && !arguments.list {
        let names = cases.iter().filter(|case| case.needs_redis).map(|case| format!("  {}", case.trial.name()));
        eprintln!("left out, because redis-server is not installed (./test.sh installs it):");
        eprintln!("{}", names.collect::<Vec<_>>().join("\n"));
        if std::env::var_os("TEST_LEAVE_NOTHING_OUT").is_some() {
            return ExitCode::FAILURE;
        }
    }
    // Each test waits more than it works, and the slow-client tests wait for seconds.
    arguments.test_threads.get_or_insert(8);
    let conclusion = libtest_mimic::run(&arguments, cases.into_iter().map(|case| case.trial).collect());
    RedisServer::stop_shared();
    conclusion.exit_code()
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| Path::new(&directory).join(program).is_file())
}
