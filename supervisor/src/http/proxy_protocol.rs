//! The PROXY protocol, version 2 (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>):
//! a load balancer says whose connection it passes on.
//!
//! The few bytes that it takes are parsed here: the crates that there are also build headers, and
//! speak version 1.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The beginning of every header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses: the signature, the version with the command, the family, and the
/// length of the rest.
const FIXED: usize = 16;

/// Bytes of a whole header. The standard has every receiver accept as many; fields behind the
/// addresses are read and dropped.
const MAX_HEADER: usize = 536;

/// Why a header is not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("it sent no PROXY protocol v2 header, which proxy_protocol_from requires of it")]
    NotAHeader,
    #[error("its PROXY protocol header is longer than {MAX_HEADER} bytes")]
    TooLong,
    #[error("its PROXY protocol header has an unknown command or an invalid address")]
    Invalid,
    #[error("its connection ended within the PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// Reads a header, and no byte behind it. Returns the client's address, or `None` where the proxy
/// speaks for itself, as in its health checks, or does not know.
///
/// # Errors
/// When there is no header, or one that is not as the standard has it.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, ProxyError> {
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await?;
    let Some((signature, rest)) = fixed.split_first_chunk() else {
        return Err(ProxyError::NotAHeader);
    };
    let ([command, family, high, low], true) = (rest, *signature == SIGNATURE) else {
        return Err(ProxyError::NotAHeader);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if FIXED + length > MAX_HEADER {
        return Err(ProxyError::TooLong);
    }
    let mut rest = [0; MAX_HEADER - FIXED];
    let rest = rest.get_mut(..length).ok_or(ProxyError::TooLong)?;
    stream.read_exact(rest).await?;
    match (command, family) {
        // LOCAL: the addresses, if any, are to be ignored.
        (0x20, _) => Ok(None),
        // PROXY, from a client that the proxy does not know.
        (0x21, 0x00) => Ok(None),
        (0x21, 0x11) => ipv4(rest).map(Some).ok_or(ProxyError::Invalid),
        (0x21, 0x21) => ipv6(rest).map(Some).ok_or(ProxyError::Invalid),
        _ => Err(ProxyError::Invalid),
    }
}

/// The source of a connection over TCP and IPv4: both addresses, then both ports.
fn ipv4(bytes: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = bytes.split_first_chunk::<4>()?;
    let (port, _) = rest.get(4..)?.split_first_chunk::<2>()?;
    rest.get(6..8)?;
    let address = IpAddr::V4(Ipv4Addr::from(*address));
    Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
}

/// The same with IPv6.
fn ipv6(bytes: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = bytes.split_first_chunk::<16>()?;
    let (port, _) = rest.get(16..)?.split_first_chunk::<2>()?;
    rest.get(18..20)?;
    let address = IpAddr::V6(Ipv6Addr::from(*address));
    Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE, &[command, family][..], &length, rest].concat()
    }

    async fn read(bytes: &[u8]) -> (Result<Option<SocketAddr>, ProxyError>, usize) {
        let mut left = bytes;
        let read = read_header(&mut left).await;
        (read, left.len())
    }

    #[tokio::test]
    async fn a_header_says_whose_connection_it_is_and_nothing_behind_it_is_read() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80];
        let mut bytes = header(0x21, 0x11, &[&v4[..], b"\x04\0\x01x"].concat());
        bytes.extend_from_slice(b"GET");
        let (found, left) = read(&bytes).await;
        assert_eq!(found.unwrap(), Some("192.0.2.7:8080".parse().unwrap()));
        assert_eq!(left, 3);
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 9, 42);
        let (found, _) = read(&header(0x21, 0x21, &v6)).await;
        assert_eq!(found.unwrap(), Some("[2001::9]:42".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_names_nobody() {
        for bytes in [header(0x20, 0, &[]), header(0x20, 0x11, &[9; 12]), header(0x21, 0, &[1])] {
            assert_eq!(read(&bytes).await.0.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_header_that_is_not_as_the_standard_has_it_is_refused() {
        let long = header(0x21, 0x11, &[0; MAX_HEADER - FIXED + 1]);
        assert!(matches!(read(&long).await.0, Err(ProxyError::TooLong)));
        for bytes in [
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            header(0x11, 0x11, &[0; 12]),
            header(0x22, 0x11, &[0; 12]),
            header(0x21, 0x12, &[0; 12]),
            header(0x21, 0x31, &[0; 216]),
            header(0x21, 0x11, &[0; 11]),
            header(0x21, 0x21, &[0; 35]),
            header(0x21, 0x11, &[0; 12])[..20].to_vec(),
        ] {
            assert!(read(&bytes).await.0.is_err(), "{bytes:?}");
        }
    }
}
