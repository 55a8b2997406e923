//! Inspects the store at the start, and again when an unreachable store comes back.

use std::{process::ExitCode, time::Duration};

use auth_service_records::clock::Clock;
use auth_service_store::{Finding, Verdict, backend::Backend};
use auth_service_token::SecretsCheck;
use tokio::{sync::watch, time::sleep};

use crate::cli;

/// How often the clocks of the store and of this machine are compared.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the server tries to inspect a store that was unreachable at the start.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(1);

/// The result of the inspection at the start.
pub(super) struct Inspection {
    /// The check values of the signing secrets in the settings.
    secrets: Option<SecretsCheck>,
    /// Whether the whole store was reachable.
    complete: bool,
}

impl Inspection {
    /// Inspects the store, and enters the `secrets` into the store. An unreachable store is not an error, because it may
    /// come back.
    ///
    /// # Errors
    /// The exit code, if the server must not serve on this store. The reason is already printed.
    pub(super) async fn at_start(backend: &Backend, secrets: Option<SecretsCheck>) -> Result<Self, ExitCode> {
        match backend.check().await {
            Ok(None) => match inspect(backend, secrets.as_ref(), Unreachable::Warn).await {
                Ok(complete) => Ok(Self { secrets, complete }),
                Err(refusals) => Err(cli::wrong_settings(&refusals)),
            },
            // The first connection logs why it fails.
            Ok(Some(_)) => Ok(Self { secrets, complete: false }),
            Err(error) => Err(cli::cannot_open(&error)),
        }
    }

    /// Watches the store from now on. The receiver gets the reasons to stop, if an unreachable store comes back and the
    /// server must not serve on it.
    pub(super) fn watch(self, backend: Backend, clock: Clock) -> watch::Receiver<Vec<String>> {
        let (refusals, refused) = watch::channel(Vec::new());
        if !self.complete {
            tokio::spawn(inspect_until_complete(backend, self.secrets, refusals));
        }
        tokio::spawn(watch_clock(clock));
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
async fn inspect(
    backend: &Backend,
    secrets: Option<&SecretsCheck>,
    unreachable: Unreachable,
) -> Result<bool, Vec<String>> {
    let mut findings = match backend.inspect().await {
        Ok(findings) => findings,
        Err(reason) => {
            if unreachable == Unreachable::Warn {
                tracing::warn!("{reason}; the server inspects the store when it is reachable");
            }
            return Ok(false);
        }
    };
    // A server that does not start must not enter its secrets.
    if let Some(secrets) = secrets.filter(|_| findings.iter().all(|finding| finding.verdict != Verdict::Refusal)) {
        findings.extend(backend.enter_secrets(secrets).await);
    }
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
        // `watch_clock` warns of a clock once, also later.
        for warning in of(Verdict::Warning).filter(|finding| !finding.is_about_a_clock()) {
            tracing::warn!("{}", sentence(warning));
        }
    }
    Ok(complete)
}

async fn inspect_until_complete(backend: Backend, secrets: Option<SecretsCheck>, refusals: watch::Sender<Vec<String>>) {
    loop {
        sleep(INSPECTION_INTERVAL).await;
        match inspect(&backend, secrets.as_ref(), Unreachable::Ignore).await {
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

/// Logs the difference between the clocks of the store and of this machine when it matters, and when it changes much.
async fn watch_clock(clock: Clock) {
    let mut known = None;
    loop {
        if let Some(skew) = clock.skew().filter(|skew| skew.is_news_after(known)) {
            if skew.matters() {
                tracing::warn!(
                    "the clock of the store is {skew}: tokens follow the store and stay valid, but run NTP on all machines"
                );
            } else {
                tracing::info!("the clocks of the store and of this machine agree again");
            }
            known = Some(skew);
        }
        sleep(CLOCK_INTERVAL).await;
    }
}
