//! Settings, tracing, store, bind, serve until told to stop; nothing else.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use auth_service::{
    audit::{self, Audit},
    auth::{self, Auth},
    cli::{self, Invocation},
    clock::unix_seconds,
    config::{Config, LogFormat, StoreConfig, TokenRemoval},
    http::{App, AppState, Leave, Phase, Server, Service, Worker},
    log::{self, Json, Lines},
    password::{HashCost, Passwords},
    secret::Secrets,
    session::SessionPolicy,
    store::{Backend, Finding, Verdict},
    throttle::AddressDigest,
    token::Tokens,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Of the store, the log and the runtimes, with some to spare.
const FILES_BESIDES_CONNECTIONS: u64 = 100;
/// How often the clocks of the store and of this machine are compared.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// How often a store that was away at the start is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // They would make what the process holds at rest half as large again. Hashing, which gains from them, asks for them.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let sources = match cli::run() {
        Invocation::Serve(sources) => sources,
        Invocation::Done(code) => return code,
    };
    let config = match Config::load(&sources) {
        Ok(config) => config,
        Err(problems) => return cli::wrong_settings(&problems),
    };
    let _log = match start_tracing(config.log_format) {
        Ok(guard) => guard,
        Err(error) => return failed(&error),
    };
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
        Ok(Err(error)) | Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("auth-service: {error}");
    ExitCode::from(cli::FAILED)
}

async fn serve(config: Config, backend: Backend, policy: SessionPolicy) -> io::Result<ExitCode> {
    let mut seen_whole = false;
    match backend.check().await {
        Ok(None) => match look_around(&backend, true).await {
            Ok(whole) => seen_whole = whole,
            Err(refusals) => return Ok(cli::wrong_settings(&refusals)),
        },
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
            Service::new(AppState::new(App {
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
    let (refusals, mut refused) = watch::channel(Vec::new());
    if !seen_whole {
        tokio::spawn(look_until_whole(backend.clone(), refusals));
    }
    let stop = stop_signal()?;
    let mut late = refused.clone();
    let leave = async move {
        tokio::select! {
            leave = stop => leave,
            Ok(_) = late.wait_for(|refusals| !refusals.is_empty()) => Leave::AfterDelay,
        }
    };
    tracing::info!("listening on http://{}, on {}", listener.local_addr()?, backend.describe());
    if config.token_removal == TokenRemoval::Open {
        let message = "TOKEN_REMOVAL=open: anyone can end the sessions of any email; owner or off is safer";
        audit::settings_warning("TOKEN_REMOVAL", message);
    }
    let Config { max_connections, shutdown_delay, .. } = config;
    raise_file_limit(max_connections);
    tokio::spawn(watch_clocks(backend));
    Server { listener, workers, max_connections, shutdown_delay }.run(phase_sender, leave).await;
    tracing::info!("stopped");
    let refusals = refused.borrow_and_update();
    Ok(if refusals.is_empty() { ExitCode::SUCCESS } else { cli::wrong_settings(&refusals) })
}

/// Warns of what may go wrong with the store. Whether all of it could be looked at; what could not is warned of if
/// `also_absence`.
///
/// # Errors
/// A sentence for each thing because of which the server must not start.
async fn look_around(backend: &Backend, also_absence: bool) -> Result<bool, Vec<String>> {
    let findings = match backend.inspect().await {
        Ok(findings) => findings,
        Err(reason) => {
            if also_absence {
                tracing::warn!("{reason}; it is looked at when it is there");
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
    let whole = !findings.iter().any(Finding::is_of_absence);
    // What comes later says again what was found now.
    if whole || also_absence {
        for warning in of(Verdict::Warning) {
            tracing::warn!("{}", sentence(warning));
        }
    }
    Ok(whole)
}

/// For a store that was not there at the start, or not all of it: the server stops if it must not serve on what comes.
async fn look_until_whole(backend: Backend, refusals: watch::Sender<Vec<String>>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        match look_around(&backend, false).await {
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
    loop {
        sleep(CLOCK_INTERVAL).await;
        for skew in backend.skewed_clocks().await {
            tracing::warn!("{skew}: run NTP on both machines, tokens live by the clock");
        }
    }
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
        (None, StoreConfig::Redis(_)) => Err(io::Error::other("AUTH_SECRET_KEY and REFRESH_SECRET_KEY are required")),
    }
}

/// To standard output. What is still to be written is, when the guard is dropped. The level is `RUST_LOG`'s.
fn start_tracing(format: Option<LogFormat>) -> io::Result<log::Guard> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let (lines, guard) = Lines::start(io::stdout())?;
    let default = if io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let events = tracing_subscriber::registry().with(filter);
    match format.unwrap_or(default) {
        LogFormat::Json => events.with(Json(lines)).init(),
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer().with_ansi(io::stdout().is_terminal()).with_writer(lines);
            // What cannot be written is lost: reporting that on standard error would panic where that is gone as well.
            events.with(text.log_internal_errors(false)).init();
        }
    }
    Ok(guard)
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
