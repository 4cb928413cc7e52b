//! Where the supervisor listens, and the hosts that requests may be for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::settings::{ALLOWED_HOSTS, DIAGNOSTICS_ADDRESS, LISTEN};

/// Addresses to listen on.
const MAX_ADDRESSES: usize = 16;

/// Names in `allowed_hosts`.
const MAX_HOSTS: usize = 64;

/// Bytes of the path of a Unix socket (`unix(7)`: 108 with the zero behind it).
const MAX_SOCKET_PATH: usize = 107;

/// The beginning of the path of a Unix socket.
const UNIX: &str = "unix:";

/// The beginning of an address that is without TLS where others have it.
const PLAIN: &str = "http://";

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port. Port 0 is any free one.
    Tcp(SocketAddr),
    /// The same, without TLS also where `[tls]` is configured.
    Plain(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this host reaches it.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) | Self::Plain(address) => is_loopback(address.ip()),
            Self::Unix(_) => true,
        }
    }

    /// Whether it is encrypted, where `[tls]` makes the others so.
    const fn encryption(&self, of_others: Encryption) -> Encryption {
        match self {
            Self::Tcp(_) => of_others,
            Self::Plain(_) | Self::Unix(_) => Encryption::Plain,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Plain(address) => write!(formatter, "{PLAIN}{address}"),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) addresses: Vec<ListenAddress>,
    /// Where health and metrics are served to everyone.
    pub(crate) diagnostics: Option<SocketAddr>,
    pub(crate) hosts: Hosts,
    /// Set if other hosts reach an address that is not protected.
    pub(crate) unprotected: Option<InsecureListen>,
}

/// Whether a request needs a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    Needed,
    NotNeeded,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Plain,
    Tls,
}

/// Whether addresses that other hosts reach may be listened on without protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsecureListen {
    Refuse,
    WithoutTls,
    WithoutTlsAndCredentials,
}

impl InsecureListen {
    /// Checks that addresses which other hosts reach are protected, and returns the reason why one
    /// that is not may be listened on.
    ///
    /// # Errors
    /// The expected protection, when it is not.
    pub(super) fn check(
        self,
        addresses: &[ListenAddress],
        credential: Credential,
        tls: Encryption,
    ) -> Result<Option<Self>, String> {
        let mut exposed = addresses.iter().filter(|address| !address.is_local());
        exposed.try_fold(None, |unprotected, exposed| {
            let reason = self.check_exposed(exposed, credential, exposed.encryption(tls))?;
            Ok(unprotected.or(reason))
        })
    }

    fn check_exposed(
        self,
        exposed: &ListenAddress,
        credential: Credential,
        encryption: Encryption,
    ) -> Result<Option<Self>, String> {
        match (credential, encryption, self) {
            (Credential::Needed, Encryption::Tls, _) => Ok(None),
            (_, _, Self::WithoutTlsAndCredentials)
            | (Credential::Needed, Encryption::Plain, Self::WithoutTls) => Ok(Some(self)),
            (Credential::Needed, Encryption::Plain, Self::Refuse) => Err(format!(
                "expected an address of the loopback, because other hosts reach {exposed} and credentials and inputs would cross the network unencrypted; configure [tls], or allow it by insecure_listen = \"without-tls\""
            )),
            (Credential::NotNeeded, _, Self::Refuse | Self::WithoutTls) => Err(format!(
                "expected an address of the loopback, because other hosts reach {exposed}, and whoever reaches it could ask for every tenant and watch its inputs; configure [credentials] and [tls]"
            )),
        }
    }

    /// The hosts that requests may be for.
    pub(super) fn hosts(self, names: Vec<String>, credential: Credential) -> Hosts {
        let is_restricted = !names.is_empty()
            || credential == Credential::NotNeeded && self != Self::WithoutTlsAndCredentials;
        if is_restricted { Hosts::Known(names) } else { Hosts::Any }
    }
}

pub(super) fn insecure_listen(text: &str) -> Result<InsecureListen, String> {
    match text {
        "refuse" => Ok(InsecureListen::Refuse),
        "without-tls" => Ok(InsecureListen::WithoutTls),
        "without-tls-and-credentials" => Ok(InsecureListen::WithoutTlsAndCredentials),
        _ => Err("expected refuse, without-tls or without-tls-and-credentials".to_owned()),
    }
}

/// Addresses to listen on; `None` for host and port.
pub(super) fn addresses(text: &str) -> Result<Option<Vec<ListenAddress>>, String> {
    if text == LISTEN.default {
        return Ok(None);
    }
    let parsed: Option<Vec<ListenAddress>> =
        text.split(',').map(|part| address(part.trim())).collect();
    let parsed = parsed.filter(|addresses| addresses.len() <= MAX_ADDRESSES);
    parsed.map(Some).ok_or_else(|| {
        format!(
            "expected none, or up to {MAX_ADDRESSES} addresses with a port, such as 127.0.0.1:8181 or [::1]:8181, and absolute paths of Unix sockets, such as unix:/run/edge-policy-enforcer/api.sock"
        )
    })
}

fn address(text: &str) -> Option<ListenAddress> {
    if let Some(path) = text.strip_prefix(UNIX) {
        let is_path =
            path.starts_with('/') && path.len() <= MAX_SOCKET_PATH && !path.contains('\0');
        return is_path.then(|| ListenAddress::Unix(path.into()));
    }
    match text.strip_prefix(PLAIN) {
        Some(address) => socket_address(address).map(ListenAddress::Plain),
        None => socket_address(text).map(ListenAddress::Tcp),
    }
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().ok()
}

pub(super) fn diagnostics_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == DIAGNOSTICS_ADDRESS.default {
        return Ok(None);
    }
    let address = socket_address(text);
    address
        .map(Some)
        .ok_or_else(|| "expected none, or an address such as 127.0.0.1:8282".to_owned())
}

/// Whether only this host reaches the address.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address == Ipv6Addr::LOCALHOST
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
    }
}

/// The hosts that requests may be for.
///
/// A page of a name that its owner points at this machine's loopback is of that name's origin (DNS
/// rebinding): a browser lets it read every answer. The name is in `Host`, where it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// A credential is needed, which no such page has.
    Any,
    /// This machine's loopback, and these names in lower case.
    Known(Vec<String>),
}

impl Hosts {
    /// Whether a request with this `Host` is answered.
    pub(crate) fn include(&self, host: &str) -> bool {
        let names = match self {
            Self::Any => return true,
            Self::Known(names) => names,
        };
        let name = without_port(host);
        let is_own = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(address) => address.parse().is_ok_and(|address| is_loopback(IpAddr::V6(address))),
            None => name.parse().is_ok_and(|address| is_loopback(IpAddr::V4(address))),
        };
        is_own
            || name.eq_ignore_ascii_case("localhost")
            || names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    }
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

pub(super) fn allowed_hosts(text: &str) -> Result<Vec<String>, String> {
    if text == ALLOWED_HOSTS.default {
        return Ok(Vec::new());
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let is_name = |name: &String| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        !name.is_empty() && name.len() <= 255 && name.bytes().all(is_part)
    };
    if names.len() <= MAX_HOSTS && names.iter().all(is_name) {
        return Ok(names);
    }
    Err(format!(
        "expected none, or up to {MAX_HOSTS} names as they are in Host, such as pdp.example.com or pdp.example.com:8443"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_of_a_host_or_a_unix_socket() {
        let parsed =
            addresses("127.0.0.1:1, [::1]:2,localhost:0,unix:/run/a.sock,http://127.0.0.1:3")
                .unwrap();
        let shown: Vec<String> = parsed.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["127.0.0.1:1", "[::1]:2", "127.0.0.1:0", "unix:/run/a.sock", "http://127.0.0.1:3"]
        );
        let long = format!("unix:/{}", "a".repeat(MAX_SOCKET_PATH));
        for text in ["", "8181", "127.0.0.1", "example.com:80", "unix:", "unix:a", "::1:80", &long]
        {
            assert!(addresses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_hosts_reach_every_address_that_is_not_loopback_s() {
        for (text, is_local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/a", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
        ] {
            assert_eq!(address(text).unwrap().is_local(), is_local, "{text}");
        }
    }

    #[test]
    fn what_other_hosts_reach_needs_credentials_and_tls() {
        let open = |text: &str, credential, tls| {
            let addresses = [address(text).unwrap()];
            InsecureListen::Refuse.check(&addresses, credential, tls).is_ok()
        };
        use Credential::{Needed, NotNeeded};
        for local in ["127.0.0.1:1", "http://127.0.0.1:1", "unix:/a"] {
            assert!(open(local, NotNeeded, Encryption::Plain), "{local}");
            assert!(open(local, NotNeeded, Encryption::Tls), "{local}");
        }
        assert!(open("0.0.0.0:1", Needed, Encryption::Tls));
        assert!(!open("0.0.0.0:1", Needed, Encryption::Plain));
        assert!(!open("0.0.0.0:1", NotNeeded, Encryption::Tls));
        assert!(!open("http://0.0.0.0:1", Needed, Encryption::Tls));
    }

    #[test]
    fn a_name_that_is_not_ours_is_not_answered() {
        let hosts = Hosts::Known(vec!["pdp.example.com".to_owned(), "x.example:8443".to_owned()]);
        for host in [
            "localhost",
            "LocalHost:8181",
            "127.0.0.1:8181",
            "127.1.2.3",
            "[::1]",
            "[::1]:8181",
            "pdp.example.com",
            "PDP.example.com:443",
            "x.example:8443",
        ] {
            assert!(hosts.include(host), "{host}");
        }
        for host in [
            "",
            ":8181",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]:8181",
            "x.example",
            "x.example:1",
            "2130706433",
            "0.0.0.0",
            "pdp.example.com.",
            "pdp.example.com:8x",
        ] {
            assert!(!hosts.include(host), "{host}");
        }
        assert!(Hosts::Any.include("anything"));
    }
}
