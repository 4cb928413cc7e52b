//! Throughput, compared with one process without isolation and with no evaluation.

use std::io;

use super::{KINDS, Settings, Target, nothing_bad, table};
use crate::load::Pace;
use crate::policies::Policy;
use crate::report::{Bound, Check, Section};
use crate::servers::{Kind, Server, Tenants};

/// One tenant that receives all requests.
pub(super) fn hot(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(1, Policy::readme());
    let servers = settings.start(&tenants, &KINDS)?;
    let all = settings.compare_servers(&servers, &tenants, Pace::Closed)?;
    let [enforcer, in_process, echo] = all.as_slice() else { return Err(incomplete()) };
    Ok(Section {
        scenario: "hot",
        checks: vec![
            Check::new(
                "one hot tenant: × in-process",
                Bound::AtLeast(1.8),
                enforcer.rate().over(&in_process.rate()),
            ),
            Check::new(
                "one hot tenant: × echo-worker",
                Bound::AtLeast(0.9),
                enforcer.rate().over(&echo.rate()),
            ),
        ],
        tables: vec![table("One hot tenant, 64 connections, closed loop", &all)],
        curves: Vec::new(),
    })
}

/// One tenant, with each of the bench's policies.
pub(super) fn policies(settings: &Settings) -> io::Result<Section> {
    let mut section = Section { scenario: "policies", ..Section::default() };
    for name in Policy::NAMES {
        let policy = Policy::by_name(name).ok_or_else(incomplete)?;
        let tenants = Tenants::new(1, policy);
        let servers = settings.start(&tenants, &[Kind::Enforcer, Kind::InProcess])?;
        let all = settings.compare_servers(&servers, &tenants, Pace::Closed)?;
        let title = format!("Policy {name}: one hot tenant, 64 connections, closed loop");
        section.tables.push(table(&title, &all));
    }
    Ok(section)
}

/// Many tenants with equal load.
pub(super) fn tenants(settings: &Settings) -> io::Result<Section> {
    let hundred = Tenants::new(100, Policy::readme());
    let thousand = Tenants::new(1000, Policy::readme());
    let mut servers = settings.start(&hundred, &KINDS)?;
    servers.push(Server::start(&settings.programs, Kind::Enforcer, &thousand)?);
    servers.push(Server::start(&settings.programs, Kind::InProcess, &thousand)?);
    let targets: Vec<_> = servers
        .iter()
        .zip([&hundred, &hundred, &hundred, &thousand, &thousand])
        .map(|(server, tenants)| Target {
            name: format!("{}, {}", server.kind.name(), tenants.ids.len()),
            ..Target::of(server, tenants, Pace::Closed)
        })
        .collect();
    let all = settings.compare(&targets)?;
    nothing_bad(&all)?;
    let [enforcer, in_process, echo, thousand, ..] = all.as_slice() else {
        return Err(incomplete());
    };
    Ok(Section {
        scenario: "tenants",
        checks: vec![
            Check::new(
                "100 tenants: × in-process",
                Bound::AtLeast(0.75),
                enforcer.rate().over(&in_process.rate()),
            ),
            Check::new(
                "100 tenants: × echo-worker",
                Bound::AtLeast(0.85),
                enforcer.rate().over(&echo.rate()),
            ),
            Check::new(
                "1,000 tenants: × its own at 100",
                Bound::AtLeast(0.8),
                thousand.rate().over(&enforcer.rate()),
            ),
        ],
        tables: vec![table("100 and 1,000 tenants, 64 connections, closed loop", &all)],
        curves: Vec::new(),
    })
}

/// Not reached: every requested target is measured.
fn incomplete() -> io::Error {
    io::Error::other("a target was not measured")
}
