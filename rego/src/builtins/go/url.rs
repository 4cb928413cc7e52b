//! `net/url`

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use super::quote::quote;
use crate::builtins::{Failure, bytes};

/// The highest number of pairs in a query, as in Go.
const MAX_PARAMETERS: usize = 10_000;

/// A part of a URL, which determines the escaped characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Path,
    User,
    Host,
    Zone,
    Query,
    Fragment,
}

/// Go's messages for a URL.
type Wrong = String;

fn is_plain(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
        | b'[' | b']' | b'<' | b'>' | b'"'
            if matches!(part, Part::Host | Part::Zone) =>
        {
            true
        }
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte != b'?',
            Part::User => !matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => true,
            Part::Query | Part::Host | Part::Zone => false,
        },
        b'!' | b'(' | b')' | b'*' => part == Part::Fragment,
        _ => false,
    }
}

/// Escapes the characters that a part must not have.
pub(crate) fn escape(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in bytes::of(text).iter().copied() {
        match byte {
            b' ' if part == Part::Query => out.push('+'),
            byte if is_plain(byte, part) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Decodes the escapes.
///
/// # Errors
/// Go's message, when an escape is invalid, or a character is not allowed there.
pub(crate) fn unescape(text: &str, part: Part) -> Result<String, Failure> {
    plain(text, part).map_err(Failure::Builtin)
}

fn plain(text: &str, part: Part) -> Result<String, Wrong> {
    let source = bytes::of(text);
    let mut out = Vec::with_capacity(source.len());
    let mut rest = &*source;
    while let [byte, after @ ..] = rest {
        rest = after;
        match *byte {
            b'%' => {
                let wrong = || {
                    let shown: Vec<u8> =
                        std::iter::once(b'%').chain(after.iter().take(2).copied()).collect();
                    format!("invalid URL escape {}", quote(&bytes::to_text(&shown)))
                };
                let [high, low, after @ ..] = after else { return Err(wrong()) };
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err(wrong());
                };
                let value = u8::try_from(high * 16 + low).unwrap_or(0);
                let percent = value == b'%';
                let allowed = match part {
                    Part::Host => high >= 8 || percent,
                    Part::Zone => percent || value == b' ' || is_plain(value, Part::Host),
                    Part::Path | Part::User | Part::Query | Part::Fragment => true,
                };
                if !allowed {
                    return Err(wrong());
                }
                out.push(value);
                rest = after;
            }
            b'+' if part == Part::Query => out.push(b' '),
            byte => {
                let restricted = matches!(part, Part::Host | Part::Zone) && byte < 0x80;
                if byte != b'+' && restricted && !is_plain(byte, part) {
                    let shown = quote(&char::from(byte).to_string());
                    return Err(format!("invalid character {shown} in host name"));
                }
                out.push(byte);
            }
        }
    }
    Ok(bytes::to_text(&out))
}

/// The pairs of a query, in order.
///
/// # Errors
/// Go's message, when one of them is invalid.
pub(crate) fn parse_query(query: &str) -> Result<Vec<(String, String)>, Failure> {
    if query.matches('&').count() + 1 > MAX_PARAMETERS {
        let what = "number of URL query parameters exceeded limit";
        return Err(Failure::Builtin(what.to_owned()));
    }
    let mut pairs = Vec::new();
    let mut first_error = None;
    let mut semicolon = false;
    for pair in query.split('&') {
        if pair.contains(';') {
            semicolon = true;
            first_error = Some("invalid semicolon separator in query".to_owned());
            continue;
        }
        if pair.is_empty() {
            continue;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match plain(key, Part::Query).and_then(|key| Ok((key, plain(value, Part::Query)?))) {
            Ok(pair) => pairs.push(pair),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    // The fault of a semicolon replaces an earlier one.
    let _ = semicolon;
    match first_error {
        Some(error) => Err(Failure::Builtin(error)),
        None => Ok(pairs),
    }
}

/// The parts of a URL that are visible to policies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    /// The part after the scheme, where that is not a path.
    pub(crate) opaque: String,
    /// The name and, after a colon, the password, escaped as in Go.
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) raw_path: String,
    pub(crate) raw_query: String,
    pub(crate) fragment: String,
    /// The original fragment, where Go would escape it differently.
    pub(crate) raw_fragment: String,
    /// Whether the URL ends in a question mark.
    pub(crate) force_query: bool,
    /// Whether there is a scheme and a path, and no host before it.
    pub(crate) omit_host: bool,
}

impl Url {
    /// The host's name, without its port and brackets.
    pub(crate) fn hostname(&self) -> &str {
        self.split_host().0
    }

    /// The port, without the colon.
    pub(crate) fn port(&self) -> &str {
        self.split_host().1
    }

    /// The original path, or as Go escapes it.
    pub(crate) fn escaped_path(&self) -> String {
        escaped(&self.path, &self.raw_path, Part::Path)
    }

    fn split_host(&self) -> (&str, &str) {
        let (host, port) = self
            .host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .unwrap_or((&self.host, ""));
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        (bare.unwrap_or(host), port)
    }
}

/// Parses a URL or a reference.
///
/// # Errors
/// In Go's words.
pub(crate) fn parse(text: &str) -> Result<Url, Failure> {
    let (main, fragment) = text.split_once('#').unwrap_or((text, ""));
    let failed =
        |text: &str, error: Wrong| Failure::Builtin(format!("parse {}: {error}", quote(text)));
    let mut url = parse_main(main).map_err(|error| failed(main, error))?;
    url.fragment = plain(fragment, Part::Fragment).map_err(|error| failed(text, error))?;
    if escape(&url.fragment, Part::Fragment) != fragment {
        fragment.clone_into(&mut url.raw_fragment);
    }
    Ok(url)
}

/// The original part, where its escapes are valid, or the part as Go escapes it.
fn escaped(part: &str, raw: &str, of: Part) -> String {
    let valid = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || is_plain(byte, of);
    let same = || plain(raw, of).is_ok_and(|unescaped| unescaped == part);
    if !raw.is_empty() && bytes::of(raw).iter().all(|byte| valid(*byte)) && same() {
        return raw.to_owned();
    }
    if of == Part::Path && part == "*" { part.to_owned() } else { escape(part, of) }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            let nobody = self.host.is_empty() && self.user.is_none();
            if !(nobody && (self.scheme.is_empty() || self.omit_host || self.path.is_empty())) {
                f.write_str("//")?;
            }
            if let Some(user) = &self.user {
                write!(f, "{user}@")?;
            }
            f.write_str(&escape(&self.host, Part::Host))?;
            let path = self.escaped_path();
            if !path.starts_with('/') && !path.is_empty() && !self.host.is_empty() {
                f.write_str("/")?;
            }
            let first = path.split('/').next().unwrap_or("");
            if nobody && self.scheme.is_empty() && first.contains(':') {
                f.write_str("./")?;
            }
            f.write_str(&path)?;
        } else {
            f.write_str(&self.opaque)?;
        }
        if self.force_query || !self.raw_query.is_empty() {
            write!(f, "?{}", self.raw_query)?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", escaped(&self.fragment, &self.raw_fragment, Part::Fragment))?;
        }
        Ok(())
    }
}

fn parse_main(text: &str) -> Result<Url, Wrong> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    if text == "*" {
        url.path = "*".to_owned();
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    query.clone_into(&mut url.raw_query);
    url.force_query = query.is_empty() && text.ends_with('?');
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let mut path = rest;
    if let Some(authority) = rest.strip_prefix("//")
        && (!url.scheme.is_empty() || !rest.starts_with("///"))
    {
        let end = authority.find('/').unwrap_or(authority.len());
        let (authority, after) = authority.split_at_checked(end).unwrap_or((authority, ""));
        path = after;
        (url.user, url.host) = authority_of(&url.scheme, authority)?;
    } else if !url.scheme.is_empty() {
        url.omit_host = true;
    }
    url.path = plain(path, Part::Path)?;
    if escape(&url.path, Part::Path) != path {
        path.clone_into(&mut url.raw_path);
    }
    Ok(url)
}

fn scheme(text: &str) -> Result<(&str, &str), Wrong> {
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok(text.split_once(':').unwrap_or(("", text))),
            _ => break,
        }
    }
    Ok(("", text))
}

/// The user and the host.
fn authority_of(scheme: &str, authority: &str) -> Result<(Option<String>, String), Wrong> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = parse_host(scheme, host)?;
    if let Some(user) = user {
        let valid =
            user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c));
        if !valid {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        let mut escaped = escape(&plain(name, Part::User)?, Part::User);
        if let Some(password) = password {
            escaped.push(':');
            escaped.push_str(&escape(&plain(password, Part::User)?, Part::User));
        }
        return Ok((Some(escaped), host));
    }
    Ok((None, host))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, Wrong> {
    let Some(bracket) = host.rfind('[') else {
        check_port(scheme, host)?;
        return plain(host, Part::Host);
    };
    if bracket > 0 {
        return Err("invalid IP-literal".to_owned());
    }
    let Some((name, port)) = host.get(1..).and_then(|host| host.rsplit_once(']')) else {
        return Err("missing ']' in host".to_owned());
    };
    if !is_port(port) {
        return Err(format!("invalid port {} after host", quote(port)));
    }
    let port = plain(port, Part::Host)?;
    let name = match name.find("%25").and_then(|zone| name.split_at_checked(zone)) {
        Some((name, zone)) => {
            let name = plain(name, Part::Host)?;
            format!("{name}{}", plain(zone, Part::Zone)?)
        }
        None => plain(name, Part::Host)?,
    };
    let address = name.split_once('%').map_or(name.as_str(), |(address, _)| address);
    let zone_is_empty = name.ends_with('%') && address.len() + 1 == name.len();
    if Ipv4Addr::from_str(&name).is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if Ipv6Addr::from_str(address).is_err() || zone_is_empty {
        let shown = quote(&name);
        return Err(format!("invalid host: ParseAddr({shown}): unable to parse IP"));
    }
    Ok(format!("[{name}]{port}"))
}

fn check_port(scheme: &str, host: &str) -> Result<(), Wrong> {
    let Some(first) = host.find(':') else { return Ok(()) };
    let from =
        if matches!(scheme, "http" | "https") { first } else { host.rfind(':').unwrap_or(first) };
    let port = host.get(from..).unwrap_or("");
    if is_port(port) { Ok(()) } else { Err(format!("invalid port {} after host", quote(port))) }
}

/// Empty, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}
