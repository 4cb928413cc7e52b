//! Seconds as dates and dates as seconds, with Go's range and overflows.
//!
//! Go counts days from 1 March of a year so far back that the count of every second of 64 bits is
//! positive. A date that is out of range wraps, as here: `time.add_date` gives OPA's answer for any
//! years.

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Years from Go's first day to the year 0, a multiple of 400.
const YEARS: u64 = 292_277_022_400;

/// Days of 400, 100 and 4 years.
const DAYS_OF_400: u64 = 146_097;
const DAYS_OF_4: u64 = 1_461;

/// Days of a year from 1 March on, until January begins.
const MARCH_TO_DECEMBER: u64 = 306;

/// Go's first second, in Unix time.
const FIRST: i64 = {
    let days = (YEARS / 400 * DAYS_OF_400 + MARCH_TO_DECEMBER).cast_signed();
    -(days * DAY) - YEAR_ONE
};

/// Seconds from the year 1 to 1970.
pub(super) const YEAR_ONE: i64 = (1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400) * DAY;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    /// From 1.
    pub(super) day_of_year: i64,
    /// From 0, a Sunday.
    pub(super) weekday: i64,
}

fn absolute(seconds: i64) -> u64 {
    seconds.wrapping_sub(FIRST).cast_unsigned()
}

/// The day of a second of Unix time.
pub(super) fn date(seconds: i64) -> Date {
    let days = absolute(seconds) / DAY.cast_unsigned();
    let (century, day) = ((4 * days + 3) / DAYS_OF_400, (4 * days + 3) % DAYS_OF_400 / 4);
    let (year, day) = ((4 * day + 3) / DAYS_OF_4, (4 * day + 3) % DAYS_OF_4 / 4);
    // Months from March, whose lengths follow a linear formula.
    let month = (5 * day + 461) / 153;
    let in_next = u64::from(day >= MARCH_TO_DECEMBER);
    let year = (century * 100 + year + in_next).cast_signed() - YEARS.cast_signed();
    let day_of_year = if in_next == 1 {
        day - MARCH_TO_DECEMBER + 1
    } else {
        day + 1 + 31 + 28 + u64::from(is_leap(year))
    };
    Date {
        year,
        month: (month - 12 * in_next).cast_signed(),
        day: (day - (153 * month - 457) / 5 + 1).cast_signed(),
        day_of_year: day_of_year.cast_signed(),
        // Go's first day is a Wednesday.
        weekday: ((days + 3) % 7).cast_signed(),
    }
}

/// Hours, minutes and seconds of a second of Unix time.
pub(super) fn clock(seconds: i64) -> [i64; 3] {
    let second = (absolute(seconds) % DAY.cast_unsigned()).cast_signed();
    [second / HOUR, second % HOUR / MINUTE, second % MINUTE]
}

/// The second in which a day begins. The month is 1 to 12; the day may be any.
pub(super) fn begin_of(year: i64, month: i64, day: i64) -> i64 {
    let in_next = i64::from(month < 3);
    let month = (month + 12 * in_next).cast_unsigned();
    let year = year.wrapping_sub(in_next).cast_unsigned().wrapping_add(YEARS);
    let (century, year) = (year / 100, year % 100);
    let of_centuries = DAYS_OF_400.wrapping_mul(century) / 4;
    let of_year = (1461 * year / 4 + (153 * month - 457) / 5).cast_signed();
    let days = of_centuries.wrapping_add(of_year.wrapping_add(day).wrapping_sub(1).cast_unsigned());
    days.cast_signed().wrapping_mul(DAY).wrapping_add(FIRST)
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of a year without a leap day before a month; the 13th is the next year's first.
pub(super) fn days_before(month: i64) -> i64 {
    (214 * month - 211) / 7 - if month >= 3 { 2 } else { 0 }
}
