//! The workers: one thread for each core, which serves requests.

use std::{io, sync::Arc};

use auth_service_store::backend::Backend;
use tokio::sync::watch;

use crate::{
    auth::{Auth, Parts},
    config::Config,
    http::{
        self, App, AppState, BasicAuthentication, Cors, HealthAnswers, Metadata, OpenApi, Phase, Proxies, Timeouts,
        Worker,
    },
    metrics::Metrics,
    trace::Tracer,
};

/// One worker for each core, each with its own runtime and its own connection to the store.
pub(super) async fn start_workers(
    config: &Config,
    backend: &Backend,
    parts: &Parts,
    metrics: &Metrics,
    tracer: Option<&Tracer>,
    phase: &watch::Receiver<Phase>,
    cores: usize,
) -> io::Result<Vec<Worker>> {
    let proxies = Arc::new(Proxies::new(config.trusted_proxies.clone(), config.client_address_header));
    let resource_servers = Arc::new(BasicAuthentication::new(config.resource_servers.clone()));
    let metadata = Metadata::new(&config.parties.issuer).map(Arc::new);
    let openapi = Arc::new(OpenApi::new(config));
    let health = Arc::new(HealthAnswers::default());
    let timeouts = Timeouts { keep_alive: config.keep_alive, shutdown: config.shutdown_timeout };
    // All connect to the store at the same time, because an unreachable store keeps each of them waiting.
    let start = |n| {
        let (backend, parts, phase_of_app) = (backend.clone(), parts.clone(), phase.clone());
        let (password_min_length, token_removal, docs) =
            (config.passwords.min_length, config.token_removal, config.docs);
        let cors = Cors::new(&config.cors_origins);
        let (request_timeout, proxies, health) = (config.request_timeout, Arc::clone(&proxies), Arc::clone(&health));
        let (resource_servers, metadata, openapi) =
            (Arc::clone(&resource_servers), metadata.clone(), Arc::clone(&openapi));
        let (metrics, tracer) = (metrics.http.clone(), tracer.cloned());
        let build = move || async move {
            http::service(AppState::new(App {
                auth: Auth::new(backend.connect().await, parts),
                password_min_length,
                token_removal,
                docs,
                request_timeout,
                cors,
                proxies,
                resource_servers,
                metadata,
                openapi,
                health,
                metrics,
                tracer,
                phase: phase_of_app,
            }))
        };
        Worker::start(format!("http-{n}"), timeouts, build)
    };
    let starting: Vec<_> = (0..cores).map(start).collect::<io::Result<_>>()?;
    let mut workers = Vec::with_capacity(cores);
    for worker in starting {
        workers.push(worker.await?);
    }
    Ok(workers)
}
