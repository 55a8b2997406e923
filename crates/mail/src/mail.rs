//! The API of the crate: reserve a place in the queue, send a mail.

use std::{io, sync::Arc, thread, time::Duration};

use prometheus_client::registry::Registry;
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, timeout},
};

use crate::{
    courier::{Courier, Job, Task},
    message::Message,
    metrics::{Loss, Metrics},
    settings::Settings,
};

/// The number of mails that may wait for their delivery. A mail has about 4 KiB.
const PLACES: u32 = 1_000;
/// After the end of the time for a stop, the time in which the thread notices the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sends mails from a thread of its own. Clones share the thread.
#[derive(Clone)]
pub struct Mail {
    tasks: mpsc::UnboundedSender<Task>,
    places: Arc<Semaphore>,
    stop: watch::Sender<Option<Instant>>,
    metrics: Metrics,
}

/// A place in the queue. The drop of a place sends nothing.
pub struct Place {
    tasks: mpsc::UnboundedSender<Task>,
    permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

/// The queue has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Mail {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread, or its certificates cannot be used.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (tasks, mut queue) = mpsc::unbounded_channel::<Task>();
        let (stop, stopping) = watch::channel(None);
        let metrics = Metrics::default();
        let courier = Arc::new(Courier::new(settings, metrics.clone(), stopping)?);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        // Keeps the channel open when all handles are dropped.
        let keep = stop.clone();
        let work = async move {
            let _keep = keep;
            while let Some(task) = queue.recv().await {
                let courier = Arc::clone(&courier);
                tokio::spawn(async move { courier.begin(task).await });
            }
        };
        thread::Builder::new().name("mail".to_owned()).spawn(move || runtime.block_on(work))?;
        Ok(Self { tasks, places: Arc::new(Semaphore::new(PLACES as usize)), stop, metrics })
    }

    /// Reserves a place in the queue, so that a request can find out that the queue is full before it changes anything.
    ///
    /// # Errors
    /// [`Full`]. The metrics count it as a lost mail.
    pub fn reserve(&self) -> Result<Place, Full> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place { tasks: self.tasks.clone(), permit, metrics: self.metrics.clone() }),
            Err(_) => {
                self.metrics.lost(Loss::QueueFull);
                Err(Full)
            }
        }
    }

    /// Sends the mails in the queue for at most `limit`, without pauses between the tries. Then gives up the rest. The
    /// log and the metrics have each mail that is lost.
    pub async fn finish(&self, limit: Duration) {
        let queued = self.queued();
        if queued > 0 {
            tracing::info!(queued, "stopping: waiting for the mails in the queue");
        }
        self.stop.send_replace(Some(Instant::now() + limit));
        // Fails if a place is still in use, which the thread has then reported.
        let _ = timeout(limit + LAST_WORDS, self.places.acquire_many(PLACES)).await;
    }

    /// Adds the metrics of the mails to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let places = Arc::clone(&self.places);
        self.metrics.register(registry, move || queued(&places));
    }

    /// The number of mails that wait for their delivery, and of places that are reserved.
    #[must_use]
    pub fn queued(&self) -> usize {
        queued(&self.places)
    }
}

fn queued(places: &Semaphore) -> usize {
    PLACES as usize - places.available_permits()
}

impl Place {
    /// Puts a mail into the queue, and returns at once. `request_id` names the request in the log if the mail is lost.
    pub fn send(self, request_id: &str, message: Message) {
        let Self { tasks, permit, metrics } = self;
        // Fails only if the thread has died. The drop of the job then reports the loss.
        let _ = tasks.send(Task::Deliver(Job::new(message, request_id.to_owned(), permit, metrics)));
    }

    /// Gives the place back through the thread, so that the caller's time is that of [`Place::send`], and does not tell
    /// whether there is somebody to send a mail to.
    pub fn send_nothing(self) {
        // Fails only if the thread has died, and frees the place then, too.
        let _ = self.tasks.send(Task::Nothing(self.permit));
    }
}
