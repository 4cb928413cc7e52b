//! Parses times as Go's `time.Parse` does on a machine in UTC.

use super::calendar;
use super::instant::{Civil, Instant};
use super::layout::{self, Element, MONTHS, Offset, SHORT, WEEKDAYS};
use crate::builtins::Failure;

/// The highest number of letters in a zone's abbreviation.
const ABBREVIATION: usize = 5;

/// The highest number of hours in an abbreviation's offset (`GMT-4`, `+03`).
const ABBREVIATION_HOURS: u64 = 23;

/// The number from which Go's reader of digits accepts no further digit.
const OVERFLOW: u64 = 1 << 63;

/// Digits of a nanosecond.
const FRACTION: usize = 9;

/// Why a part of a text does not parse.
enum Wrong {
    /// It does not look like one.
    Form,
    /// The number of this part is out of range.
    Range(&'static str),
}

type Part<T> = Result<T, Wrong>;

/// The time of a text, by a layout.
///
/// # Errors
/// Go's message, when the text does not fit.
pub(super) fn parse(layout: &[u8], text: &[u8]) -> Result<Instant, Failure> {
    let mut reader = Reader { rest: text, ..Reader::default() };
    let mut rest = layout;
    loop {
        let (prefix, element, suffix) = layout::next(rest);
        if !reader.skip(prefix) {
            return Err(mismatch(layout, text, prefix, reader.rest));
        }
        let Some((element, written)) = element else {
            if reader.rest.is_empty() {
                break;
            }
            return Err(refused(text, &format!("extra text: {}", quote(reader.rest))));
        };
        rest = suffix;
        let before = reader.rest;
        match reader.element(element, rest) {
            Ok(()) => {}
            Err(Wrong::Form) => return Err(mismatch(layout, text, written, before)),
            Err(Wrong::Range(what)) => return Err(refused(text, &format!("{what} out of range"))),
        }
    }
    reader.instant().map_err(|what| refused(text, what))
}

fn mismatch(layout: &[u8], text: &[u8], element: &[u8], value: &[u8]) -> Failure {
    Failure::Builtin(format!(
        "parsing time {} as {}: cannot parse {} as {}",
        quote(text),
        quote(layout),
        quote(value),
        quote(element)
    ))
}

fn refused(text: &[u8], what: &str) -> Failure {
    Failure::Builtin(format!("parsing time {}: {what}", quote(text)))
}

/// A text in quotation marks, as Go's `time` writes it.
pub(super) fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..0x80 => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// The parts read so far.
#[derive(Default)]
struct Reader<'a> {
    rest: &'a [u8],
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
    /// Whether it is after noon, where the text has it.
    after_noon: Option<bool>,
    is_utc: bool,
    /// Seconds east of UTC.
    offset: Option<i64>,
}

impl<'a> Reader<'a> {
    /// Skips a layout's text between parts. Any number of spaces matches any other.
    fn skip(&mut self, mut prefix: &[u8]) -> bool {
        while let Some((first, further)) = prefix.split_first() {
            if *first == b' ' {
                if self.rest.first().is_some_and(|byte| *byte != b' ') {
                    return false;
                }
                prefix = without_spaces(prefix);
                self.rest = without_spaces(self.rest);
                continue;
            }
            match self.rest.split_first() {
                Some((byte, rest)) if byte == first => (prefix, self.rest) = (further, rest),
                _ => return false,
            }
        }
        true
    }

    fn cut(&mut self, length: usize) -> Part<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Wrong::Form)?;
        self.rest = rest;
        Ok(taken)
    }

    fn is_digit(&self, at: usize) -> bool {
        self.rest.get(at).is_some_and(u8::is_ascii_digit)
    }

    /// A number of at most, or exactly, this many digits.
    fn digits(&mut self, most: usize, fixed: bool) -> Part<i64> {
        let count = (0..most).take_while(|at| self.is_digit(*at)).count();
        if count == 0 || fixed && count != most {
            return Err(Wrong::Form);
        }
        Ok(self.cut(count)?.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
    }

    /// A number of up to two digits, in a range.
    fn bounded(&mut self, fixed: bool, last: i64, what: &'static str) -> Part<i64> {
        let number = self.digits(2, fixed)?;
        if number > last { Err(Wrong::Range(what)) } else { Ok(number) }
    }

    /// The index of the next name, without regard to case.
    fn name(&mut self, names: &[&str], letters: Option<usize>) -> Part<i64> {
        for (name, index) in names.iter().zip(0..) {
            let length = letters.unwrap_or(name.len());
            let name = name.as_bytes().get(..length).unwrap_or_default();
            if self.rest.get(..length).is_some_and(|text| text.eq_ignore_ascii_case(name)) {
                self.cut(length)?;
                return Ok(index);
            }
        }
        Err(Wrong::Form)
    }

    fn skip_space(&mut self) {
        if let Some((b' ', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    /// Reads a part; `layout` is the rest after it.
    fn element(&mut self, element: Element, layout: &[u8]) -> Part<()> {
        match element {
            Element::Year => {
                let year = signed(self.cut(2)?)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Element::LongYear => {
                if !self.is_digit(0) {
                    return Err(Wrong::Form);
                }
                self.year = signed(self.cut(4)?)?;
            }
            Element::Month => self.month = Some(self.name(&MONTHS, Some(SHORT))? + 1),
            Element::LongMonth => self.month = Some(self.name(&MONTHS, None)? + 1),
            Element::NumMonth | Element::ZeroMonth => {
                let month = self.bounded(element == Element::ZeroMonth, 12, "month")?;
                if month == 0 {
                    return Err(Wrong::Range("month"));
                }
                self.month = Some(month);
            }
            Element::Weekday => {
                self.name(&WEEKDAYS, Some(SHORT))?;
            }
            Element::LongWeekday => {
                self.name(&WEEKDAYS, None)?;
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                if element == Element::UnderDay {
                    self.skip_space();
                }
                self.day = Some(self.digits(2, element == Element::ZeroDay)?);
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                if element == Element::UnderYearDay {
                    self.skip_space();
                    self.skip_space();
                }
                self.day_of_year = Some(self.digits(3, element == Element::ZeroYearDay)?);
            }
            Element::Hour => self.hour = self.bounded(false, 23, "hour")?,
            Element::Hour12 | Element::ZeroHour12 => {
                self.hour = self.bounded(element == Element::ZeroHour12, 12, "hour")?;
            }
            Element::Minute | Element::ZeroMinute => {
                self.minute = self.bounded(element == Element::ZeroMinute, 59, "minute")?;
            }
            Element::Second | Element::ZeroSecond => {
                self.second = self.bounded(element == Element::ZeroSecond, 59, "second")?;
                // A fraction may follow even where the layout has no fraction.
                let follows = matches!(self.rest, [b'.' | b',', b'0'..=b'9', ..]);
                let is_next = matches!(layout::next(layout).1, Some((Element::Fraction { .. }, _)));
                if follows && !is_next {
                    self.fraction(1 + self.fraction_digits())?;
                }
            }
            Element::Noon { small } => {
                let text = self.cut(2)?;
                self.after_noon = Some(match (text, small) {
                    (b"PM", false) | (b"pm", true) => true,
                    (b"AM", false) | (b"am", true) => false,
                    _ => return Err(Wrong::Form),
                });
            }
            Element::Offset { z: true, .. } if self.rest.starts_with(b"Z") => {
                self.cut(1)?;
                self.is_utc = true;
            }
            Element::Offset { form, .. } => self.offset(form)?,
            Element::Zone => {
                if self.rest.starts_with(b"UTC") {
                    self.cut(3)?;
                    self.is_utc = true;
                } else {
                    // An abbreviation has no offset in UTC.
                    self.cut(abbreviation(self.rest).ok_or(Wrong::Form)?)?;
                }
            }
            Element::Fraction { nines: false, digits, .. } => self.fraction(1 + digits)?,
            Element::Fraction { nines: true, .. } => {
                if matches!(self.rest, [b'.' | b',', b'0'..=b'9', ..]) {
                    self.fraction(1 + self.fraction_digits())?;
                }
            }
        }
        Ok(())
    }

    /// How many digits follow a point.
    fn fraction_digits(&self) -> usize {
        self.rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// A decimal point and a number of digits, of which nine count.
    fn fraction(&mut self, length: usize) -> Part<()> {
        let Some((b'.' | b',', digits)) = self.cut(length)?.split_first() else {
            return Err(Wrong::Form);
        };
        let digits = digits.get(..FRACTION).unwrap_or(digits);
        // Go reads a sign here too.
        let number = signed(digits)?;
        if number < 0 {
            return Err(Wrong::Range("fractional second"));
        }
        self.nanosecond = (digits.len()..FRACTION).fold(number, |n, _| n * 10);
        Ok(())
    }

    fn offset(&mut self, form: Offset) -> Part<()> {
        let (length, minutes, seconds, colons): (_, _, _, &[usize]) = match form {
            Offset::Hours => (3, None, None, &[]),
            Offset::Minutes => (5, Some(3), None, &[]),
            Offset::ColonMinutes => (6, Some(4), None, &[3]),
            Offset::Seconds => (7, Some(3), Some(5), &[]),
            Offset::ColonSeconds => (9, Some(4), Some(7), &[3, 6]),
        };
        let text = self.cut(length)?;
        if colons.iter().any(|at| text.get(*at) != Some(&b':')) {
            return Err(Wrong::Form);
        }
        let two = |at: usize| match text.get(at..at + 2) {
            Some([a @ b'0'..=b'9', b @ b'0'..=b'9']) => Some(i64::from((a - b'0') * 10 + b - b'0')),
            _ => None,
        };
        // Go checks the ranges of the parts that it has read before it reports that it could not
        // read the rest.
        let mut parts = [0; 3];
        let mut whole = true;
        for (part, at) in parts.iter_mut().zip([Some(1), minutes, seconds]) {
            let Some(at) = at.filter(|_| whole) else { continue };
            match two(at) {
                Some(number) => *part = number,
                None => whole = false,
            }
        }
        let [hours, minutes, seconds] = parts;
        for (number, last, what) in [
            (seconds, 60, "time zone offset second"),
            (minutes, 60, "time zone offset minute"),
            (hours, 24, "time zone offset hour"),
        ] {
            if number > last {
                return Err(Wrong::Range(what));
            }
        }
        let size = (hours * 60 + minutes) * 60 + seconds;
        let offset = match text.first() {
            Some(b'+') if whole => size,
            Some(b'-') if whole => -size,
            _ => return Err(Wrong::Form),
        };
        // For Go an offset of a second west is the same as no offset at all.
        self.offset = Some(offset).filter(|offset| *offset != -1);
        Ok(())
    }

    /// The time of all parts.
    fn instant(&self) -> Result<Instant, &'static str> {
        let hour = match self.after_noon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = match self.day_of_year {
            Some(day_of_year) => self.month_and_day(day_of_year)?,
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        if day < 1 || day > calendar::days_in(month, self.year) {
            return Err("day out of range");
        }
        let civil = Civil {
            year: self.year,
            month,
            day,
            hour,
            minute: self.minute,
            second: self.second,
            nanosecond: u32::try_from(self.nanosecond).unwrap_or(0),
        };
        let mut instant = Instant::of_civil(&civil, None);
        if !self.is_utc {
            instant.seconds -= self.offset.unwrap_or(0);
        }
        Ok(instant)
    }

    fn month_and_day(&self, day_of_year: i64) -> Result<(i64, i64), &'static str> {
        const LEAP_DAY: i64 = 31 + 29;
        let is_leap = calendar::is_leap(self.year);
        let found = if is_leap && day_of_year == LEAP_DAY {
            (2, 29)
        } else {
            let day = day_of_year - i64::from(is_leap && day_of_year > LEAP_DAY);
            if !(1..=365).contains(&day) {
                return Err("day-of-year out of range");
            }
            let after = |month: &i64| calendar::days_before(month + 1) < day;
            let month = (1..12).take_while(after).count();
            let month = i64::try_from(month).unwrap_or(0) + 1;
            (month, day - calendar::days_before(month))
        };
        if self.month.is_some_and(|month| month != found.0) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|day| day != found.1) {
            return Err("day-of-year does not match day");
        }
        Ok(found)
    }
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

/// A number that may have a sign. Without digits it is zero, as for Go.
fn signed(text: &[u8]) -> Part<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let (size, rest) = leading_integer(digits).ok_or(Wrong::Form)?;
    if !rest.is_empty() {
        return Err(Wrong::Form);
    }
    let size = i64::try_from(size).map_err(|_| Wrong::Form)?;
    Ok(if negative { -size } else { size })
}

/// The number of the digits at the beginning, and the rest. `None` where it is too large.
pub(super) fn leading_integer(text: &[u8]) -> Option<(u64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count)?;
    let mut number: u64 = 0;
    for digit in digits {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        if number > OVERFLOW {
            return None;
        }
    }
    Some((number, rest))
}

/// The length of a possible zone abbreviation.
fn abbreviation(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_hours(rest));
    }
    if matches!(text, [b'+' | b'-', ..]) {
        return Some(signed_hours(text)).filter(|length| *length > 0);
    }
    let capitals = text.iter().take(ABBREVIATION + 1).take_while(|b| b.is_ascii_uppercase());
    match capitals.count() {
        5 if text.get(4) == Some(&b'T') => Some(5),
        4 if text.get(3) == Some(&b'T') || text.starts_with(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of a sign and the hours after it, or zero.
fn signed_hours(text: &[u8]) -> usize {
    let Some((b'+' | b'-', digits)) = text.split_first() else { return 0 };
    match leading_integer(digits) {
        Some((hours, rest)) if hours <= ABBREVIATION_HOURS && rest.len() < digits.len() => {
            text.len() - rest.len()
        }
        _ => 0,
    }
}
