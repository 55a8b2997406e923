//! The listener, the connections and their limits, and the way out.
//!
//! One thread accepts and hands each connection to the worker that has the fewest; a worker is one thread with one
//! current-thread runtime. Nothing on a request's path crosses a thread, and a few long-lived connections from a load
//! balancer spread as evenly as many do, which SO_REUSEPORT does not promise.

use std::{
    convert::Infallible,
    io,
    net::TcpStream as StdTcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, sleep_until, timeout},
};

use super::{Phase, Service};

/// For the headers of a request, and for the pause before the next one on a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(8);
const HEADERS_MAX_BYTES: usize = 16 * 1024;
const BUFFER_BYTES: usize = 32 * 1024;
/// For a client to take what was sent to it: one that reads nothing would else keep its place for ever. Milliseconds.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT_MILLIS: u32 = 8_000;
/// When the system has no file descriptor left, accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// At the end: for requests that have arrived but have not been read yet.
const UNREAD_PAUSE: Duration = Duration::from_millis(50);

/// A connection, its place among [`Server::max_connections`], and its place among its worker's.
struct Accepted {
    stream: StdTcpStream,
    place: OwnedSemaphorePermit,
    load: Load,
}

/// Counts one connection of a worker while it lives.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn add(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread that serves connections.
pub struct Worker {
    connections: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    /// Starts a thread with a runtime, in which `build` makes the service; returns once it has.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub async fn start<B, F>(
        name: String,
        phase: watch::Receiver<Phase>,
        shutdown_timeout: Duration,
        build: B,
    ) -> io::Result<Self>
    where
        B: FnOnce() -> F + Send + 'static,
        F: Future<Output = Service>,
    {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (connections, accepted) = mpsc::unbounded_channel();
        let (built, is_built) = oneshot::channel();
        let thread = thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async {
                let service = build().await;
                // Nobody waits only if the process is on its way out already.
                let _ = built.send(());
                work(accepted, service, phase, shutdown_timeout).await;
            });
        })?;
        is_built.await.map_err(io::Error::other)?;
        Ok(Self { connections, open: Arc::new(AtomicUsize::new(0)), thread })
    }
}

/// Serves what is handed over, until no more comes; then lets what is open finish.
async fn work(
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    service: Service,
    phase: watch::Receiver<Phase>,
    shutdown_timeout: Duration,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            next = accepted.recv() => match next {
                Some(accepted) => { connections.spawn(serve_connection(accepted, service.clone(), phase.clone())); }
                None => break,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(shutdown_timeout, finish).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests still in flight after SHUTDOWN_TIMEOUT_SECONDS are cut off"
        );
    }
}

/// Whether a connection waits for the headers of a request, and since when.
struct Pause {
    opened: Instant,
    /// Milliseconds after `opened`; [`Pause::NONE`] while a request is being answered.
    since: AtomicU64,
}

impl Pause {
    const NONE: u64 = u64::MAX;

    fn begin(&self, now: Instant) {
        let since = now.duration_since(self.opened).as_millis();
        self.since.store(u64::try_from(since).unwrap_or(0), Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(Self::NONE, Ordering::Relaxed);
    }

    /// Returns when it has lasted for [`HEADER_TIMEOUT`]. hyper's own timeout sets a timer for each request.
    async fn too_long(&self) {
        loop {
            let deadline = match self.since.load(Ordering::Relaxed) {
                // Whatever pause comes next ends later.
                Self::NONE => Instant::now() + HEADER_TIMEOUT,
                since => self.opened + Duration::from_millis(since) + HEADER_TIMEOUT,
            };
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline.into()).await;
        }
    }
}

async fn serve_connection(accepted: Accepted, service: Service, phase: watch::Receiver<Phase>) {
    let Accepted { stream, place, load } = accepted;
    let _held = (place, load);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // An error means that the client has gone already.
    let Ok(peer) = stream.peer_addr() else { return };
    let pause = Arc::new(Pause { opened: Instant::now(), since: AtomicU64::new(0) });
    let answer = async |request| {
        pause.end();
        let response = service.answer(peer.ip(), request).await;
        pause.begin(Instant::now());
        Ok::<_, Infallible>(response)
    };
    let connection = http1::Builder::new()
        .max_header_size(HEADERS_MAX_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .half_close(false)
        // Our answers are short: one piece of memory is sent sooner than two.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    tokio::pin!(connection);
    let mut watch = Watch::start(phase, Arc::clone(&pause));
    // An error is the client's: it went away, was too slow, or spoke something else than HTTP.
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        end = watch.end() => if end == End::Closing {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                () = pause.too_long() => {}
            }
        }
    }
}

/// Why a connection must end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closing,
    /// See [`HEADER_TIMEOUT`].
    TooSlow,
}

/// Watches over a connection from a task of its own: in the connection's, the clock and the phase would be looked at
/// several times for each request, which is more than the request's own log line costs.
struct Watch(JoinHandle<End>);

impl Watch {
    fn start(mut phase: watch::Receiver<Phase>, pause: Arc<Pause>) -> Self {
        let closing = async move {
            // An error means that the server is gone, which is closing too.
            drop(phase.wait_for(|phase| *phase == Phase::Closing).await);
            // A shutdown closes a connection on which it has read nothing, even if a request is there to be read.
            sleep(UNREAD_PAUSE).await;
        };
        Self(tokio::spawn(async move {
            tokio::select! {
                () = pause.too_long() => End::TooSlow,
                () = closing => End::Closing,
            }
        }))
    }

    async fn end(&mut self) -> End {
        // It neither panics nor is it cancelled before.
        (&mut self.0).await.unwrap_or(End::TooSlow)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

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

impl Server {
    /// Serves until `stop` answers; `stop` says whether to leave at once instead of after the delay. Returns when all
    /// workers have ended.
    pub async fn run(self, phase: watch::Sender<Phase>, stop: impl Future<Output = Leave>) {
        let Self { listener, workers, max_connections, shutdown_delay } = self;
        let places = Arc::new(Semaphore::new(max_connections));
        tokio::select! {
            () = accept(&listener, &workers, &places) => {}
            () = async {
                if stop.await == Leave::AfterDelay {
                    phase.send_replace(Phase::Leaving);
                    tracing::info!("stopping: not ready any more");
                    sleep(shutdown_delay).await;
                }
            } => {}
        }
        drop(listener);
        phase.send_replace(Phase::Closing);
        tracing::info!("stopping: requests in flight finish");
        // All hear of it before the first is waited for, so that their timeouts run side by side.
        let threads: Vec<_> = workers.into_iter().map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic there has been reported by the panic hook.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Load balancers should notice first.
    AfterDelay,
    /// Somebody is waiting at a terminal.
    AtOnce,
}

async fn accept(listener: &TcpListener, workers: &[Worker], places: &Arc<Semaphore>) {
    // The semaphore is never closed, so acquiring fails never.
    while let Ok(place) = Arc::clone(places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(worker) = workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed)) else { return };
        // An error means that the client is gone already.
        let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else { continue };
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_TIMEOUT_MILLIS) {
            tracing::debug!(%error, "clients that read nothing are not cut off");
        }
        // A worker that has ended takes its connections with it.
        let _ = worker.connections.send(Accepted { stream, place, load: Load::add(&worker.open) });
    }
}
