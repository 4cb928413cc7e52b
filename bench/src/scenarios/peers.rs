//! The same decision by other products.

use std::io;

use super::{Settings, table};
use crate::load::Pace;
use crate::policies::Policy;
use crate::report::{Bound, Check, Section};
use crate::servers::{Kind, Tenants};

/// Tenants in OPA's one process.
const MANY: usize = 1000;

/// The peers whose programs' paths are given, beside the product.
pub(super) fn peers(settings: &Settings) -> io::Result<Section> {
    let mut section = Section { scenario: "peers", ..Section::default() };
    if settings.programs.cerbos.is_some() {
        one(settings, Kind::Cerbos, 10.0, &mut section)?;
    }
    if settings.programs.opa.is_some() {
        one(settings, Kind::Opa, 3.0, &mut section)?;
        many(settings, &mut section)?;
    }
    Ok(section)
}

/// One tenant: the highest throughput, and the latency at half of the peer's.
fn one(settings: &Settings, peer: Kind, at_least: f64, section: &mut Section) -> io::Result<()> {
    let tenants = Tenants::new(1, Policy::readme());
    let name = peer.name();
    let servers = settings.start(&tenants, &[Kind::Enforcer, peer])?;
    let all = settings.compare_servers(&servers, &tenants, Pace::Closed)?;
    let [own, theirs] = all.as_slice() else { return Ok(()) };
    section.checks.push(Check::new(
        format!("same decision: × {name}'s throughput"),
        Bound::AtLeast(at_least),
        own.rate().over(&theirs.rate()),
    ));
    section.tables.push(table(&format!("Beside {name}: 64 connections, closed loop"), &all));
    let offered = (theirs.rate().median() / 2.0).floor();
    let all = settings.compare_servers(&servers, &tenants, Pace::Open(offered))?;
    let [own, theirs] = all.as_slice() else { return Ok(()) };
    section.checks.push(Check::new(
        format!("same load: p99 × {name}'s"),
        // A third.
        Bound::AtMost(0.33),
        own.p99().over(&theirs.p99()),
    ));
    section.tables.push(table(&format!("Beside {name}: {offered} requests/s, open loop"), &all));
    Ok(())
}

/// A thousand tenants, which are OPA's packages.
fn many(settings: &Settings, section: &mut Section) -> io::Result<()> {
    let tenants = Tenants::new(MANY, Policy::readme());
    let servers = settings.start(&tenants, &[Kind::Enforcer, Kind::Opa])?;
    let all = settings.compare_servers(&servers, &tenants, Pace::Closed)?;
    let [own, theirs] = all.as_slice() else { return Ok(()) };
    section.checks.push(Check::new(
        "1,000 tenants: × OPA's throughput",
        Bound::AtLeast(3.0),
        own.rate().over(&theirs.rate()),
    ));
    section.tables.push(table("Beside OPA: 1,000 tenants, 64 connections, closed loop", &all));
    Ok(())
}
