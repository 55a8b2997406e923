//! Inspects the store at the start, and again when an unreachable store comes back.

use std::{process::ExitCode, time::Duration};

use auth_service_store::{Finding, Verdict, backend::Backend};
use tokio::{sync::watch, time::sleep};

use crate::cli;

/// How often the clocks of the store and of this machine are compared.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// How often the server tries to inspect a store that was unreachable at the start.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(1);

/// The result of the inspection at the start.
pub(super) struct Inspection {
    /// Whether the whole store was reachable.
    complete: bool,
}

impl Inspection {
    /// Inspects the store. An unreachable store is not an error, because it may come back.
    ///
    /// # Errors
    /// The exit code, if the server must not serve on this store. The reason is already printed.
    pub(super) async fn at_start(backend: &Backend) -> Result<Self, ExitCode> {
        match backend.check().await {
            Ok(None) => match inspect(backend, Unreachable::Warn).await {
                Ok(complete) => Ok(Self { complete }),
                Err(refusals) => Err(cli::wrong_settings(&refusals)),
            },
            Ok(Some(reason)) => {
                tracing::warn!("{reason}; this server is not ready until the store is reachable");
                Ok(Self { complete: false })
            }
            Err(error) => Err(cli::cannot_open(&error)),
        }
    }

    /// Watches the store from now on. The receiver gets the reasons to stop, if an unreachable store comes back and the
    /// server must not serve on it.
    pub(super) fn watch(self, backend: Backend) -> watch::Receiver<Vec<String>> {
        let (refusals, refused) = watch::channel(Vec::new());
        if !self.complete {
            tokio::spawn(inspect_until_complete(backend.clone(), refusals));
        }
        tokio::spawn(watch_clocks(backend));
        refused
    }
}

/// Whether an unreachable part of the store causes a warning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unreachable {
    Warn,
    Ignore,
}

/// Logs a warning for each risk of the store. Returns whether the whole store was reachable.
///
/// # Errors
/// A sentence for each reason why the server must not start.
async fn inspect(backend: &Backend, unreachable: Unreachable) -> Result<bool, Vec<String>> {
    let findings = match backend.inspect().await {
        Ok(findings) => findings,
        Err(reason) => {
            if unreachable == Unreachable::Warn {
                tracing::warn!("{reason}; the server inspects the store when it is reachable");
            }
            return Ok(false);
        }
    };
    let sentence =
        |finding: &Finding| format!("{} at {}: {}: {}", finding.check, finding.place, finding.seen, finding.advice);
    let of = |verdict| findings.iter().filter(move |finding| finding.verdict == verdict);
    let refusals: Vec<_> = of(Verdict::Refusal).map(sentence).collect();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let complete = !findings.iter().any(Finding::is_unreachable);
    // An incomplete inspection is repeated, and the first complete one logs all warnings.
    if complete || unreachable == Unreachable::Warn {
        for warning in of(Verdict::Warning) {
            tracing::warn!("{}", sentence(warning));
        }
    }
    Ok(complete)
}

async fn inspect_until_complete(backend: Backend, refusals: watch::Sender<Vec<String>>) {
    loop {
        sleep(INSPECTION_INTERVAL).await;
        match inspect(&backend, Unreachable::Ignore).await {
            Ok(false) => {}
            Ok(true) => return,
            Err(found) => {
                for refusal in &found {
                    tracing::error!("{refusal}; the server stops");
                }
                refusals.send_replace(found);
                return;
            }
        }
    }
}

async fn watch_clocks(backend: Backend) {
    let mut reported = Vec::new();
    loop {
        sleep(CLOCK_INTERVAL).await;
        let skewed = backend.skewed_clocks().await;
        for skew in skewed.iter().filter(|_| reported.is_empty()) {
            tracing::warn!("{skew}: run NTP on both machines");
        }
        reported = skewed;
    }
}
