//! The formats of texts that are checked; every text satisfies any other.

use super::email;
use crate::builtins::go::url;
use crate::builtins::regex::program;
use crate::builtins::{Failure, net, time};

const TIMES: [&str; 2] = ["15:04:05Z07:00", "15:04:05"];
const DATE: &str = "2006-01-02";
const DATE_TIME: &str = "2006-01-02T15:04:05Z07:00";

/// The highest number of bytes in a host's name and of characters in one of its labels.
const HOST: usize = 255;
const LABEL: usize = 63;

/// The lengths of a UUID's parts.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether a text has a format.
///
/// # Errors
/// When a pattern is too large, which ends the evaluation.
pub(super) fn has(format: &str, text: &str) -> Result<bool, Failure> {
    let holds = match format {
        "date" => time::is_time(DATE, text),
        "time" => TIMES.iter().any(|layout| time::is_time(layout, text)),
        "date-time" => {
            TIMES.iter().chain([&DATE, &DATE_TIME]).any(|layout| time::is_time(layout, text))
        }
        "hostname" => is_hostname(text),
        "email" | "idn-email" => email::is_address(text),
        "ipv4" => net::is_address(text) && text.contains('.'),
        "ipv6" => net::is_address(text) && text.contains(':'),
        "uri" | "iri" => {
            !text.contains('\\') && url::parse(text).is_ok_and(|url| !url.scheme.is_empty())
        }
        "uri-reference" | "iri-reference" => !text.contains('\\') && url::parse(text).is_ok(),
        "uri-template" => {
            !text.contains('\\') && url::parse(text).is_ok_and(|url| braces_close(&url.path))
        }
        "uuid" => is_uuid(text),
        "regex" => match program::check(text) {
            Err(Failure::Builtin(_)) => false,
            other => other.map(|()| true)?,
        },
        "json-pointer" => is_pointer(text),
        "relative-json-pointer" => is_relative_pointer(text),
        _ => true,
    };
    Ok(holds)
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=LABEL).contains(&label.len())
            && label.chars().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= HOST && text.split('.').all(is_label)
}

fn braces_close(path: &str) -> bool {
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { return false };
        rest = after;
    }
    true
}

fn is_uuid(text: &str) -> bool {
    let is_part = |(part, length): (&str, usize)| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split('-').count() == UUID.len() && text.split('-').zip(UUID).all(is_part)
}

fn is_pointer(text: &str) -> bool {
    let mut rest = text.split('~');
    let first = rest.next().unwrap_or_default();
    (text.is_empty() || first.starts_with('/')) && rest.all(|part| part.starts_with(['0', '1']))
}

fn is_relative_pointer(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or_default();
    let is_count = digits == "0" || !digits.is_empty() && !digits.starts_with('0');
    is_count && (rest == "#" || is_pointer(rest))
}
