//! Times as people and programs read them, and ids that begin with the time.
//!
//! A device without a battery for its clock may start before 1970, which chrono's and uuid's own
//! "now" do not survive.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

/// `at` in the form of RFC 3339, in UTC, to the millisecond.
pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time now.
pub(crate) fn utc_now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Seconds since 1970, for metrics.
pub(crate) fn unix_seconds(at: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a float holds milliseconds exactly for ages")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

/// A new UUIDv7 (RFC 9562, section 5.7). Ids of one process grow; before 1970 their time is zero.
pub(crate) fn new_id() -> Uuid {
    static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());
    Uuid::new_v7(timestamp(&CONTEXT, SystemTime::now()))
}

fn timestamp(context: &Mutex<ContextV7>, now: SystemTime) -> Timestamp {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_unix(context, since.as_secs(), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_also_within_a_millisecond_and_before_1970() {
        let mut last = new_id();
        for _ in 0..1000 {
            let next = new_id();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        let context = Mutex::new(ContextV7::new());
        let before = UNIX_EPOCH - Duration::from_secs(3600);
        let [one, other] = [(); 2].map(|()| Uuid::new_v7(timestamp(&context, before)));
        assert!(other > one);
        assert_eq!(rfc3339(before.into()), "1969-12-31T23:00:00.000Z");
    }
}
