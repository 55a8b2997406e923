//! A worker: one thread that serves connections.

use std::{
    io,
    net::TcpStream,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{
    activity::{Activity, Limits, Timeouts},
    connection::{self, Accepted},
    places::Place,
};
use crate::http::service::Service;

/// The interval between two sweeps for connections whose time is over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A thread that serves connections.
pub struct Worker {
    connections: mpsc::UnboundedSender<Accepted>,
    limits: Arc<Limits>,
    /// Each open connection holds one more reference.
    open: Arc<()>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    /// Starts a thread with a runtime, and creates the service there with `build`. The future returns the worker when
    /// the service exists.
    ///
    /// # Errors
    /// When the operating system provides no thread or no runtime, or when `build` panics.
    pub fn start<B, F>(name: String, timeouts: Timeouts, build: B) -> io::Result<impl Future<Output = io::Result<Self>>>
    where
        B: FnOnce() -> F + Send + 'static,
        F: Future<Output = Service>,
    {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (connections, accepted) = mpsc::unbounded_channel();
        let (built, is_built) = oneshot::channel();
        let limits = Arc::new(Limits::new(timeouts.keep_alive));
        let limits_of_thread = Arc::clone(&limits);
        let thread = thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async {
                let service = build().await;
                // The send fails only if the process is already stopping.
                let _ = built.send(());
                work(accepted, service, limits_of_thread, timeouts.shutdown).await;
            });
        })?;
        Ok(async {
            is_built.await.map_err(io::Error::other)?;
            Ok(Self { connections, limits, open: Arc::new(()), thread })
        })
    }

    /// Whether the worker serves connections. It no longer does after a panic.
    pub(super) fn is_running(&self) -> bool {
        !self.connections.is_closed()
    }

    /// The number of connections of the worker.
    pub(super) fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    /// Hands a connection over. Returns its activity.
    pub(super) fn serve(&self, stream: TcpStream, place: Place) -> Arc<Activity> {
        let activity = Arc::new(Activity::new(Arc::clone(&self.limits)));
        let of_worker = Arc::clone(&self.open);
        // The send fails only if the worker has ended. The connection then closes.
        let _ = self.connections.send(Accepted { stream, activity: Arc::clone(&activity), place, of_worker });
        activity
    }

    /// Tells the worker that no more connections come. The thread ends when all open connections have ended.
    pub(super) fn finish(self) -> thread::JoinHandle<()> {
        self.thread
    }
}

/// The connections of a worker.
struct Connections {
    tasks: JoinSet<()>,
    /// The activity of each task, and until the next sweep also of tasks that have ended.
    activities: Vec<Weak<Activity>>,
    limits: Arc<Limits>,
    sweep: Interval,
}

impl Connections {
    fn new(limits: Arc<Limits>) -> Self {
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tasks: JoinSet::new(), activities: Vec::new(), limits, sweep }
    }

    fn serve(&mut self, accepted: Accepted, service: Service) {
        self.activities.push(Arc::downgrade(&accepted.activity));
        self.tasks.spawn(connection::serve(accepted, service));
    }

    /// Waits until a connection ends, and forgets it, or until the next sweep is due, and sweeps.
    async fn watch(&mut self) {
        tokio::select! {
            Some(_) = self.tasks.join_next() => {}
            _ = self.sweep.tick() => self.end_those_whose_time_is_over(),
        }
    }

    fn end_those_whose_time_is_over(&mut self) {
        self.activities.retain(|activity| {
            let activity = activity.upgrade();
            activity.iter().for_each(|activity| activity.wake_if_over());
            activity.is_some()
        });
    }
}

/// Serves connections until no more come. Then waits for requests in flight, and for writes whose client has
/// disconnected.
async fn work(
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    service: Service,
    limits: Arc<Limits>,
    shutdown: Duration,
) {
    let mut connections = Connections::new(limits);
    loop {
        tokio::select! {
            next = accepted.recv() => match next {
                Some(accepted) => connections.serve(accepted, service.clone()),
                None => break,
            },
            () = connections.watch() => {}
        }
    }
    connections.limits.close();
    connections.end_those_whose_time_is_over();
    let finish = async {
        while !connections.tasks.is_empty() {
            connections.watch().await;
        }
        service.writes_ended().await;
    };
    if timeout(shutdown, finish).await.is_err() {
        tracing::warn!(
            connections = connections.tasks.len(),
            "requests still in flight after SHUTDOWN_TIMEOUT_SECONDS are cut off"
        );
    }
}
