//! Settings, tracing, store, bind, serve until told to stop; nothing else.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
    thread,
};

use auth_service::{
    audit::{self, Audit},
    auth::{self, Auth},
    cli::{self, Invocation},
    clock::unix_seconds,
    config::{Config, LogFormat, StoreConfig, TokenRemoval},
    http::{self, App, AppState, Leave, Phase, Server, Worker},
    password::{HashCost, Passwords},
    secret::Secrets,
    session::SessionPolicy,
    store::Backend,
    throttle::AddressDigest,
    token::Tokens,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Of the store, the log and the runtimes, with some to spare.
const FILES_BESIDES_CONNECTIONS: u64 = 100;
/// Log lines that may wait to be written, about 3 MiB.
const LOG_LINES: usize = 10_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let sources = match cli::run() {
        Invocation::Serve(sources) => sources,
        Invocation::Done(code) => return code,
    };
    let config = match Config::load(&sources) {
        Ok(config) => config,
        Err(problems) => return cli::wrong_settings(&problems),
    };
    let _log = start_tracing(config.log_format);
    let policy = SessionPolicy {
        access_seconds: config.access_seconds,
        refresh_seconds: config.refresh_seconds,
        rotation: config.rotation,
        grace_seconds: config.grace_seconds,
        max_age_seconds: config.session_max_age_seconds,
        max_sessions: config.max_sessions_per_user,
    };
    let backend = match Backend::open(&config.store, policy) {
        Ok(backend) => backend,
        Err(error) => return cli::cannot_open(&error),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(serve(config, backend, policy))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => {
            eprintln!("auth-service: {error}");
            ExitCode::from(cli::FAILED)
        }
    }
}

async fn serve(config: Config, backend: Backend, policy: SessionPolicy) -> io::Result<ExitCode> {
    match backend.check().await {
        Ok(None) => {}
        Ok(Some(reason)) => tracing::warn!("{reason}; not ready until it is"),
        Err(error) => return Ok(cli::cannot_open(&error)),
    }
    let secrets = secrets(&config)?;
    let (access, refresh) = (secrets.access.expose().as_bytes(), secrets.refresh.expose().as_bytes());
    let cost = HashCost {
        memory_kib: config.argon2_memory_kib,
        iterations: config.argon2_iterations,
        parallelism: config.argon2_parallelism,
    };
    let cores = thread::available_parallelism()?.get();
    let shared = auth::Shared {
        tokens: Arc::new(Tokens::new(access, refresh)),
        passwords: Passwords::start(cost, config.password_min_score, cores)?,
        policy,
        addresses: Arc::new(AddressDigest::new(access)),
        address_limit: config.address_limit,
        signup_limit_per_hour: config.signup_limit_per_hour,
        audit: Audit { emails: config.audit_emails },
        clock: unix_seconds,
    };
    let listener = TcpListener::bind((config.host.as_str(), config.port)).await.map_err(|error| {
        io::Error::other(format!("cannot listen on {} port {}: {error}; set HOST and PORT", config.host, config.port))
    })?;
    let (phase_sender, phase) = watch::channel(Phase::Serving);
    let mut workers = Vec::with_capacity(cores);
    for n in 0..cores {
        let (backend, shared, proxies) = (backend.clone(), shared.clone(), config.trusted_proxies.clone());
        let phase_of_app = phase.clone();
        let build = move || async move {
            http::router(AppState::new(App {
                auth: Auth::new(backend.connect().await, shared),
                password_min_length: config.password_min_length,
                token_removal: config.token_removal,
                request_timeout: config.request_timeout,
                trusted_proxies: proxies,
                phase: phase_of_app,
            }))
        };
        workers.push(Worker::start(format!("http-{n}"), phase.clone(), config.shutdown_timeout, build).await?);
    }
    let leave = stop_signal()?;
    tracing::info!("listening on http://{}, on {}", listener.local_addr()?, backend.describe());
    if config.token_removal == TokenRemoval::Open {
        let message = "TOKEN_REMOVAL=open: anyone can end the sessions of any email; owner or off is safer";
        audit::settings_warning("TOKEN_REMOVAL", message);
    }
    let Config { max_connections, shutdown_delay, .. } = config;
    raise_file_limit(max_connections);
    Server { listener, workers, max_connections, shutdown_delay }.run(phase_sender, leave).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Each connection takes a file descriptor, and the usual soft limit of 1,024 of them is below `MAX_CONNECTIONS`.
fn raise_file_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // Where the system refuses, the limit stays as it is, and the warning below says what that means.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let needed = max_connections as u64 + FILES_BESIDES_CONNECTIONS;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        tracing::warn!("MAX_CONNECTIONS={max_connections} wants {needed} open files, but the system allows {files}");
    }
}

/// From the settings, or else from the data directory, whose lock the open store holds.
fn secrets(config: &Config) -> io::Result<Secrets> {
    match (&config.secrets, &config.store) {
        (None, StoreConfig::Embedded { directory }) => {
            let (secrets, generated) = Secrets::load_or_generate(directory)?;
            if generated {
                let directory = directory.display();
                let message = format!("signing secrets were generated into {directory}: back them up with the store");
                audit::settings_warning("AUTH_SECRET_KEY", &message);
            }
            Ok(secrets)
        }
        (Some(secrets), _) => Ok(secrets.clone()),
        (None, StoreConfig::Redis { .. }) => {
            Err(io::Error::other("AUTH_SECRET_KEY and REFRESH_SECRET_KEY are required"))
        }
    }
}

/// To standard output, by a thread of its own: when nobody reads there, lines are dropped and requests go on. What is
/// still to be written is, when the guard is dropped. The level is `RUST_LOG`'s.
fn start_tracing(format: Option<LogFormat>) -> WorkerGuard {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES).finish(io::stdout());
    // What cannot be written is lost: reporting that on standard error would panic where that is gone as well.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stdout().is_terminal())
        .with_writer(writer)
        .log_internal_errors(false);
    let default = if io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    match format.unwrap_or(default) {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    guard
}

/// SIGTERM is an orchestrator's, SIGINT a person's. A second one ends the process at once: nothing acknowledged is lost.
fn stop_signal() -> io::Result<impl Future<Output = Leave>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => Leave::AfterDelay,
            _ = interrupt.recv() => Leave::AtOnce,
        }
    };
    Ok(async move {
        let leave = next().await;
        tokio::spawn(async move {
            next().await;
            std::process::exit(cli::FAILED.into());
        });
        leave
    })
}
