//! A client's connection as bytes in both directions, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tracing::debug;

/// A client's connection, whose handshake is over.
#[derive(Debug)]
pub(super) struct Stream {
    /// Bytes that were read to find out which protocol begins.
    begun: Bytes,
    transport: Transport,
}

/// What the bytes go over.
#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TlsSocket>>),
    Unix(UnixStream),
}

/// The socket below TLS. It can leave the runtime that it is registered with, and then belongs to none
/// for a moment.
#[derive(Debug)]
pub(super) struct TlsSocket(Option<TcpStream>);

impl TlsSocket {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self(Some(stream))
    }

    fn poll_with<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.get_mut().0 {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Stream {
    pub(super) const fn tcp(stream: TcpStream, begun: Bytes) -> Self {
        Self { begun, transport: Transport::Tcp(stream) }
    }

    pub(super) const fn unix(stream: UnixStream, begun: Bytes) -> Self {
        Self { begun, transport: Transport::Unix(stream) }
    }

    pub(super) fn tls(stream: TlsStream<TlsSocket>) -> Self {
        Self { begun: Bytes::new(), transport: Transport::Tls(Box::new(stream)) }
    }

    /// Moves the connection to the runtime of the caller. A session of TLS goes on.
    ///
    /// # Errors
    /// When the operating system refuses it. Then the connection ends.
    pub(super) fn move_here(mut self) -> io::Result<Self> {
        self.transport = match self.transport {
            Transport::Tcp(stream) => Transport::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Transport::Tls(mut stream) => {
                let socket = stream.get_mut().0;
                let taken = socket.0.take().ok_or(io::ErrorKind::NotConnected)?;
                socket.0 = Some(TcpStream::from_std(taken.into_std()?)?);
                Transport::Tls(stream)
            }
            Transport::Unix(stream) => Transport::Unix(UnixStream::from_std(stream.into_std()?)?),
        };
        Ok(self)
    }

    /// How long the kernel waits for a client to acknowledge data (`TCP_USER_TIMEOUT`, `tcp(7)`).
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub(super) fn set_user_timeout(&self, time: Duration) -> io::Result<()> {
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        match self.socket() {
            Some(socket) => Ok(setsockopt(socket, TcpUserTimeout, &millis)?),
            None => Ok(()),
        }
    }

    /// Has the kernel drop bytes that the client did not read, once the connection ends.
    pub(super) fn drop_unread(&self) {
        if let Some(socket) = self.socket()
            && let Err(error) = socket.set_zero_linger()
        {
            debug!("unread bytes for a client may stay in the kernel: {error}");
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        match &self.transport {
            Transport::Tcp(stream) => Some(stream),
            Transport::Tls(stream) => stream.get_ref().0.0.as_ref(),
            Transport::Unix(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let length = self.begun.len().min(buffer.remaining());
            let part = self.begun.split_to(length);
            buffer.put_slice(&part);
            return Poll::Ready(Ok(()));
        }
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Transport::Unix(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
            Transport::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
            Transport::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(|stream| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(|stream| stream.poll_shutdown(context))
    }
}
