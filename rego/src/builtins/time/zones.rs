//! Time zones, from a compiled-in table: no file of the host is read. `tests/opa/zones` makes the
//! table from Go's archive, which OPA has too.

use super::calendar::{self, DAY, HOUR, MINUTE};

static TABLE: &[u8] = include_bytes!("zones.bin");

/// Bytes of the longest name; shorter ones are filled up with zeros.
const NAME: usize = 32;

/// A zone in the index: its name, and the offset of its data, as `u32`.
const ENTRY: usize = NAME + 4;

/// A kind of time: seconds east of UTC as `i32`, and the offset of its abbreviation.
const KIND: usize = 5;

/// When a zone changes, in seconds of Unix time as `i64`.
const CHANGE: usize = 8;

/// A time zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone {
    /// The kind before the first change.
    first: u8,
    kinds: &'static [[u8; KIND]],
    changes: &'static [[u8; CHANGE]],
    /// The kind from each change on.
    begun: &'static [u8],
    abbreviations: &'static [u8],
    /// The rule after the last change, in POSIX form, or empty.
    rule: &'static [u8],
}

/// The offset and abbreviation during a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) abbreviation: &'static [u8],
    /// Seconds east of UTC.
    pub(super) offset: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// UTC, the default zone.
const UTC: Period = Period { abbreviation: b"UTC", offset: 0, start: i64::MIN, end: i64::MAX };

/// Takes the next bytes.
fn take<const N: usize>(data: &mut &'static [u8]) -> Option<[u8; N]> {
    let (taken, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*taken)
}

fn cut(data: &mut &'static [u8], length: usize) -> Option<&'static [u8]> {
    let (taken, rest) = data.split_at_checked(length)?;
    *data = rest;
    Some(taken)
}

fn index() -> (&'static [[u8; ENTRY]], &'static [u8]) {
    let mut data = TABLE;
    let count = take(&mut data).map_or(0, u16::from_le_bytes);
    let index = cut(&mut data, usize::from(count) * ENTRY).unwrap_or_default();
    (index.as_chunks().0, data)
}

fn name_of(entry: &[u8; ENTRY]) -> &[u8] {
    entry.get(..NAME).unwrap_or_default()
}

impl Zone {
    /// The zone of a name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        // Names never contain a zero byte, which is the padding of the table.
        if name.is_empty() || name.contains(&0) {
            return None;
        }
        let mut padded = [0; NAME];
        padded.get_mut(..name.len())?.copy_from_slice(name);
        let (index, data) = index();
        let found = index.binary_search_by(|entry| name_of(entry).cmp(&padded)).ok()?;
        let place = index.get(found)?.last_chunk()?;
        Self::read(data.get(usize::try_from(u32::from_le_bytes(*place)).ok()?..)?)
    }

    fn read(mut data: &'static [u8]) -> Option<Self> {
        let [first, kinds] = take(&mut data)?;
        let kinds = cut(&mut data, usize::from(kinds) * KIND)?.as_chunks().0;
        let count = usize::from(u16::from_le_bytes(take(&mut data)?));
        let changes = cut(&mut data, count * CHANGE)?.as_chunks().0;
        let begun = cut(&mut data, count)?;
        let [length] = take(&mut data)?;
        let abbreviations = cut(&mut data, usize::from(length))?;
        let [length] = take(&mut data)?;
        let rule = cut(&mut data, usize::from(length))?;
        Some(Self { first, kinds, changes, begun, abbreviations, rule })
    }

    /// The period at a second of Unix time.
    pub(super) fn at(&self, seconds: i64) -> Period {
        let next = self.changes.partition_point(|change| i64::from_le_bytes(*change) <= seconds);
        let change = |index: usize| self.changes.get(index).map(|begin| i64::from_le_bytes(*begin));
        let last = next.checked_sub(1);
        let start = last.and_then(change).unwrap_or(i64::MIN);
        if next == self.changes.len()
            && let Some(period) = Rule::parse(self.rule).map(|rule| rule.at(start, seconds))
        {
            return period;
        }
        let kind = last.and_then(|last| self.begun.get(last)).unwrap_or(&self.first);
        let end = change(next).unwrap_or(i64::MAX);
        let Some([a, b, c, d, name]) = self.kinds.get(usize::from(*kind)) else { return UTC };
        let rest = self.abbreviations.get(usize::from(*name)..).unwrap_or_default();
        let abbreviation = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let offset = i64::from(i32::from_le_bytes([*a, *b, *c, *d]));
        Period { abbreviation, offset, start, end }
    }
}

/// The period at a second of Unix time; without a zone, UTC.
pub(super) fn period(zone: Option<&Zone>, seconds: i64) -> Period {
    zone.map_or(UTC, |zone| zone.at(seconds))
}

/// A zone's yearly rule: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct Rule {
    standard: Kind,
    summer: Option<(Kind, [Yearly; 2])>,
}

#[derive(Clone, Copy)]
struct Kind {
    name: &'static [u8],
    offset: i64,
}

/// The n-th weekday of a month (the fifth is the last), and seconds from the beginning of that day.
struct Yearly {
    month: i64,
    week: i64,
    weekday: i64,
    time: i64,
}

impl Rule {
    fn parse(mut text: &'static [u8]) -> Option<Self> {
        let text = &mut text;
        let standard = kind(text, None)?;
        if text.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let summer = kind(text, Some(standard.offset + HOUR))?;
        let changes = [yearly(text)?, yearly(text)?];
        text.is_empty().then_some(Self { standard, summer: Some((summer, changes)) })
    }

    /// The period at a second that is not before the last change.
    fn at(&self, last: i64, seconds: i64) -> Period {
        let period = |kind: Kind, start: i64, end: i64| Period {
            abbreviation: kind.name,
            offset: kind.offset,
            start,
            end,
        };
        let mut outer = self.standard;
        let &Some((mut inner, ref changes)) = &self.summer else {
            return period(outer, last, i64::MAX);
        };
        let date = calendar::date(seconds);
        let second = (date.day_of_year - 1) * DAY + seconds % DAY;
        let new_year = seconds.wrapping_sub(second);
        let [start, end] = changes;
        let mut start = start.second_of(date.year) - outer.offset;
        let mut end = end.second_of(date.year) - inner.offset;
        // South of the equator the year begins in summer.
        if end < start {
            (start, end) = (end, start);
            (outer, inner) = (inner, outer);
        }
        let at = |second: i64| new_year.wrapping_add(second);
        if second < start {
            period(outer, new_year, at(start))
        } else if second >= end {
            period(outer, at(end), at(365 * DAY))
        } else {
            period(inner, at(start), at(end))
        }
    }
}

impl Yearly {
    /// Seconds since the beginning of the year, on the clock before the change.
    fn second_of(&self, year: i64) -> i64 {
        let first = calendar::date(calendar::begin_of(year, self.month, 1)).weekday;
        let mut day = (self.weekday - first).rem_euclid(7);
        for _ in 1..self.week {
            if day + 7 >= calendar::days_in(self.month, year) {
                break;
            }
            day += 7;
        }
        day += calendar::days_before(self.month);
        day += i64::from(calendar::is_leap(year) && self.month > 2);
        day * DAY + self.time
    }
}

fn kind(text: &mut &'static [u8], default: Option<i64>) -> Option<Kind> {
    let name = if skip(text, b'<') {
        let length = text.iter().position(|byte| *byte == b'>')?;
        let name = cut(text, length)?;
        skip(text, b'>');
        name
    } else {
        let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        cut(text, letters)?
    };
    // These are added to the zone's time to get UTC.
    let offset = match text.first() {
        None | Some(b',') => default?,
        Some(_) => -time(text)?,
    };
    Some(Kind { name, offset })
}

fn yearly(text: &mut &'static [u8]) -> Option<Yearly> {
    let month = (skip(text, b',') && skip(text, b'M')).then(|| number(text))??;
    let week = skip(text, b'.').then(|| number(text))??;
    let weekday = skip(text, b'.').then(|| number(text))??;
    let time = if skip(text, b'/') { time(text)? } else { 2 * HOUR };
    Some(Yearly { month, week, weekday, time })
}

/// `[-+]hours[:minutes[:seconds]]`
fn time(text: &mut &'static [u8]) -> Option<i64> {
    let negative = skip(text, b'-');
    if !negative {
        skip(text, b'+');
    }
    let mut time = number(text)? * HOUR;
    for unit in [MINUTE, 1] {
        if skip(text, b':') {
            time += number(text)? * unit;
        }
    }
    Some(if negative { -time } else { time })
}

fn number(text: &mut &'static [u8]) -> Option<i64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(cut(text, digits)?).ok()?.parse().ok()
}

fn skip(text: &mut &'static [u8], byte: u8) -> bool {
    match text.split_first() {
        Some((first, rest)) if *first == byte => {
            *text = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let (index, data) = index();
        assert!(index.len() > 500);
        assert!(index.is_sorted_by_key(name_of));
        for entry in index {
            let name = String::from_utf8_lossy(name_of(entry));
            let zone = Zone::named(name.trim_end_matches('\0').as_bytes()).expect(&name);
            assert!(zone.changes.is_sorted_by_key(|change| i64::from_le_bytes(*change)), "{name}");
            assert!(zone.begun.iter().all(|kind| usize::from(*kind) < zone.kinds.len()), "{name}");
            assert!(zone.rule.is_empty() || Rule::parse(zone.rule).is_some(), "{name}");
        }
        assert!(!data.is_empty());
    }

    #[test]
    fn only_a_whole_name_is_a_zone() {
        let long = "x".repeat(NAME + 1);
        for name in ["", "Europe", "Europe/Berlin\0", "europe/berlin", "Europe/Berlin ", &long] {
            assert!(Zone::named(name.as_bytes()).is_none(), "{name:?}");
        }
    }
}
