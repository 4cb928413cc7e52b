//! Latency at half of saturation, in an open loop.

use std::io;

use super::{Settings, Target, nothing_bad, table};
use crate::load::Pace;
use crate::policies::Policy;
use crate::report::{Bound, Check, Section, Spread};
use crate::servers::{Kind, Server, Tenants};

/// How many tenants share the load.
const TENANTS: [usize; 3] = [1, 10, 100];

/// Half of each target's highest throughput, with the latencies.
pub(super) fn latency(settings: &Settings) -> io::Result<Section> {
    let mut section = Section { scenario: "latency", ..Section::default() };
    for count in TENANTS {
        let tenants = Tenants::new(count, Policy::readme());
        let server = Server::start(&settings.programs, Kind::Enforcer, &tenants)?;
        let target = |name: &str, pace| Target {
            name: name.to_owned(),
            ..Target::of(&server, &tenants, pace)
        };
        let saturated = settings.compare(&[target("saturated", Pace::Closed)])?;
        let most = saturated.first().map(|rounds| rounds.rate().median()).unwrap_or_default();
        let mut all = settings.compare(&[target("at half", Pace::Open(most / 2.0))])?;
        nothing_bad(&all)?;
        let (p99, p999): (Spread, Spread) =
            all.first().map(|rounds| (rounds.p99(), rounds.p999())).unwrap_or_default();
        let name = if count == 1 { "1 tenant".to_owned() } else { format!("{count} tenants") };
        section.checks.push(Check::new(
            format!("half of saturation, {name}: p99 µs"),
            Bound::AtMost(2000.0),
            p99,
        ));
        section.checks.push(Check::new(
            format!("half of saturation, {name}: p99.9 µs"),
            Bound::AtMost(5000.0),
            p999,
        ));
        all.splice(0..0, saturated);
        section.tables.push(table(&format!("Half of saturation, {name}, open loop"), &all));
    }
    Ok(section)
}
