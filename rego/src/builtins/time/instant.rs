//! A time in a zone.

use super::calendar::{self, HOUR, MINUTE, YEAR_ONE};
use super::zones::{self, Period, Zone};
use crate::builtins::Failure;

const SECOND: i64 = 1_000_000_000;

/// A time in a zone; without one, in UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant {
    /// Of Unix time.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) zone: Option<Zone>,
}

/// A date and a time of day; each number may be out of range.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanosecond: u32,
}

impl Instant {
    /// The time of a number of nanoseconds since 1970.
    pub(super) fn of_nanoseconds(nanoseconds: i64, zone: Option<Zone>) -> Self {
        let seconds = nanoseconds.div_euclid(SECOND);
        let nanoseconds = u32::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or(0);
        Self { seconds, nanoseconds, zone }
    }

    /// The time of a date in a zone. A time of day that a day lacks, or has twice, gets an offset
    /// of the times around it, as in Go.
    pub(super) fn of_civil(civil: &Civil, zone: Option<Zone>) -> Self {
        let months = civil.month.wrapping_sub(1);
        let year = civil.year.wrapping_add(months.div_euclid(12));
        let begin = calendar::begin_of(year, months.rem_euclid(12) + 1, civil.day);
        let time = civil.hour * HOUR + civil.minute * MINUTE + civil.second;
        let mut seconds = begin.wrapping_add(time);
        let mut period = zones::period(zone.as_ref(), seconds);
        if period.offset != 0 {
            let moved = seconds.wrapping_sub(period.offset);
            if moved < period.start || moved >= period.end {
                period = zones::period(zone.as_ref(), moved);
            }
            seconds = seconds.wrapping_sub(period.offset);
        }
        Self { seconds, nanoseconds: civil.nanosecond, zone }
    }

    /// The offset in its zone.
    pub(super) fn period(&self) -> Period {
        zones::period(self.zone.as_ref(), self.seconds)
    }

    /// Its date and time of day in its zone.
    pub(super) fn civil(&self) -> Civil {
        let local = self.seconds.wrapping_add(self.period().offset);
        let date = calendar::date(local);
        let [hour, minute, second] = calendar::clock(local);
        let (year, month, day) = (date.year, date.month, date.day);
        Civil { year, month, day, hour, minute, second, nanosecond: self.nanoseconds }
    }

    /// The day of the week, from 0, a Sunday.
    pub(super) fn weekday(&self) -> i64 {
        calendar::date(self.seconds.wrapping_add(self.period().offset)).weekday
    }

    /// Nanoseconds since 1970.
    ///
    /// # Errors
    /// When they do not fit a word.
    pub(super) fn to_nanoseconds(self) -> Result<i64, Failure> {
        // Go compares seconds since the year 1, which wrap.
        let key = |seconds: i64, nanoseconds| (seconds.wrapping_add(YEAR_ONE), nanoseconds);
        let [least, most] = [i64::MIN, i64::MAX].map(|n| Self::of_nanoseconds(n, None));
        let this = key(self.seconds, self.nanoseconds);
        if this < key(least.seconds, least.nanoseconds)
            || this > key(most.seconds, most.nanoseconds)
        {
            return Err(Failure::Builtin("time outside of valid range".to_owned()));
        }
        let nanoseconds = i64::from(self.nanoseconds);
        Ok(self.seconds.wrapping_mul(SECOND).wrapping_add(nanoseconds))
    }
}
