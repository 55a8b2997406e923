//! The log: one line for each event on standard output, as JSON for programs or as text for people. The lines of the
//! audit trail can have a file of their own.

mod fields;
mod json;
mod line;
mod metrics;
mod parts;
mod seldom;
mod trail;
mod writer;

use std::{
    env,
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt, ParseError, Targets, filter_fn},
    fmt,
    layer::{Layered, SubscriberExt},
    util::SubscriberInitExt,
};

pub use self::{
    line::TRAIL,
    seldom::Seldom,
    trail::{Trail, TrailFile},
};
use self::{
    line::is_of_trail,
    metrics::Metrics,
    trail::TrailWriter,
    writer::{Guard, Lines},
};
use crate::config::LogFormat;

type Events = Layered<Targets, Registry>;

/// The log of the process. Its drop writes the last lines.
pub struct Log {
    /// Dropped first, because lines that the file does not accept go to the other lines.
    _trail_lines: Option<Guard>,
    _lines: Guard,
    trail: Trail,
}

impl Log {
    /// The audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }
}

/// Sends all events of the process to standard output, and those of the audit trail to `file`, if given, as JSON.
/// Without a `format`, the log is text on a terminal and JSON elsewhere. `RUST_LOG` sets the levels.
///
/// # Errors
/// When the operating system provides no thread, or when the process already has a log.
pub fn start(format: Option<LogFormat>, file: Option<TrailFile>) -> io::Result<Log> {
    let parsed = given_levels();
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let on_terminal = io::stdout().is_terminal();
    let default = if on_terminal { LogFormat::Text } else { LogFormat::Json };
    let metrics = Metrics::default();
    // Standard output without the buffer of the library: lines in that buffer would count as written, and a failure
    // could lose them.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (lines, guard) = Lines::start("log", output, &metrics, |lines| {
        tracing::warn!(lines, "log lines were dropped, because standard output accepted them too slowly");
    })?;
    let mut full = vec![lines.full()];
    let mut layers: Vec<Box<dyn Layer<Events> + Send + Sync>> = Vec::new();
    let mut trail_guard = None;
    if let Some(file) = &file {
        let writer = TrailWriter { file: file.clone(), log: lines.clone(), failing: metrics.failing.clone() };
        let (trail_lines, guard) = Lines::start("audit", writer, &metrics, |_| ())?;
        full.push(trail_lines.full());
        layers.push(json::layer(trail_lines).with_filter(filter_fn(is_of_trail)).boxed());
        trail_guard = Some(guard);
    }
    let log = match format.unwrap_or(default) {
        LogFormat::Json => json::layer(lines).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(on_terminal).with_writer(lines).boxed(),
    };
    layers.push(if file.is_some() { log.with_filter(filter_fn(is_of_trail).not()).boxed() } else { log });
    let events = tracing_subscriber::registry().with(parsed.unwrap_or_else(|_| info()));
    events.with(layers).try_init().map_err(io::Error::other)?;
    if let Some(problem) = problem {
        tracing::warn!("RUST_LOG is ignored: {problem}; use the form info,audit=off,auth_service_store=debug");
    }
    Ok(Log { _trail_lines: trail_guard, _lines: guard, trail: Trail { full, file, metrics } })
}

fn info() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

fn given_levels() -> Result<Targets, ParseError> {
    levels(&env::var_os("RUST_LOG").unwrap_or_default().to_string_lossy())
}

/// Reads directives such as `warn,audit=off`. A target that none of them names has the level info. Only a directive that
/// names the audit trail changes its level, so that `warn` or `off` for a quiet log does not end the trail.
fn levels(directives: &str) -> Result<Targets, ParseError> {
    let given = directives.split(',').map(str::trim).filter(|part| !part.is_empty());
    // A level without a target, and a later level of a target, replace an earlier one.
    let all: Vec<_> = ["info", "audit=info"].into_iter().chain(given).collect();
    all.join(",").parse()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn directives_set_the_level_of_each_target_and_the_rest_is_info() {
        type Target = (&'static str, Level);
        let cases: [(&str, &[Target], &[Target]); 9] = [
            ("warn", &[("audit", Level::INFO), ("auth_service", Level::WARN)], &[("auth_service", Level::INFO)]),
            ("off", &[("audit", Level::INFO)], &[("auth_service", Level::ERROR)]),
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
