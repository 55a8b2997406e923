//! Accepts connections, and shuts down in order.

use std::{
    io,
    net::TcpStream as StdTcpStream,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use super::{
    places::{ConnectionLimits, Places},
    worker::Worker,
};
use crate::{
    http::{metrics::Metrics, state::Phase},
    log::Seldom,
};

/// The maximum time for a client to accept sent data, in milliseconds. Without a limit, a client that reads nothing
/// would keep its place forever.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT_MILLIS: u32 = 8_000;
/// The kernel's memory for data that a client has not read. Without a limit, it grows to 4 MiB for each client that
/// reads nothing. The largest answer with a user's data has about 32 KiB. Only public documents, such as the files of
/// `/docs`, are larger, and hyper sends these from memory that all clients share.
const SEND_BUFFER_BYTES: usize = 32 * 1024;
/// The pause after a failed accept. If the process has no file descriptor left, an immediate retry would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listener, the workers that it feeds, and its limits.
pub struct Server {
    /// Accepts the connections.
    pub listener: TcpListener,
    /// The workers, at least one.
    pub workers: Vec<Worker>,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
    /// The time from [`Phase::Leaving`] to [`Phase::Closing`].
    pub shutdown_delay: Duration,
    /// Counts the connections.
    pub metrics: Metrics,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After the delay, so that load balancers notice first.
    AfterDelay,
    /// Without the delay, because a person waits at a terminal.
    AtOnce,
}

impl Server {
    /// Serves until `stop` completes. Returns when all workers have ended, with the time at which the shutdown timeout
    /// began.
    pub async fn run(self, phase: watch::Sender<Phase>, stop: impl Future<Output = Leave>) -> Instant {
        let Self { listener, workers, connections, shutdown_delay, metrics } = self;
        // Every connection that is accepted inherits the size.
        if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES) {
            tracing::debug!(%error, "the kernel chooses the size of the send buffers");
        }
        tokio::select! {
            () = accept(&listener, &workers, Places::new(connections, metrics)) => {}
            () = leave(&phase, stop, shutdown_delay) => {}
        }
        drop(listener);
        phase.send_replace(Phase::Closing);
        let closing = Instant::now();
        tracing::info!("stopping: waiting for requests in flight");
        // All workers are told before the first is awaited, so that their timeouts run in parallel.
        let threads: Vec<_> = workers.into_iter().map(Worker::finish).collect();
        for thread in threads {
            // The panic hook has already reported a panic of the thread.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        closing
    }
}

async fn leave(phase: &watch::Sender<Phase>, stop: impl Future<Output = Leave>, delay: Duration) {
    if stop.await == Leave::AfterDelay {
        phase.send_replace(Phase::Leaving);
        tracing::info!("stopping: no longer ready");
        sleep(delay).await;
    }
}

async fn accept(listener: &TcpListener, workers: &[Worker], mut places: Places) {
    let failures = Seldom::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(times) = failures.due() {
                    tracing::warn!(times, %error, "a connection could not be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // The drop of the stream closes the connection.
        let Some(of_address) = places.of_address(peer.ip()) else { continue };
        let place = places.among_all(of_address).await;
        // A worker that has panicked has no open connections, and must not attract all new ones.
        let running = workers.iter().filter(|worker| worker.is_running());
        let Some(worker) = running.min_by_key(|worker| worker.open()) else { return };
        // Fails if the client has already disconnected.
        let Ok(stream) = prepare(stream) else { continue };
        places.opened(&worker.serve(stream, place));
    }
}

/// Sets the options of a connection, and detaches it from the runtime of the accepting thread.
fn prepare(stream: TcpStream) -> io::Result<StdTcpStream> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_TIMEOUT_MILLIS) {
        tracing::debug!(%error, "clients that read nothing are not cut off");
    }
    Ok(stream)
}
