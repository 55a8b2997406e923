//! The start and the end of the task that delivers.

use std::{io, sync::Arc, time::Duration};

use auth_service_records::clock::Clock;
use auth_service_store::backend::Backend;
use auth_service_token::Id;
use auth_service_webhook::Client;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{delivery::Delivery, metrics::Metrics, reader::Reader};
use crate::config::WebhookSettings;

/// A handle to the task.
pub(crate) struct Webhooks {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the task on this runtime.
///
/// # Errors
/// When TLS cannot be set up, or the operating system provides no randomness.
pub(crate) async fn start(
    settings: &WebhookSettings,
    backend: &Backend,
    metrics: Metrics,
    clock: Clock,
) -> io::Result<Webhooks> {
    let client = Client::new(settings.url.clone(), settings.secrets.clone())?;
    let server = Id::random().map_err(io::Error::other)?;
    let delivery = Delivery::new(backend.connect().await, client, metrics, clock, settings.give_up);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(Reader::new(Arc::new(delivery), server).run(stopped));
    Ok(Webhooks { stop, task })
}

impl Webhooks {
    /// Stops the task. Returns when no request is on its way, or after `patience`.
    pub(crate) async fn stop(self, patience: Duration) {
        // Fails if the task has ended, which only a panic does.
        let _ = self.stop.send(());
        if timeout(patience, self.task).await.is_err() {
            tracing::warn!("webhooks on their way are cut off; another server delivers them again");
        }
    }
}
