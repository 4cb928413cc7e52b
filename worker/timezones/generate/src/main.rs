//! Makes the tables of the crate above from the real chrono-tz, and checks that crate against it.
//!
//! `cargo run --release -- write`, then `cargo run --release -- check`.

use std::collections::HashMap;

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

const HOUR: i64 = 60 * 60;

/// What a policy can ask about, whole nanoseconds of Unix time in 64 bits, and where zones change
/// their offsets.
const ALL_TIME: std::ops::Range<i64> = -9_223_372_036..9_223_372_036;
const CHANGES: std::ops::Range<i64> = -4_200_000_000..4_300_000_000;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("write") => write(),
        Some("check") => check(),
        _ => panic!("write, or check"),
    }
}

fn offset(zone: impl TimeZone, instant: i64) -> i32 {
    let instant = DateTime::from_timestamp(instant, 0).unwrap().naive_utc();
    zone.offset_from_utc_datetime(&instant).fix().local_minus_utc()
}

/// When each period begins that follows the first, and its offset.
fn changes(zone: Tz) -> Vec<(i64, i32)> {
    let mut found = Vec::new();
    let mut before = offset(zone, CHANGES.start);
    for hour in CHANGES.step_by(HOUR as usize) {
        if offset(zone, hour) == before {
            continue;
        }
        let (mut low, mut high) = (hour - HOUR, hour);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if offset(zone, middle) == before { low = middle } else { high = middle }
        }
        before = offset(zone, high);
        assert_eq!(before, offset(zone, hour), "{zone} changes twice in an hour");
        found.push((high, before));
    }
    found
}

fn write() {
    let mut zones = TZ_VARIANTS.to_vec();
    zones.sort_by_key(|zone| zone.name());
    let (mut names, mut periods) = (Vec::new(), Vec::new());
    let mut known = HashMap::new();
    let mut count = 0;
    for zone in zones {
        let mut all = vec![(i64::MIN, offset(zone, ALL_TIME.start))];
        all.extend(changes(zone));
        let length = u16::try_from(all.len()).unwrap();
        let first = *known.entry(all).or_insert_with_key(|all| {
            for (begin, offset) in all {
                periods.extend(begin.to_le_bytes());
                periods.extend(offset.to_le_bytes());
            }
            count += length;
            count - length
        });
        let mut name = [0; 32];
        name[..zone.name().len()].copy_from_slice(zone.name().as_bytes());
        names.extend(name);
        names.extend(first.to_le_bytes());
        names.extend(length.to_le_bytes());
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../src");
    std::fs::write(format!("{directory}/zones.bin"), names).unwrap();
    std::fs::write(format!("{directory}/periods.bin"), periods).unwrap();
}

fn check() {
    for zone in TZ_VARIANTS {
        let made: made::Tz = zone.name().parse().unwrap();
        let same = |instant| assert_eq!(offset(zone, instant), offset(made, instant), "{zone}");
        // Another step than the one that they were made with.
        ALL_TIME.step_by(2 * HOUR as usize - 61).for_each(same);
        for (change, _) in changes(zone) {
            (change - 2..change + 3).for_each(same);
            for local in (change - 26 * HOUR..change + 26 * HOUR).step_by(599) {
                let local = DateTime::from_timestamp(local, 0).unwrap().naive_utc();
                let real = fixed(zone.offset_from_local_datetime(&local));
                let ours = fixed(made.offset_from_local_datetime(&local));
                assert_eq!(ours, real, "{zone} at {local}");
            }
        }
    }
    println!("{} zones are as those of chrono-tz", TZ_VARIANTS.len());
}

fn fixed(found: MappedLocalTime<impl Offset>) -> MappedLocalTime<i32> {
    match found.map(|offset| offset.fix().local_minus_utc()) {
        // A period that only has another name than the one before it is none of ours.
        MappedLocalTime::Ambiguous(a, b) if a == b => MappedLocalTime::Single(a),
        other => other,
    }
}
