//! Go's layouts: how the second of January 2006, 15:04:05 in the zone MST, would be written.

use super::calendar::{self, MINUTE};
use super::instant::Instant;
use crate::builtins::{Failure, limits};

/// The names of layouts.
const NAMED: &[(&[u8], &[u8])] = &[
    (b"ANSIC", b"Mon Jan _2 15:04:05 2006"),
    (b"UnixDate", b"Mon Jan _2 15:04:05 MST 2006"),
    (b"RubyDate", b"Mon Jan 02 15:04:05 -0700 2006"),
    (b"RFC822", b"02 Jan 06 15:04 MST"),
    (b"RFC822Z", b"02 Jan 06 15:04 -0700"),
    (b"RFC850", b"Monday, 02-Jan-06 15:04:05 MST"),
    (b"RFC1123", b"Mon, 02 Jan 2006 15:04:05 MST"),
    (b"RFC1123Z", b"Mon, 02 Jan 2006 15:04:05 -0700"),
    (b"RFC3339", RFC3339),
    (b"RFC3339Nano", RFC3339_NANO),
];

pub(super) const RFC3339: &[u8] = b"2006-01-02T15:04:05Z07:00";
pub(super) const RFC3339_NANO: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The number of letters in a short name.
pub(super) const SHORT: usize = 3;

/// Go stores the length of a fraction in twelve bits.
const FRACTION_LENGTH: usize = 0xfff;

/// The layout with this name, or the text itself.
pub(super) fn resolve(layout: &[u8]) -> &[u8] {
    NAMED.iter().find(|(name, _)| *name == layout).map_or(layout, |(_, layout)| layout)
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    Weekday,
    LongWeekday,
    NumMonth,
    ZeroMonth,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    /// `PM`, or `pm`.
    Noon {
        small: bool,
    },
    /// An abbreviation.
    Zone,
    Offset {
        /// Whether a zero offset is written `Z`.
        z: bool,
        form: Offset,
    },
    /// A fraction of the second: zeros give a fixed number of digits, nines drop trailing zeros.
    Fraction {
        nines: bool,
        digits: usize,
        comma: bool,
    },
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offset {
    Hours,
    Minutes,
    ColonMinutes,
    Seconds,
    ColonSeconds,
}

/// The longest form that fits comes first.
const OFFSETS: [(&[u8], Offset); 5] = [
    (b"070000", Offset::Seconds),
    (b"07:00:00", Offset::ColonSeconds),
    (b"0700", Offset::Minutes),
    (b"07:00", Offset::ColonMinutes),
    (b"07", Offset::Hours),
];

/// The text before the first part, that part and its length, and the rest.
pub(super) type Chunk<'a> = (&'a [u8], Option<(Element, &'a [u8])>, &'a [u8]);

/// Finds the first part of a time.
pub(super) fn next(layout: &[u8]) -> Chunk<'_> {
    let mut at = 0;
    while let Some(rest) = layout.get(at..).filter(|rest| !rest.is_empty()) {
        match element(rest) {
            // A text that only looks like a fraction contains no part either.
            (None, length) => at += length,
            (Some(element), length) => {
                // In "_2006" the underscore is not a part of the year.
                let before = usize::from(element == Element::LongYear && rest.starts_with(b"_"));
                let (prefix, rest) = layout.split_at_checked(at + before).unwrap_or_default();
                let (text, suffix) = rest.split_at_checked(length).unwrap_or_default();
                return (prefix, Some((element, text)), suffix);
            }
        }
    }
    (layout, None, b"")
}

/// The part that a text begins with, and its length.
fn element(rest: &[u8]) -> (Option<Element>, usize) {
    let is_small = |at: usize| rest.get(at).is_some_and(u8::is_ascii_lowercase);
    let found = match rest {
        [b'J', b'a', b'n', b'u', b'a', b'r', b'y', ..] => (Element::LongMonth, 7),
        [b'J', b'a', b'n', ..] if !is_small(3) => (Element::Month, 3),
        [b'M', b'o', b'n', b'd', b'a', b'y', ..] => (Element::LongWeekday, 6),
        [b'M', b'o', b'n', ..] if !is_small(3) => (Element::Weekday, 3),
        [b'M', b'S', b'T', ..] => (Element::Zone, 3),
        [b'0', b'1', ..] => (Element::ZeroMonth, 2),
        [b'0', b'2', ..] => (Element::ZeroDay, 2),
        [b'0', b'3', ..] => (Element::ZeroHour12, 2),
        [b'0', b'4', ..] => (Element::ZeroMinute, 2),
        [b'0', b'5', ..] => (Element::ZeroSecond, 2),
        [b'0', b'6', ..] => (Element::Year, 2),
        [b'0', b'0', b'2', ..] => (Element::ZeroYearDay, 3),
        [b'1', b'5', ..] => (Element::Hour, 2),
        [b'1', ..] => (Element::NumMonth, 1),
        [b'2', b'0', b'0', b'6', ..] | [b'_', b'2', b'0', b'0', b'6', ..] => (Element::LongYear, 4),
        [b'2', ..] => (Element::Day, 1),
        [b'_', b'2', ..] => (Element::UnderDay, 2),
        [b'_', b'_', b'2', ..] => (Element::UnderYearDay, 3),
        [b'3', ..] => (Element::Hour12, 1),
        [b'4', ..] => (Element::Minute, 1),
        [b'5', ..] => (Element::Second, 1),
        [b'P', b'M', ..] => (Element::Noon { small: false }, 2),
        [b'p', b'm', ..] => (Element::Noon { small: true }, 2),
        [first @ (b'-' | b'Z'), form @ ..] => {
            match OFFSETS.iter().find(|(text, _)| form.starts_with(text)) {
                Some((text, form)) => {
                    (Element::Offset { z: *first == b'Z', form: *form }, 1 + text.len())
                }
                None => return (None, 1),
            }
        }
        [mark @ (b'.' | b','), digit @ (b'0' | b'9'), ..] => {
            let digits = rest.iter().skip(1).take_while(|byte| *byte == digit).count();
            if rest.get(1 + digits).is_some_and(u8::is_ascii_digit) {
                return (None, 1);
            }
            let (nines, comma) = (*digit == b'9', *mark == b',');
            let kept = digits & FRACTION_LENGTH;
            (Element::Fraction { nines, digits: kept, comma }, 1 + digits)
        }
        _ => return (None, 1),
    };
    (Some(found.0), found.1)
}

/// Writes a time by a layout.
///
/// # Errors
/// When the text would exceed a built-in's limit.
pub(super) fn format(instant: &Instant, mut layout: &[u8]) -> Result<Vec<u8>, Failure> {
    let period = instant.period();
    let local = instant.seconds.wrapping_add(period.offset);
    let date = calendar::date(local);
    let [hour, minute, second] = calendar::clock(local);
    let mut out = Vec::with_capacity(layout.len() + 10);
    loop {
        let (prefix, element, suffix) = next(layout);
        out.extend_from_slice(prefix);
        if out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a time's text is too long"));
        }
        let Some((element, _)) = element else { return Ok(out) };
        layout = suffix;
        let name = |names: &[&'static str], index: i64| {
            let name = usize::try_from(index).ok().and_then(|index| names.get(index).copied());
            name.unwrap_or_default().as_bytes()
        };
        let short = |name: &'static [u8]| name.get(..SHORT).unwrap_or_default();
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        match element {
            Element::Year => integer(&mut out, date.year.abs() % 100, 2),
            Element::LongYear => integer(&mut out, date.year, 4),
            Element::Month => out.extend(short(name(&MONTHS, date.month - 1))),
            Element::LongMonth => out.extend(name(&MONTHS, date.month - 1)),
            Element::NumMonth => integer(&mut out, date.month, 0),
            Element::ZeroMonth => integer(&mut out, date.month, 2),
            Element::Weekday => out.extend(short(name(&WEEKDAYS, date.weekday))),
            Element::LongWeekday => out.extend(name(&WEEKDAYS, date.weekday)),
            Element::Day => integer(&mut out, date.day, 0),
            Element::UnderDay => {
                out.extend(if date.day < 10 { b" ".as_slice() } else { b"" });
                integer(&mut out, date.day, 0);
            }
            Element::ZeroDay => integer(&mut out, date.day, 2),
            Element::UnderYearDay => {
                out.extend(match date.day_of_year {
                    ..10 => b"  ".as_slice(),
                    10..100 => b" ",
                    100.. => b"",
                });
                integer(&mut out, date.day_of_year, 0);
            }
            Element::ZeroYearDay => integer(&mut out, date.day_of_year, 3),
            Element::Hour => integer(&mut out, hour, 2),
            Element::Hour12 => integer(&mut out, hour12, 0),
            Element::ZeroHour12 => integer(&mut out, hour12, 2),
            Element::Minute => integer(&mut out, minute, 0),
            Element::ZeroMinute => integer(&mut out, minute, 2),
            Element::Second => integer(&mut out, second, 0),
            Element::ZeroSecond => integer(&mut out, second, 2),
            Element::Noon { small } => out.extend(match (hour >= 12, small) {
                (true, false) => b"PM",
                (false, false) => b"AM",
                (true, true) => b"pm",
                (false, true) => b"am",
            }),
            Element::Zone if !period.abbreviation.is_empty() => out.extend(period.abbreviation),
            Element::Zone => offset(&mut out, period.offset, Offset::Minutes),
            Element::Offset { z: true, .. } if period.offset == 0 => out.push(b'Z'),
            Element::Offset { form, .. } => offset(&mut out, period.offset, form),
            Element::Fraction { nines, digits, comma } => {
                fraction(&mut out, instant.nanoseconds, nines, digits, comma);
            }
        }
    }
}

/// A number padded with zeros to a width, without its sign.
fn integer(out: &mut Vec<u8>, number: i64, width: usize) {
    if number < 0 {
        out.push(b'-');
    }
    out.extend(format!("{:0width$}", number.unsigned_abs()).into_bytes());
}

fn offset(out: &mut Vec<u8>, offset: i64, form: Offset) {
    let minutes = offset / MINUTE;
    out.push(if minutes < 0 { b'-' } else { b'+' });
    integer(out, minutes.abs() / 60, 2);
    let colon = matches!(form, Offset::ColonMinutes | Offset::ColonSeconds);
    let mark = if colon { b":".as_slice() } else { b"" };
    if form == Offset::Hours {
        return;
    }
    out.extend(mark);
    integer(out, minutes.abs() % 60, 2);
    if matches!(form, Offset::Seconds | Offset::ColonSeconds) {
        out.extend(mark);
        // Go writes no sign here for zero minutes.
        let seconds = if minutes < 0 { -offset } else { offset };
        integer(out, seconds % MINUTE, 2);
    }
}

fn fraction(out: &mut Vec<u8>, nanoseconds: u32, nines: bool, digits: usize, comma: bool) {
    if nines && (digits == 0 || nanoseconds == 0) {
        return;
    }
    let text = format!("{nanoseconds:09}");
    let mut text = text.get(..digits).unwrap_or(&text);
    if nines {
        text = text.trim_end_matches('0');
        if text.is_empty() {
            return;
        }
    }
    out.push(if comma { b',' } else { b'.' });
    out.extend(text.as_bytes());
}
