//! Times as Go writes them, and so `opa test`.

use std::time::Duration;

/// A time of less than some hours: `317.725µs`, `1.5s`, `2m3s`.
pub(super) fn text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 1_000, 3) + "µs",
        1_000_000..1_000_000_000 => decimal(nanos, 1_000_000, 6) + "ms",
        _ => {
            let minutes = duration.as_secs() / 60;
            let rest = nanos - u128::from(minutes) * 60_000_000_000;
            let seconds = decimal(rest, 1_000_000_000, 9);
            if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
        }
    }
}

/// A number of units, with its decimals as far as they are not 0.
fn decimal(nanos: u128, unit: u128, digits: usize) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let decimals = format!("{rest:0digits$}");
    format!("{whole}.{}", decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (7, "7ns"),
            (317_725, "317.725µs"),
            (300_000, "300µs"),
            (6_501_498, "6.501498ms"),
            (5_000_000_000, "5s"),
            (1_050_000_000, "1.05s"),
            (123_000_000_001, "2m3.000000001s"),
        ] {
            assert_eq!(text(Duration::from_nanos(nanos)), expected);
        }
    }
}
