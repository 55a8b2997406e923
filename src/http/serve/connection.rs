//! One connection: HTTP/1.1 by hyper, within bounds of memory and time.

use std::{convert::Infallible, net::TcpStream as StdTcpStream, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{activity::Activity, places::Place, watched::Watched};
use crate::http::service::Service;

/// The maximum size of a request line with its headers.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// The maximum size of the read buffer, and of the buffer for answers that the client has not read. With this limit, a
/// client that pipelines requests and reads nothing costs at most 64 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that has been accepted.
pub(super) struct Accepted {
    pub(super) stream: StdTcpStream,
    pub(super) activity: Arc<Activity>,
    pub(super) place: Place,
    /// One reference for each connection of the worker.
    pub(super) of_worker: Arc<()>,
}

/// Serves the requests of a connection until it ends.
pub(super) async fn serve(accepted: Accepted, service: Service) {
    let Accepted { stream, activity, place, of_worker } = accepted;
    // Held until the connection ends, and dropped before the activity, see `Places::among_all`.
    let _places = (place, of_worker);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // Fails if the client has already disconnected.
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
        // The server serves and logs a request even if the client disconnects right after it has sent the request.
        // Without this setting, hyper drops the request, before or while it is served.
        .half_close(true)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(&activity))), service_fn(answer));
    // The client causes every error here: it disconnected, was too slow, or did not speak HTTP.
    let _ = connection.await;
}
