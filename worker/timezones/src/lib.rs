//! The time zones that a policy can name, with no pointer in their tables.
//!
//! The real chrono-tz keeps more than 28,000 names of periods (`CET`, `CEST`), each with its length and its
//! address, in tables that the dynamic linker has to relocate: 972 KiB that every worker had for
//! itself, more than half of what an idle one held. Nobody asks for those names. regorus parses a
//! zone's name and wants the offset at an instant, and that is what there is here. The root
//! `Cargo.toml` puts this crate in the place of the other.
//!
//! `generate/` makes the tables from the real crate, and checks this one against it.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt::{self, Debug, Formatter};
use std::str::FromStr;

use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};

/// Bytes of the longest name of a zone; shorter ones are filled up with zeros.
const NAME: usize = 32;

/// A zone: its name, which of the periods is its first, and how many it has, as `u16`.
const ZONE: usize = NAME + 2 + 2;

/// A period: when it begins, in seconds of Unix time as `i64`, and its offset from UTC in seconds,
/// as `i32`. The first of a zone begins at `i64::MIN`.
const PERIOD: usize = 8 + 4;

/// In the order of their names. All numbers are little-endian.
static ZONES: &[u8] = include_bytes!("zones.bin");

/// One zone's after the other's, each in the order of time. Zones that agree share them.
static PERIODS: &[u8] = include_bytes!("periods.bin");

const DAY: i64 = 24 * 60 * 60;

/// A time zone of the tz database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tz(&'static [u8; ZONE]);

/// No zone has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(());

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        // The real crate's words, which reach whoever reads a policy's errors.
        formatter.write_str("failed to parse timezone")
    }
}

impl Error for ParseError {}

impl FromStr for Tz {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        // A zero is in no zone's name, and would be taken for what they are filled up with.
        if name.is_empty() || name.contains('\0') {
            return Err(ParseError(()));
        }
        let mut padded = [0; NAME];
        let place = padded.get_mut(..name.len()).ok_or(ParseError(()))?;
        place.copy_from_slice(name.as_bytes());
        let (zones, _) = ZONES.as_chunks::<ZONE>();
        let found = zones.binary_search_by(|zone| name_of(zone).cmp(&padded));
        found.ok().and_then(|index| zones.get(index)).map(Self).ok_or(ParseError(()))
    }
}

fn name_of(zone: &[u8; ZONE]) -> &[u8] {
    zone.get(..NAME).unwrap_or_default()
}

impl Tz {
    fn periods(self) -> &'static [[u8; PERIOD]] {
        let [.., a, b, c, d] = *self.0;
        let [first, count] = [[a, b], [c, d]].map(|number| usize::from(u16::from_le_bytes(number)));
        let (periods, _) = PERIODS.as_chunks::<PERIOD>();
        periods.get(first..first + count).unwrap_or_default()
    }

    /// The offset at an instant of Unix time, in seconds.
    fn offset_at(self, instant: i64) -> TzOffset {
        let periods = self.periods();
        let index = periods.partition_point(|period| begin(period) <= instant);
        let seconds = index.checked_sub(1).and_then(|last| periods.get(last)).map_or(0, offset);
        TzOffset { tz: self, seconds }
    }
}

fn begin(period: &[u8; PERIOD]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *period;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn offset(period: &[u8; PERIOD]) -> i32 {
    let [.., a, b, c, d] = *period;
    i32::from_le_bytes([a, b, c, d])
}

impl Debug for Tz {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(String::from_utf8_lossy(name_of(self.0)).trim_end_matches('\0'))
    }
}

/// A zone's offset from UTC at some time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TzOffset {
    tz: Tz,
    seconds: i32,
}

impl Offset for TzOffset {
    fn fix(&self) -> FixedOffset {
        // No zone is a day off.
        FixedOffset::east_opt(self.seconds).unwrap_or_else(|| chrono::Utc.fix())
    }
}

impl Debug for TzOffset {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.fix(), formatter)
    }
}

impl TimeZone for Tz {
    type Offset = TzOffset;

    fn from_offset(offset: &TzOffset) -> Self {
        offset.tz
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<TzOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<TzOffset> {
        let local = local.and_utc().timestamp();
        // No offset is a day, and no zone changes it twice in two.
        let [before, after] =
            [local.saturating_sub(DAY), local.saturating_add(DAY)].map(|near| self.offset_at(near));
        let holds = |offset: TzOffset| {
            self.offset_at(local.saturating_sub(i64::from(offset.seconds))) == offset
        };
        match (holds(before), holds(after)) {
            (true, true) => match before.seconds.cmp(&after.seconds) {
                Ordering::Equal => MappedLocalTime::Single(before),
                _ => MappedLocalTime::Ambiguous(before, after),
            },
            (true, false) => MappedLocalTime::Single(before),
            (false, true) => MappedLocalTime::Single(after),
            (false, false) => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> TzOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> TzOffset {
        self.offset_at(utc.and_utc().timestamp())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that finds something amiss ends by panicking")]
mod tests {
    use super::*;

    fn offset(zone: &str, instant: i64) -> i32 {
        let instant = chrono::DateTime::from_timestamp(instant, 0).unwrap();
        zone.parse::<Tz>().unwrap().offset_from_utc_datetime(&instant.naive_utc()).seconds
    }

    #[test]
    fn zones_have_their_offsets_through_the_year() {
        // 2025-01-15 and 2025-07-15, at noon.
        for (zone, winter, summer) in [
            ("Europe/Berlin", 3600, 7200),
            ("America/New_York", -18000, -14400),
            ("US/Eastern", -18000, -14400),
            ("Asia/Kolkata", 19800, 19800),
            ("Australia/Lord_Howe", 39600, 37800),
            ("Etc/GMT+12", -43200, -43200),
            ("UTC", 0, 0),
        ] {
            let found = [1_736_942_400, 1_752_580_800].map(|instant| offset(zone, instant));
            assert_eq!(found, [winter, summer], "{zone}");
        }
    }

    #[test]
    fn an_offset_changes_in_the_second_that_it_should() {
        // Sunday 2025-03-30, 01:00 UTC.
        assert_eq!(offset("Europe/Berlin", 1_743_296_399), 3600);
        assert_eq!(offset("Europe/Berlin", 1_743_296_400), 7200);
    }

    #[test]
    fn all_time_before_the_first_change_and_after_the_last_has_an_offset() {
        let (first, last) = (NaiveDateTime::MIN, NaiveDateTime::MAX);
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        // Local mean time, to which the second that is lost in it belongs.
        assert_eq!(berlin.offset_from_utc_datetime(&first).seconds, 3208);
        assert_eq!(berlin.offset_from_utc_datetime(&last).seconds, 3600);
    }

    #[test]
    fn only_a_zone_s_whole_name_is_a_zone() {
        let long = "x".repeat(NAME + 1);
        for name in ["", "Europe", "Europe/Berlin\0", "europe/berlin", "Europe/Berlin ", &long] {
            assert_eq!(name.parse::<Tz>(), Err(ParseError(())), "{name:?}");
        }
        assert_eq!(format!("{:?}", "Europe/Berlin".parse::<Tz>().unwrap()), "Europe/Berlin");
    }

    #[test]
    fn the_tables_are_whole() {
        let (zones, rest) = ZONES.as_chunks::<ZONE>();
        assert_eq!((zones.len(), rest.len(), PERIODS.len() % PERIOD), (597, 0, 0));
        assert!(zones.is_sorted_by_key(|zone| zone.first_chunk::<NAME>()));
        for zone in zones {
            let name = String::from_utf8_lossy(name_of(zone));
            let periods = name.trim_end_matches('\0').parse::<Tz>().unwrap().periods();
            assert_eq!(periods.first().map(begin), Some(i64::MIN), "{name}");
            assert!(periods.is_sorted_by_key(begin), "{name}");
        }
    }
}
