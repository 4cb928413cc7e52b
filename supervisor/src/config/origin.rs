//! Reads an origin of a web page.

/// Reads an origin as browsers write it: a scheme, a host and perhaps a port.
pub(crate) fn parse(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let mut scheme_characters = scheme.chars();
    let is_scheme = scheme_characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && scheme_characters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_scheme && is_host && is_port).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for origin in
            ["https://ops.example.com", "http://localhost:3000", "app+x://a", "http://[::1]:80"]
        {
            assert_eq!(parse(origin).as_deref(), Some(origin));
        }
        assert_eq!(parse("HTTPS://Ops.Example").as_deref(), Some("https://ops.example"));
        for text in [
            "",
            "*",
            "null",
            "a",
            "://a",
            "http://",
            "http://a/",
            "http://a:",
            "http://a:65536",
            "http://a b",
            "http://u@a",
            "1http://a",
            "http://a:b:1x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
