//! Gives commands access to the store: directly, without the server.

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
    secret::Secrets,
    session::SessionPolicy,
    user::Email,
};
use auth_service_store::{Store, backend::Backend, settings::StoreSettings};
use clap::ArgMatches;

use super::{arguments::given_email, output::Failed};
use crate::config::{Config, Sources};

/// Runs `work` on the store that the settings name, for the account that the argument EMAIL names.
pub(super) fn on_account<T>(
    matches: &ArgMatches,
    sources: &Sources,
    work: impl AsyncFnOnce(&Store, &Email) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let email = given_email(matches)?;
    on_reachable(sources, async |backend| work(&connect(&backend).await?, &email).await)
}

/// Runs `work` on the store that the settings name. Fails if the store is unreachable or unfit to serve.
pub(super) fn on_reachable<T>(
    sources: &Sources,
    work: impl AsyncFnOnce(Backend) -> Result<T, Failed>,
) -> Result<T, Failed> {
    on_backend(sources, async |backend| {
        check(&backend).await?;
        work(backend).await
    })
}

/// Opens the store that the settings name, and runs `work` on it. The store may be unreachable or unfit to serve.
pub(super) fn on_backend<T>(
    sources: &Sources,
    work: impl AsyncFnOnce(Backend) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let settings = settings(sources)?;
    if let StoreSettings::Embedded { directory } = &settings
        && !Backend::exists(&settings)
    {
        let directory = directory.display();
        let sentence = format!("there is no embedded store in {directory}; set DATA_DIR, or REDIS_URL for Redis");
        return Err(Failed::wrong_usage(sentence));
    }
    let backend = open(&settings)?;
    run(work(backend))
}

/// Runs `work` on the store that the settings name, and tells it the name of the store for people. If there is no
/// embedded store, creates it, or runs `work` without a store.
pub(super) fn on_target<T>(
    sources: &Sources,
    create: bool,
    work: impl AsyncFnOnce(Option<&Store>, String) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let settings = settings(sources)?;
    if !create && !Backend::exists(&settings) {
        return run(work(None, "a new embedded store".to_owned()));
    }
    let backend = open(&settings)?;
    run(async {
        check(&backend).await?;
        work(Some(&connect(&backend).await?), backend.describe()).await
    })
}

/// The secrets of the settings, or else those in the directory of the embedded store. The open store holds the lock of the
/// directory.
pub(super) fn of_directory(secrets: Option<Secrets>, store: &StoreSettings) -> Result<Option<Secrets>, Failed> {
    match (secrets, store) {
        (None, StoreSettings::Embedded { directory }) => {
            let loaded = Secrets::load_or_generate(directory);
            Ok(Some(loaded.map_err(|error| Failed::new("secrets_unreadable", error.to_string()))?.0))
        }
        (secrets, _) => Ok(secrets),
    }
}

/// Fails if the store has not said its time, because a new account would then be created in 1970.
pub(super) async fn connect(backend: &Backend) -> Result<Store, Failed> {
    let store = backend.connect().await;
    if store.now_seconds() == 0 { Err(Error::Unavailable(Outage::Unreachable).into()) } else { Ok(store) }
}

/// Fails if the store is unreachable or unfit to serve.
async fn check(backend: &Backend) -> Result<(), Failed> {
    match backend.check().await? {
        Some(reason) => Err(Failed::new("store_unreachable", reason)),
        None => Ok(()),
    }
}

fn settings(sources: &Sources) -> Result<StoreSettings, Failed> {
    Config::load_store(sources).map_err(|problems| Failed::wrong_settings(&problems))
}

fn open(settings: &StoreSettings) -> Result<Backend, Failed> {
    Ok(Backend::open(settings, unused_policy(), Clock::new())?)
}

fn run<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failed::new("internal_error", error.to_string()))?.block_on(work)
}

/// No command opens or refreshes a session, and nothing else depends on the policy.
fn unused_policy() -> SessionPolicy {
    SessionPolicy {
        access_seconds: 0,
        refresh_seconds: 0,
        rotation: false,
        grace_seconds: 0,
        max_age_seconds: None,
        max_sessions: 1,
    }
}
