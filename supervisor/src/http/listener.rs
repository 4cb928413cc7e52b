//! Sockets that clients connect to.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, TcpUserTimeout};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tracing::{debug, warn};

use super::connection::WRITE_TIMEOUT;
use crate::access::PeerIds;
use crate::config::ListenAddress;
use crate::tls::server::ServerTls;

/// Bytes that the kernel buffers for a client that does not read; it doubles the value for its own
/// overhead (`SO_SNDBUF`, `socket(7)`). Left alone it may grow to megabytes, which thousands of
/// consumers of the stream that do not read would add up to gigabytes.
const SEND_BUFFER: usize = 128 * 1024;

/// Who may connect to a Unix socket: its owner and its group. The directory that it is in decides
/// about the rest, as does a credential.
const SOCKET_MODE: u32 = 0o660;

/// A connection that was accepted, before its first byte is read.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp {
        stream: TcpStream,
        /// Of the other end, which may be a proxy.
        address: SocketAddr,
        purpose: Purpose,
    },
    Unix {
        stream: UnixStream,
        ids: PeerIds,
    },
}

/// Who a TCP socket is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Clients, who speak TLS where it is configured, and may come through a proxy.
    Clients(Option<Arc<ServerTls>>),
    /// The host's own monitoring, without TLS and without a proxy.
    Diagnostics,
}

/// A socket that clients connect to.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener, Purpose),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, which ends with the listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            debug!("{}: {error}", self.0.display());
        }
    }
}

impl Listener {
    /// Listens on an address. One that is to be without TLS is, whatever the purpose says.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub(crate) async fn bind(address: &ListenAddress, purpose: Purpose) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(socket) | ListenAddress::Plain(socket) => {
                let listener = TcpListener::bind(socket).await?;
                if let Err(error) = setsockopt(&listener, SndBuf, &SEND_BUFFER) {
                    // Accepted sockets inherit it.
                    warn!(
                        "SO_SNDBUF: {error}; clients that do not read may hold much kernel memory"
                    );
                }
                let purpose = match (address, purpose) {
                    (ListenAddress::Plain(_), Purpose::Clients(_)) => Purpose::Clients(None),
                    (_, purpose) => purpose,
                };
                Ok(Self::Tcp(listener, purpose))
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
                if let Err(error) = setsockopt(&listener, SndBuf, &SEND_BUFFER) {
                    warn!(
                        "SO_SNDBUF: {error}; clients that do not read may hold much kernel memory"
                    );
                }
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Its address, with the port that was picked.
    ///
    /// # Errors
    /// When the operating system does not tell it.
    pub(crate) fn address(&self) -> io::Result<ListenAddress> {
        Ok(match self {
            Self::Tcp(listener, _) => ListenAddress::Tcp(listener.local_addr()?),
            Self::Unix(_, file) => ListenAddress::Unix(file.0.clone()),
        })
    }

    /// Whether its connections are encrypted.
    pub(crate) const fn has_tls(&self) -> bool {
        matches!(self, Self::Tcp(_, Purpose::Clients(Some(_))))
    }

    /// Waits for a client.
    ///
    /// # Errors
    /// When the host has no descriptor or memory for it, or it is gone already.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, purpose) => {
                let (stream, address) = listener.accept().await?;
                prepare(&stream);
                Ok(Accepted::Tcp { stream, address, purpose: purpose.clone() })
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred()?;
                let ids = PeerIds { uid: peer.uid(), gid: peer.gid() };
                Ok(Accepted::Unix { stream, ids })
            }
        }
    }
}

/// Sets the options of a connection that was accepted.
fn prepare(stream: &TcpStream) {
    // Answers are small and written whole; waiting to join them with others only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!("TCP_NODELAY: {error}");
    }
    let write_millis = u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(stream, TcpUserTimeout, &write_millis) {
        debug!("TCP_USER_TIMEOUT: {error}");
    }
}

/// Removes a socket's file that was left behind. One that somebody listens on stays, and so does
/// every other file.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)
                }
                _ => Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another process listens on this socket",
                )),
            }
        }
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
