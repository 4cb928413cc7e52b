//! Addresses of documents on servers.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;

/// Bytes of an address. Servers refuse longer ones.
const MAX_URL: usize = 4096;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// TLS.
    Https,
    /// Without encryption.
    Http,
}

/// The address of a document: scheme, server and path. It holds no user, password or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path, with a query where there is one. It begins with `/`.
    pub(crate) path: String,
}

impl Url {
    /// Whether both are on the same server, by scheme, host and port.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        (self.scheme, self.port) == (other.scheme, other.port)
            && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// Whether nobody else can read what is said to this server.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback())
    }

    /// The document at `resource` below this address.
    pub(crate) fn below(&self, resource: &str) -> Option<Self> {
        let path = format!("{}/{}", self.path.trim_end_matches('/'), resource.trim_matches('/'));
        Self { path: "/".to_owned(), ..self.clone() }.resolve(&path)
    }

    /// The address that a redirect of this document names.
    pub(crate) fn resolve(&self, location: &str) -> Option<Self> {
        let server = Self { path: String::new(), ..self.clone() };
        let (path, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let whole = if location.starts_with("//") {
            format!("{}:{location}", self.scheme)
        } else if location.starts_with('/') {
            format!("{server}{location}")
        } else if location.starts_with('?') {
            format!("{server}{path}{location}")
        } else if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) {
            location.to_owned()
        } else {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{server}{directory}/{location}")
        };
        whole.parse().ok()
    }

    /// The value of a `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Https => "https",
            Self::Http => "http",
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

/// The text is not the address of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUrl;

impl FromStr for Url {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri =
            (text.len() <= MAX_URL).then(|| text.parse().ok()).flatten().ok_or(InvalidUrl)?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(InvalidUrl),
        };
        let authority = uri.authority().ok_or(InvalidUrl)?;
        // A password here would be shown wherever the address is.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidUrl);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, host, port: uri.port_u16().unwrap_or(scheme.port()), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_resource_is_below_the_address_of_its_service() {
        for (service, resource, expected) in [
            ("https://a.example/v1", "bundles/x.tar.gz", "https://a.example/v1/bundles/x.tar.gz"),
            ("https://a.example/v1/", "/x.tar.gz", "https://a.example/v1/x.tar.gz"),
            ("https://a.example", "x?y=1", "https://a.example/x?y=1"),
            ("http://[::1]:8080", "x", "http://[::1]:8080/x"),
        ] {
            assert_eq!(url(service).below(resource).unwrap().to_string(), expected);
        }
        assert!(url("https://a.example").below("a b").is_none());
    }

    #[test]
    fn a_redirect_is_resolved_against_the_document_that_has_it() {
        let from = url("https://a.example/v1/x.tar.gz?z");
        for (location, expected) in [
            ("y.tar.gz", "https://a.example/v1/y.tar.gz"),
            ("/y", "https://a.example/y"),
            ("?q", "https://a.example/v1/x.tar.gz?q"),
            ("//b.example/y", "https://b.example/y"),
            ("http://b.example:81/y", "http://b.example:81/y"),
        ] {
            assert_eq!(from.resolve(location).unwrap().to_string(), expected);
        }
        for bad in
            ["ftp://b.example/", "javascript:x", "https://", "https://user:secret@b.example/"]
        {
            assert_eq!(from.resolve(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_same_server_is_the_same_origin() {
        let origin = url("https://a.example/x");
        assert!(origin.is_same_origin(&url("https://A.example:443/y")));
        for other in ["http://a.example/x", "https://a.example:444/x", "https://b.example/x"] {
            assert!(!origin.is_same_origin(&url(other)), "{other}");
        }
        assert!(url("http://127.0.0.2:1/").is_loopback() && url("http://[::1]/").is_loopback());
        assert!(!url("http://localhost.example/").is_loopback());
    }
}
