//! Names of domains and of mailboxes.

/// Whether a text may be a domain, or a constraint of domains, which may begin with a dot.
pub(super) fn is_domain(domain: &[u8], constraint: bool) -> bool {
    if domain.is_empty() {
        return true;
    }
    if domain.ends_with(b".") {
        return false;
    }
    let domain = if constraint { domain.strip_prefix(b".").unwrap_or(domain) } else { domain };
    domain.split(|b| *b == b'.').all(|label| !label.is_empty())
        && domain.iter().all(|b| (33..=126).contains(b))
}

/// A mailbox: the part before the `@`, and the domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mailbox {
    pub(super) local: Vec<u8>,
    pub(super) domain: String,
}

/// The parts of an address of electronic mail (RFC 2821).
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    let (local, rest) = match text.as_bytes() {
        [b'"', rest @ ..] => quoted(rest)?,
        bytes => atoms(bytes)?,
    };
    let domain = rest.strip_prefix(b"@")?;
    let valid = is_domain(domain, false);
    let domain = String::from_utf8(domain.to_vec()).ok().filter(|_| valid)?;
    Some(Mailbox { local, domain })
}

fn quoted(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut local = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((local, rest)),
            b'\\' => {
                let (escaped, after) = rest.split_first()?;
                if !matches!(escaped, 1..=9 | 11 | 12 | 14..=127) {
                    return None;
                }
                local.push(*escaped);
                rest = after;
            }
            1..=8 | 11 | 12 | 14..=33 | 35..=91 | 93..=127 => local.push(*byte),
            _ => return None,
        }
    }
}

fn atoms(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut local = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'\\' => {
                let (escaped, after) = after.split_first()?;
                local.push(*escaped);
                rest = after;
            }
            byte if byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(byte) => {
                local.push(*byte);
                rest = after;
            }
            _ => break,
        }
    }
    let dots = local.starts_with(b".")
        || local.ends_with(b".")
        || local.windows(2).any(|pair| pair == b"..");
    (!local.is_empty() && !dots).then_some((local, rest))
}
