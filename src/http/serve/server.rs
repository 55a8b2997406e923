//! The listening side: accepts connections, and stops in good order.

use std::{io, net::TcpStream as StdTcpStream, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::sleep,
};

use super::worker::Worker;
use crate::http::state::Phase;

/// For a client to take what was sent to it, in milliseconds. One that reads nothing would keep its place for ever.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT_MILLIS: u32 = 8_000;
/// The kernel's memory for answers that a client has not taken. By default it grows to 4 MiB for each client that reads
/// nothing. The largest answer has about 32 KiB.
const SEND_BUFFER_BYTES: usize = 32 * 1024;
/// When the system has no file descriptor left, accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listening side.
pub struct Server {
    /// Where connections come in.
    pub listener: TcpListener,
    /// At least one.
    pub workers: Vec<Worker>,
    /// More wait in the listener's backlog.
    pub max_connections: usize,
    /// From [`Phase::Leaving`] to [`Phase::Closing`].
    pub shutdown_delay: Duration,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Load balancers should notice first.
    AfterDelay,
    /// Somebody is waiting at a terminal.
    AtOnce,
}

impl Server {
    /// Serves until `stop` answers. Returns when all workers have ended.
    pub async fn run(self, phase: watch::Sender<Phase>, stop: impl Future<Output = Leave>) {
        let Self { listener, workers, max_connections, shutdown_delay } = self;
        let places = Arc::new(Semaphore::new(max_connections));
        // Every connection that is accepted inherits the size.
        if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES) {
            tracing::debug!(%error, "the kernel chooses the size of the send buffers");
        }
        tokio::select! {
            () = accept(&listener, &workers, &places) => {}
            () = leave(&phase, stop, shutdown_delay) => {}
        }
        drop(listener);
        phase.send_replace(Phase::Closing);
        tracing::info!("stopping: requests in flight finish");
        // All are told before the first is waited for, so that their timeouts run side by side.
        let threads: Vec<_> = workers.into_iter().map(Worker::finish).collect();
        for thread in threads {
            // A panic there has been reported by the panic hook.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

async fn leave(phase: &watch::Sender<Phase>, stop: impl Future<Output = Leave>, delay: Duration) {
    if stop.await == Leave::AfterDelay {
        phase.send_replace(Phase::Leaving);
        tracing::info!("stopping: not ready any more");
        sleep(delay).await;
    }
}

async fn accept(listener: &TcpListener, workers: &[Worker], places: &Arc<Semaphore>) {
    // Fails only when the semaphore is closed, which it never is.
    while let Ok(place) = Arc::clone(places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(worker) = workers.iter().min_by_key(|worker| worker.open()) else { return };
        // Fails when the client has gone already.
        let Ok(stream) = prepare(stream) else { continue };
        worker.serve(stream, place);
    }
}

/// Sets the options of a connection, and takes it out of the accepting thread's runtime.
fn prepare(stream: TcpStream) -> io::Result<StdTcpStream> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_TIMEOUT_MILLIS) {
        tracing::debug!(%error, "clients that read nothing are not cut off");
    }
    Ok(stream)
}
