//! Dates in YAML.

/// A timestamp in the form of RFC 3339, in its own zone; `None` if `yaml.v3` does not accept the
/// text.
pub(super) fn timestamp(text: &str) -> Option<String> {
    let mut rest = text;
    let year = number(&mut rest, 4..=4)?;
    let month = after(&mut rest, '-').and_then(|()| number(&mut rest, 1..=2))?;
    let day = after(&mut rest, '-').and_then(|()| number(&mut rest, 1..=2))?;
    if !(1..=12).contains(&month) || !(1..=days(year, month)).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let has_zone = after(&mut rest, 'T').or_else(|| after(&mut rest, 't')).is_some();
    if !has_zone {
        after(&mut rest, ' ')?;
    }
    let hour = number(&mut rest, 1..=2).filter(|hour| *hour < 24)?;
    let minute = after(&mut rest, ':').and_then(|()| number(&mut rest, 1..=2))?;
    let second = after(&mut rest, ':').and_then(|()| number(&mut rest, 1..=2))?;
    if minute >= 60 || second >= 60 {
        return None;
    }
    let fraction = fraction(&mut rest);
    let zone = if has_zone { zone(&mut rest)? } else { "Z".to_owned() };
    rest.is_empty().then(|| format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn after(rest: &mut &str, character: char) -> Option<()> {
    *rest = rest.strip_prefix(character)?;
    Some(())
}

fn number(rest: &mut &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let digits = rest.bytes().take(*length.end()).take_while(u8::is_ascii_digit).count();
    if !length.contains(&digits) {
        return None;
    }
    let (number, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    number.parse().ok()
}

const fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// `.120` to `.12`, at most nine digits.
fn fraction(rest: &mut &str) -> String {
    let Some(digits) = rest.strip_prefix(['.', ',']) else { return String::new() };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let Some((fraction, behind)) = digits.split_at_checked(length).filter(|_| length > 0) else {
        return String::new();
    };
    *rest = behind;
    let kept = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    if kept.is_empty() { String::new() } else { format!(".{kept}") }
}

fn zone(rest: &mut &str) -> Option<String> {
    if after(rest, 'Z').is_some() {
        return Some("Z".to_owned());
    }
    let sign = if after(rest, '+').is_some() {
        '+'
    } else {
        after(rest, '-')?;
        '-'
    };
    let hours = number(rest, 2..=2).filter(|hours| *hours <= 24)?;
    // Go accepts 60 minutes as an hour.
    let minutes = after(rest, ':').and_then(|()| number(rest, 2..=2)).filter(|part| *part <= 60)?;
    let (hours, minutes) = (hours + minutes / 60, minutes % 60);
    let is_utc = hours == 0 && minutes == 0;
    Some(if is_utc { "Z".to_owned() } else { format!("{sign}{hours:02}:{minutes:02}") })
}
