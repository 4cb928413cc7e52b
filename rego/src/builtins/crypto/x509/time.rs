//! Times of certificates, as Go reads them and writes them in JSON.

use crate::builtins::crypto::der::{self, Der};
use crate::builtins::go::calendar::day_number;

/// A time, to the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    /// In RFC 3339, with the offset that it was written with.
    pub(super) text: String,
}

/// The next element, which must be a time.
///
/// # Errors
/// In Go's words.
pub(super) fn read(content: &mut Der<'_>) -> Result<Time, &'static str> {
    if content.peek(der::UTC_TIME) {
        let text = content.read(der::UTC_TIME).map(Der::bytes);
        return text.and_then(utc).ok_or("x509: malformed UTCTime");
    }
    if content.peek(der::GENERALIZED_TIME) {
        let text = content.read(der::GENERALIZED_TIME).map(Der::bytes);
        return text.and_then(generalized).ok_or("x509: malformed GeneralizedTime");
    }
    Err("x509: unsupported time format")
}

/// Years of two digits are those from 1950 on. The seconds may be left out.
fn utc(text: &[u8]) -> Option<Time> {
    let (year, rest) = number(text, 2)?;
    let year = if year >= 50 { 1900 + year } else { 2000 + year };
    let [month, day, hour, minute] = [0, 2, 4, 6].map(|at| number(rest.get(at..)?, 2));
    let rest = rest.get(8..)?;
    let (second, zone) = number(rest, 2).unwrap_or((0, rest));
    time([year, month?.0, day?.0, hour?.0, minute?.0, second], zone)
}

fn generalized(text: &[u8]) -> Option<Time> {
    let (year, rest) = number(text, 4)?;
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(rest.get(at..)?, 2));
    time([year, month?.0, day?.0, hour?.0, minute?.0, second?.0], rest.get(10..)?)
}

fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')), rest))
}

fn time([year, month, day, hour, minute, second]: [i64; 6], zone: &[u8]) -> Option<Time> {
    let offset = offset(zone)?;
    let valid = (1..=12).contains(&month)
        && (1..=days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let local = ((day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let zone = match offset {
        0 => "Z".to_owned(),
        _ => {
            let sign = if offset < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
        }
    };
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}");
    Some(Time { seconds: local - offset * 60, text })
}

/// Minutes. Zero is always written `Z`.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, rest) = number(digits, 2)?;
    let (minutes, rest) = number(rest, 2)?;
    let minutes = hours * 60 + minutes;
    (hours < 24 && minutes % 60 < 60 && minutes > 0 && rest.is_empty()).then_some(sign * minutes)
}

fn days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}
