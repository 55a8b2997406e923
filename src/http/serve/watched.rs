//! The stream of a connection, which records its activity, and ends when the time of the connection is over.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    net::TcpStream,
};

use super::activity::Activity;

/// The maximum size of one read. hyper enlarges its buffer after a read that fills it, and a client that pipelines
/// requests could cause such reads.
const READ_MAX_BYTES: u64 = 4 * 1024;

/// A stream that ends for hyper, as if the client had closed it, when the time of the connection is over.
pub(super) struct Watched {
    stream: Take<TcpStream>,
    activity: Arc<Activity>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream: stream.take(READ_MAX_BYTES), activity }
    }

    /// Asks the operating system, because the runtime may not know of the latest bytes yet.
    fn has_bytes(&self) -> bool {
        recv(self.stream.get_ref(), &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(_, bytes)| bytes > 0)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        self.stream.set_limit(READ_MAX_BYTES);
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        if buf.filled().len() > filled {
            self.activity.bytes_arrived();
        }
        // A request that has already arrived is still served.
        if read.is_pending() && self.activity.waits_to_read(context.waker()) && !self.has_bytes() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    /// hyper calls this when the stream has taken all that hyper had to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.stream.get_mut()).poll_flush(context))?;
        self.activity.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }
}
