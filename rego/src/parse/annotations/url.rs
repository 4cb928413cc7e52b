//! Addresses of related resources, as Go's `net/url` reads and prints them.

use std::net::Ipv6Addr;

/// The part of an address that a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    User,
    Fragment,
}

/// An address as Go prints it.
///
/// # Errors
/// Go's message.
pub(super) fn normalize(address: &str) -> Result<String, String> {
    let (rest, fragment) = address.split_once('#').unwrap_or((address, ""));
    let failed = |text: &str| {
        let text = text.to_owned();
        move |message: String| format!("parse {text:?}: {message}")
    };
    let mut printed = without_fragment(rest).map_err(failed(rest))?;
    if !fragment.is_empty() {
        printed.push('#');
        printed.push_str(&escaped(fragment, Part::Fragment).map_err(failed(address))?);
    }
    Ok(printed)
}

fn without_fragment(address: &str) -> Result<String, String> {
    if address.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = scheme(address)?;
    let mut printed = String::new();
    if !scheme.is_empty() {
        printed = format!("{}:", scheme.to_ascii_lowercase());
    }
    let (mut rest, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            printed.push_str(rest);
            return Ok(with_query(printed, query));
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    if !(scheme.is_empty() && rest.starts_with("///"))
        && let Some(authority) = rest.strip_prefix("//")
    {
        let end = authority.find('/').unwrap_or(authority.len());
        let (authority, path) = authority.split_at_checked(end).unwrap_or((authority, ""));
        let authority = self::authority(scheme, authority)?;
        if !(authority.is_empty() && path.is_empty()) {
            printed.push_str("//");
        }
        printed.push_str(&authority);
        rest = path;
    }
    printed.push_str(&escaped(rest, Part::Path)?);
    Ok(with_query(printed, query))
}

fn with_query(mut printed: String, query: Option<&str>) -> String {
    if let Some(query) = query {
        printed.push('?');
        printed.push_str(query);
    }
    printed
}

fn scheme(address: &str) -> Result<(&str, &str), String> {
    for (at, byte) in address.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => {
                let rest = address.get(at + 1..).unwrap_or_default();
                return Ok((address.get(..at).unwrap_or_default(), rest));
            }
            _ => break,
        }
    }
    Ok(("", address))
}

fn authority(scheme: &str, text: &str) -> Result<String, String> {
    let Some((user, host)) = text.rsplit_once('@') else { return host(scheme, text) };
    let host = self::host(scheme, host)?;
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(is_allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let parts: Result<Vec<String>, String> =
        user.splitn(2, ':').map(|part| escaped(part, Part::User)).collect();
    Ok(format!("{}@{host}", parts?.join(":")))
}

fn host(scheme: &str, text: &str) -> Result<String, String> {
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let colon = if is_web { text.find(':') } else { text.rfind(':') };
    let (address, port) = match text.rfind('[') {
        Some(0) => {
            let end = text.rfind(']').ok_or("missing ']' in host")?;
            (text.get(1..end), text.get(end + 1..).unwrap_or_default())
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => (None, colon.and_then(|colon| text.get(colon..)).unwrap_or_default()),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_port {
        return Err(format!("invalid port {port:?} after host"));
    }
    let Some(address) = address else { return escaped(text, Part::Host) };
    let number = address.split("%25").next().unwrap_or_default();
    if number.parse::<Ipv6Addr>().is_err() {
        return Err(format!("invalid host: ParseAddr({address:?}): unable to parse IP"));
    }
    Ok(text.to_owned())
}

/// The original part, where no escape is missing, or the part with all escapes.
fn escaped(text: &str, part: Part) -> Result<String, String> {
    let bytes = unescaped(text, part)?;
    let mut all = String::new();
    for byte in bytes {
        if is_unescaped(byte, part) {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
    }
    let is_valid =
        |byte: u8| byte == b'%' || b"!$&'()*+,;=:@[]".contains(&byte) || is_unescaped(byte, part);
    let keeps = matches!(part, Part::Path | Part::Fragment) && text.bytes().all(is_valid);
    Ok(if keeps { text.to_owned() } else { all })
}

fn unescaped(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        if byte != b'%' {
            if part == Part::Host && byte.is_ascii() && !is_unescaped(byte, part) {
                return Err(format!(
                    "invalid character {:?} in host name",
                    char::from(byte).to_string()
                ));
            }
            bytes.push(byte);
            continue;
        }
        let digits = text
            .get(at + 1..at + 3)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(value) =
            value.filter(|value| part != Part::Host || !value.is_ascii() || *value == b'%')
        else {
            let end = (at + 3).min(text.len());
            let escape = text.get(at..end).unwrap_or("%");
            return Err(format!("invalid URL escape {escape:?}"));
        };
        bytes.push(value);
        rest.next();
        rest.next();
    }
    Ok(bytes)
}

const fn is_unescaped(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() {
        return true;
    }
    match byte {
        b'-' | b'_' | b'.' | b'~' => true,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte != b'?',
            Part::User => matches!(byte, b'$' | b'&' | b'+' | b',' | b';' | b'='),
            Part::Host => !matches!(byte, b'/' | b'?' | b'@'),
            Part::Fragment => true,
        },
        b'!' | b'(' | b')' | b'*' => matches!(part, Part::Fragment | Part::Host),
        b'\'' | b'[' | b']' | b'<' | b'>' | b'"' => matches!(part, Part::Host),
        _ => false,
    }
}
