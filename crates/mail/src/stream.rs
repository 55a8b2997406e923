//! A connection that reads only as much as SMTP needs.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The largest number of bytes that the SMTP server may send in one try: a few answers, and the certificates of STARTTLS.
const MOST_BYTES: usize = 256 * 1024;

/// A connection without TLS from the first byte, which fails if the other side sends too much. lettre collects a line in
/// memory until the line ends, so whoever is in the network could otherwise use up the memory of this server. With TLS
/// from the first byte, only the SMTP server itself could.
#[derive(Debug)]
pub(crate) struct Bounded {
    stream: TcpStream,
    left: usize,
}

impl Bounded {
    pub(crate) async fn connect(address: (&str, u16)) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(address).await?, left: MOST_BYTES })
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Bounded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match this.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the server sends too much"))),
        }
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
