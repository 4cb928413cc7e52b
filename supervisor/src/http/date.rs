//! The `Date` of answers (RFC 9110, section 6.6.1).

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use chrono::DateTime;

/// A second and its date, formatted once and not for every answer.
struct Written {
    second: u64,
    date: Option<HeaderValue>,
}

/// The date now. `None` before 1970: a server whose clock cannot be right must not send a date.
pub(super) fn now() -> Option<HeaderValue> {
    at(SystemTime::now())
}

fn at(now: SystemTime) -> Option<HeaderValue> {
    static LAST: LazyLock<ArcSwap<Written>> =
        LazyLock::new(|| ArcSwap::from_pointee(Written { second: 0, date: None }));
    let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let last = LAST.load();
    if last.second == second {
        return last.date.clone();
    }
    let date = DateTime::from_timestamp(i64::try_from(second).ok()?, 0)?;
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let date = HeaderValue::try_from(date).ok();
    LAST.store(Written { second, date: date.clone() }.into());
    date
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_is_that_of_its_second_and_there_is_no_date_before_1970() {
        for (second, date) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
        ] {
            for nanos in [0, 999_999_999] {
                let now = UNIX_EPOCH + Duration::new(second, nanos);
                assert_eq!(at(now).unwrap(), date);
            }
        }
        assert_eq!(at(UNIX_EPOCH - Duration::from_nanos(1)), None);
    }
}
