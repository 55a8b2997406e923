//! The log: one line for each event on standard output, as JSON for programs or as text for people.

mod fields;
mod json;
mod writer;

use std::{
    env,
    io::{self, IsTerminal},
    iter,
};

use tracing_subscriber::{
    filter::{ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub use self::writer::Guard;
use self::writer::Lines;
use crate::config::LogFormat;

/// Sends all events of the process to standard output. Without a `format`, the log is text on a terminal and JSON
/// elsewhere. `RUST_LOG` sets the levels. The guard writes the last lines when it is dropped.
///
/// # Errors
/// When the operating system provides no thread, or when the process already has a log.
pub fn start(format: Option<LogFormat>) -> io::Result<Guard> {
    let directives = env::var_os("RUST_LOG").unwrap_or_default();
    let parsed = levels(&directives.to_string_lossy());
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let on_terminal = io::stdout().is_terminal();
    let default = if on_terminal { LogFormat::Text } else { LogFormat::Json };
    let (lines, guard) = Lines::start(io::stdout(), |lines| {
        tracing::warn!(lines, "log lines were dropped, because standard output accepted them too slowly");
    })?;
    let events = tracing_subscriber::registry().with(parsed.unwrap_or_else(|_| info()));
    let started = match format.unwrap_or(default) {
        LogFormat::Json => events.with(json::layer(lines)).try_init(),
        LogFormat::Text => events.with(fmt::layer().with_ansi(on_terminal).with_writer(lines)).try_init(),
    };
    started.map_err(io::Error::other)?;
    if let Some(problem) = problem {
        tracing::warn!("RUST_LOG is ignored: {problem}; use the form info,audit=off,auth_service_store=debug");
    }
    Ok(guard)
}

fn info() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

/// Reads directives such as `warn,audit=off`. A target that none of them names has the level info.
fn levels(directives: &str) -> Result<Targets, ParseError> {
    let given = directives.split(',').map(str::trim).filter(|part| !part.is_empty());
    // A level without a target replaces an earlier one.
    let all: Vec<_> = iter::once("info").chain(given).collect();
    all.join(",").parse()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn directives_set_the_level_of_each_target_and_the_rest_is_info() {
        type Target = (&'static str, Level);
        let cases: [(&str, &[Target], &[Target]); 7] = [
            ("", &[("audit", Level::INFO)], &[("audit", Level::DEBUG)]),
            ("info,audit=off", &[("auth_service", Level::INFO)], &[("audit", Level::ERROR)]),
            ("off,audit=info", &[("audit", Level::INFO)], &[("auth_service", Level::ERROR)]),
            ("warn, auth_service=info ,", &[("auth_service::http", Level::INFO)], &[("redis", Level::INFO)]),
            ("auth_service_store=debug", &[("auth_service_store::redis", Level::DEBUG)], &[("audit", Level::DEBUG)]),
            ("trace", &[("hyper", Level::TRACE)], &[]),
            ("no_such_target", &[("audit", Level::INFO)], &[("audit", Level::DEBUG)]),
        ];
        for (directives, enabled, disabled) in cases {
            let levels = levels(directives).unwrap();
            for (target, level) in enabled {
                assert!(levels.would_enable(target, level), "{directives}: {target} {level}");
            }
            for (target, level) in disabled {
                assert!(!levels.would_enable(target, level), "{directives}: {target} {level}");
            }
        }
    }

    #[test]
    fn a_directive_with_an_unknown_level_is_an_error() {
        for directives in ["audit=loud", "info,audit=of", "a=b=info"] {
            assert!(levels(directives).is_err(), "{directives}");
        }
    }
}
