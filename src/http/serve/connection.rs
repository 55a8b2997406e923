//! One connection: HTTP/1.1 by hyper, within bounds of memory and time.

use std::{
    convert::Infallible,
    net::TcpStream as StdTcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::{activity::Activity, watched::Watched};
use crate::http::service::Service;

/// Of a request's line and headers.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// For reading, and for answers that the client does not take. With it, a client that pipelines requests and reads
/// nothing costs at most 64 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that has been accepted.
pub(super) struct Accepted {
    pub(super) stream: StdTcpStream,
    pub(super) place: Place,
}

/// The place of a connection: among all of the server, and among its worker's. Both are free again when it is dropped.
pub(super) struct Place {
    _among_all: OwnedSemaphorePermit,
    of_worker: Arc<AtomicUsize>,
}

impl Place {
    pub(super) fn new(among_all: OwnedSemaphorePermit, of_worker: &Arc<AtomicUsize>) -> Self {
        of_worker.fetch_add(1, Ordering::Relaxed);
        Self { _among_all: among_all, of_worker: Arc::clone(of_worker) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves the requests of a connection until it ends.
pub(super) async fn serve(accepted: Accepted, activity: Arc<Activity>, service: Service) {
    let Accepted { stream, place } = accepted;
    // Held until the connection ends.
    let _place = place;
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // Fails when the client has gone already.
    let Ok(peer) = stream.peer_addr() else { return };
    let answer = async |request| {
        activity.request_arrived();
        let response = service.answer(peer.ip(), request).await;
        activity.request_answered();
        Ok::<_, Infallible>(response)
    };
    let connection = http1::Builder::new()
        .max_header_size(HEAD_MAX_BYTES)
        .max_buf_size(BUFFER_BYTES)
        // A client that leaves as soon as it has sent a request gets no answer, but the request is served and logged.
        // Without this, hyper drops the request, before or while it is served.
        .half_close(true)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(&activity))), service_fn(answer));
    // An error is the client's: it went away, was too slow, or spoke something else than HTTP.
    let _ = connection.await;
}
