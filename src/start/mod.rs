//! Starts the server: opens and inspects the store, binds, starts the workers, and serves until a signal to stop.

mod inspection;
mod mails;
mod process;
mod secrets;
mod workers;

use std::{io, process::ExitCode, sync::Arc, thread, time::Duration};

use auth_service_password::Passwords;
use auth_service_records::{clock::Clock, sealing::FactorKeys, session::SessionPolicy};
use auth_service_store::backend::Backend;
use auth_service_token::Tokens;
use tokio::{net::TcpListener, runtime, sync::watch};

use self::{
    inspection::Inspection,
    mails::mails,
    process::{outlive_hang_ups, raise_file_limit, stop_signal},
    workers::start_workers,
};
use crate::{
    audit::{self, Audit},
    auth::{Mails, Parts, RevocationFeed},
    cli,
    config::{Config, Listen, TokenRemoval},
    http::{self, ConnectionLimits, Leave, Phase, Server},
    log::Trail,
    metrics::Metrics,
    trace::{self, Tracer},
    webhooks::{self, Webhooks},
};

/// Serves until a signal to stop. The exit code is 0 after a requested stop, 1 when the server cannot serve, and 2 when
/// a setting is wrong.
#[must_use]
pub fn run(config: Config, trail: Trail) -> ExitCode {
    let (policy, clock) = (policy(&config), Clock::new());
    let backend = match Backend::open(&config.store, policy, clock.clone()) {
        Ok(backend) => backend,
        Err(error) => return cli::cannot_open(&error),
    };
    let tracer = match tracer() {
        Ok(tracer) => tracer,
        Err(error) => return cli::wrong_settings(&[error.to_string()]),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map(|runtime| runtime.block_on(serve(config, backend, trail, policy, clock, tracer.as_ref())));
    if let Some(tracer) = tracer {
        tracer.flush();
    }
    match served {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => cli::failed(&error),
    }
}

fn policy(config: &Config) -> SessionPolicy {
    SessionPolicy {
        access_seconds: config.access_seconds,
        refresh_seconds: config.refresh_seconds,
        rotation: config.rotation,
        grace_seconds: config.grace_seconds,
        max_age_seconds: config.session_max_age_seconds,
        max_sessions: config.max_sessions_per_user,
    }
}

async fn serve(
    config: Config,
    backend: Backend,
    trail: Trail,
    policy: SessionPolicy,
    clock: Clock,
    tracer: Option<&Tracer>,
) -> io::Result<ExitCode> {
    let trail_file = trail.clone();
    outlive_hang_ups(move || trail_file.reopen())?;
    // `None` only with the embedded store, which has no secrets to compare.
    let secrets = config.secrets.as_ref().map(|secrets| secrets.tokens().check_values());
    let inspection = match Inspection::at_start(&backend, secrets).await {
        Ok(inspection) => inspection,
        Err(code) => return Ok(code),
    };
    let cores = thread::available_parallelism()?.get();
    let secrets = secrets::of(&config)?;
    let tokens = match secrets::tokens(&config, &secrets, &backend, clock.clone()).await {
        Ok(tokens) => tokens,
        Err(sentence) => return Ok(cli::wrong_settings(&[sentence])),
    };
    let metrics = Metrics::default();
    let audit = Audit { emails: config.audit_emails, trail, metrics: metrics.audit.clone() };
    let mut parts = parts(&config, tokens, secrets.factor_keys(), audit, policy, clock.clone(), cores)?;
    let webhooks = start_webhooks(&config, &metrics, &backend, &mut parts).await?;
    follow_revocations(&config, &backend, &parts);
    let listener = bind(&config.listen, "HOST or PORT").await?;
    start_metrics(&config, &metrics, &backend, &parts).await?;
    let (phase_sender, phase) = watch::channel(Phase::Serving);
    let workers = start_workers(&config, &backend, &parts, &metrics, tracer, &phase, cores).await?;
    let mut refused = inspection.watch(backend.clone(), clock);
    let leave = leave(stop_signal()?, refused.clone());
    tracing::info!("listening on http://{}, on {}", listener.local_addr()?, backend.describe());
    warn_of_open_removal(config.token_removal);
    raise_file_limit(config.max_connections);
    let connections = ConnectionLimits {
        total: config.max_connections,
        per_address: config.max_connections_per_address,
        exempt: config.trusted_proxies,
    };
    let (shutdown_delay, metrics) = (config.shutdown_delay, metrics.http);
    let server = Server { listener, workers, connections, shutdown_delay, metrics };
    let closing = server.run(phase_sender, leave).await;
    finish(parts.mails, webhooks, config.shutdown_timeout.saturating_sub(closing.elapsed())).await;
    tracing::info!("stopped");
    let refusals = refused.borrow_and_update();
    Ok(if refusals.is_empty() { ExitCode::SUCCESS } else { cli::wrong_settings(&refusals) })
}

/// Returns at a signal to stop, or when a late inspection refuses the store.
async fn leave(stop: impl Future<Output = Leave>, mut refused: watch::Receiver<Vec<String>>) -> Leave {
    tokio::select! {
        leave = stop => leave,
        Ok(_) = refused.wait_for(|refusals| !refusals.is_empty()) => Leave::AfterDelay,
    }
}

/// Sends the mails and webhooks that wait, within the limit.
async fn finish(mails: Option<Mails>, webhooks: Option<Webhooks>, limit: Duration) {
    let mails = async {
        if let Some(mails) = mails {
            mails.mail.finish(limit).await;
        }
    };
    let webhooks = async {
        if let Some(webhooks) = webhooks {
            webhooks.stop(limit).await;
        }
    };
    tokio::join!(mails, webhooks);
}

fn parts(
    config: &Config,
    tokens: Tokens,
    factor_keys: FactorKeys,
    audit: Audit,
    policy: SessionPolicy,
    clock: Clock,
    cores: usize,
) -> io::Result<Parts> {
    let hashing = auth_service_password::Settings {
        cost: config.passwords.cost,
        rules: config.passwords.rules.clone(),
        threads: cores,
        // A password change verifies one password and hashes another, and the store needs time too.
        deadline: config.request_timeout * 3 / 4,
    };
    Ok(Parts {
        tokens: Arc::new(tokens),
        factor_keys: Arc::new(factor_keys),
        passwords: Passwords::start(hashing)?,
        policy,
        address_limit: config.address_limit,
        signup_limit_per_hour: config.signup_limit_per_hour,
        mails: mails(config.mail.clone())?,
        revocations: RevocationFeed::new(policy.access_seconds),
        audit,
        webhooks: None,
        clock,
    })
}

fn warn_of_open_removal(removal: TokenRemoval) {
    if removal == TokenRemoval::Open {
        let message = "TOKEN_REMOVAL=open: anyone can end the sessions of any email; owner or off is safer";
        audit::settings_warning("TOKEN_REMOVAL", message);
    }
}

/// Reads the feed of revocations in the background, if anybody may ask for it.
fn follow_revocations(config: &Config, backend: &Backend, parts: &Parts) {
    if config.resource_servers.count() > 0 {
        let (feed, backend) = (parts.revocations.clone(), backend.clone());
        tokio::spawn(async move { feed.follow(backend.connect().await).await });
    }
}

/// Starts the delivery of webhooks, if there is a receiver.
async fn start_webhooks(
    config: &Config,
    metrics: &Metrics,
    backend: &Backend,
    parts: &mut Parts,
) -> io::Result<Option<Webhooks>> {
    let Some(settings) = &config.webhooks else { return Ok(None) };
    parts.webhooks = Some(metrics.webhooks.clone());
    webhooks::start(settings, backend, metrics.webhooks.clone(), parts.clock.clone()).await.map(Some)
}

/// `settings` names the settings of the address, for the error.
async fn bind(listen: &Listen, settings: &str) -> io::Result<TcpListener> {
    let explain = |error| io::Error::other(format!("cannot listen on {listen}: {error}; set another {settings}"));
    TcpListener::bind((listen.host.as_str(), listen.port)).await.map_err(explain)
}

/// Serves the metrics until the process ends, if `METRICS_LISTEN` is set.
async fn start_metrics(config: &Config, metrics: &Metrics, backend: &Backend, parts: &Parts) -> io::Result<()> {
    let Some(listen) = &config.metrics_listen else { return Ok(()) };
    let listener = bind(listen, "METRICS_LISTEN").await?;
    tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
    tokio::spawn(http::serve_metrics(listener, metrics.registry(backend, parts)));
    Ok(())
}

/// Exports the spans of requests, if the environment names a collector.
fn tracer() -> io::Result<Option<Tracer>> {
    if !trace::is_wanted() {
        return Ok(None);
    }
    let tracer = Tracer::from_environment()?;
    if tracer.is_none() {
        let message = "this build cannot export traces, see docs/monitoring.md";
        audit::settings_warning("OTEL_EXPORTER_OTLP_ENDPOINT", message);
    }
    Ok(tracer)
}
