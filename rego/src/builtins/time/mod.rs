//! `time.*`, as in Go on a machine in UTC: the time is the evaluation's, zones come from a
//! compiled-in table, and nothing is read from the host.

mod calendar;
mod duration;
mod instant;
mod layout;
mod parse;
mod zones;

#[cfg(test)]
mod tests;

use num_traits::ToPrimitive as _;
use regorus::Value;

use self::instant::{Civil, Instant};
use self::zones::Zone;
use super::number::Number;
use super::operands::{argument, string, word, wrong_type};
use super::{Answer, Context, Failure, bytes};

/// Whether a text is a time in a layout.
pub(super) fn is_time(layout: &str, text: &str) -> bool {
    parse::parse(layout.as_bytes(), &bytes::of(text)).is_ok()
}

/// The time at which the evaluation began.
pub(super) fn now_ns(context: &mut Context, _: &[Value]) -> Answer {
    Ok(Value::from(context.now_ns))
}

pub(super) fn parse_ns(_: &mut Context, args: &[Value]) -> Answer {
    let (layout, text) = (bytes::of(string(args, 1)?), bytes::of(string(args, 2)?));
    let instant = parse::parse(layout::resolve(&layout), &text)?;
    Ok(Value::from(instant.to_nanoseconds()?))
}

pub(super) fn parse_rfc3339_ns(_: &mut Context, args: &[Value]) -> Answer {
    let instant = parse::parse(layout::RFC3339, &bytes::of(string(args, 1)?))?;
    Ok(Value::from(instant.to_nanoseconds()?))
}

pub(super) fn parse_duration_ns(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(duration::parse(string(args, 1)?)?))
}

pub(super) fn format(_: &mut Context, args: &[Value]) -> Answer {
    let (instant, layout) = given(argument(args, 1))?;
    let layout = bytes::of(layout);
    let layout = if layout.is_empty() { layout::RFC3339_NANO } else { layout::resolve(&layout) };
    Ok(Value::from(bytes::to_text(&layout::format(&instant, layout)?)))
}

pub(super) fn date(_: &mut Context, args: &[Value]) -> Answer {
    let Civil { year, month, day, .. } = given(argument(args, 1))?.0.civil();
    Ok(numbers([year, month, day]))
}

pub(super) fn clock(_: &mut Context, args: &[Value]) -> Answer {
    let Civil { hour, minute, second, .. } = given(argument(args, 1))?.0.civil();
    Ok(numbers([hour, minute, second]))
}

pub(super) fn weekday(_: &mut Context, args: &[Value]) -> Answer {
    let weekday = usize::try_from(given(argument(args, 1))?.0.weekday()).unwrap_or(0);
    Ok(Value::from(layout::WEEKDAYS.get(weekday).copied().unwrap_or_default()))
}

pub(super) fn add_date(_: &mut Context, args: &[Value]) -> Answer {
    let (instant, _) = given(argument(args, 1))?;
    let [years, months, days] = [word(args, 2)?, word(args, 3)?, word(args, 4)?];
    let civil = instant.civil();
    let civil = Civil {
        year: civil.year.wrapping_add(years),
        month: civil.month.wrapping_add(months),
        day: civil.day.wrapping_add(days),
        ..civil
    };
    Ok(Value::from(Instant::of_civil(&civil, instant.zone).to_nanoseconds()?))
}

pub(super) fn diff(_: &mut Context, args: &[Value]) -> Answer {
    let (first, _) = given(argument(args, 1))?;
    let (second, _) = given(argument(args, 2))?;
    let second = Instant { zone: first.zone, ..second };
    let key = |instant: &Instant| (instant.seconds, instant.nanoseconds);
    let (from, to) = if key(&first) > key(&second) { (second, first) } else { (first, second) };
    let (from, to) = (from.civil(), to.civil());
    let carried = |units: i64, base: i64| if units < 0 { (units + base, 1) } else { (units, 0) };
    let (second, carry) = carried(to.second - from.second, 60);
    let (minute, carry) = carried(to.minute - from.minute - carry, 60);
    let (hour, carry) = carried(to.hour - from.hour - carry, 24);
    let days = calendar::days_in(from.month, from.year);
    let (day, carry) = carried(to.day - from.day - carry, days);
    let (month, carry) = carried(to.month - from.month - carry, 12);
    Ok(numbers([to.year - from.year - carry, month, day, hour, minute, second]))
}

fn numbers<const N: usize>(numbers: [i64; N]) -> Value {
    Value::from(numbers.into_iter().map(Value::from).collect::<Vec<_>>())
}

/// The time of an argument, and its optional layout: nanoseconds, or an array of them, a zone and a
/// layout.
fn given(argument: &Value) -> Result<(Instant, &str), Failure> {
    let wrong = || wrong_type(1, argument, &["either number (ns) or [number (ns), string (tz)]"]);
    let (nanoseconds, zone, layout) = match argument {
        Value::Number(_) => (argument, None, ""),
        Value::Array(array) => {
            let nanoseconds = array.first().ok_or_else(wrong)?;
            if !matches!(nanoseconds, Value::Number(_)) {
                return Err(wrong_type(1, nanoseconds, &["number"]));
            }
            let text = |at: usize| match array.get(at) {
                None => Ok(""),
                Some(Value::String(text)) => Ok(&**text),
                Some(other) => Err(wrong_type(1, other, &["string"])),
            };
            (nanoseconds, zone(text(1)?)?, text(2)?)
        }
        _ => return Err(wrong()),
    };
    let integer = Number::of(nanoseconds).and_then(|number| number.to_integer());
    let nanoseconds = integer.and_then(|integer| integer.to_i64());
    let nanoseconds =
        nanoseconds.ok_or_else(|| Failure::Builtin("timestamp too big".to_owned()))?;
    Ok((Instant::of_nanoseconds(nanoseconds, zone), layout))
}

fn zone(name: &str) -> Result<Option<Zone>, Failure> {
    // The local zone is always UTC.
    if matches!(name, "" | "UTC" | "Local") {
        return Ok(None);
    }
    if name.contains("..") || name.starts_with(['/', '\\']) {
        return Err(Failure::Builtin("time: invalid location name".to_owned()));
    }
    let zone = Zone::named(&bytes::of(name));
    zone.map(Some).ok_or_else(|| Failure::Builtin(format!("unknown time zone {name}")))
}
