//! How cost grows: with tenants, with data, with rules.

use std::io;

use super::{KINDS, Rounds, Settings, Target, nothing_bad};
use crate::load::Pace;
use crate::policies::Policy;
use crate::report::{Curves, Section, Table};
use crate::servers::{Kind, Server, Tenants};

const TENANTS: [usize; 7] = [1, 3, 10, 30, 100, 300, 1000];
const DATA: [usize; 5] = [1000, 100_000, 1_000_000, 10_000_000, 100_000_000];
const RULES: [usize; 5] = [10, 30, 100, 300, 1000];

/// Enough for the largest of them.
const LIMITS: [(&str, &str); 3] = [
    ("ENFORCER_MEMORY_LIMIT_MIB", "8192"),
    ("ENFORCER_LOAD_TIMEOUT_MS", "120000"),
    ("ENFORCER_EVAL_TIMEOUT_MS", "2000"),
];

/// All three.
pub(super) fn growth(settings: &Settings) -> io::Result<Section> {
    let mut section = Section { scenario: "growth", ..Section::default() };
    tenants(settings, &mut section)?;
    let data: Vec<_> = DATA
        .iter()
        .map(|bytes| (*bytes as f64 / 1e6, (*bytes, Policy::with_data as fn(usize) -> Policy)))
        .collect();
    single(settings, &mut section, ["data", "MB of data"], &data)?;
    let rules: Vec<_> = RULES
        .iter()
        .map(|count| (*count as f64, (*count, Policy::with_rules as fn(usize) -> Policy)))
        .collect();
    single(settings, &mut section, ["rules", "rules"], &rules)?;
    Ok(section)
}

/// Throughput by the number of active tenants.
fn tenants(settings: &Settings, section: &mut Section) -> io::Result<()> {
    let mut table = Table::new(
        "Answers/s by active tenants, 64 connections, closed loop",
        &["tenants", "enforcer", "in-process", "echo-worker", "enforcer p99 µs"],
    );
    let mut curves = KINDS.map(|kind| (kind.name().to_owned(), Vec::new()));
    for count in TENANTS {
        let tenants = Tenants::new(count, Policy::readme());
        let servers = settings.start(&tenants, &KINDS)?;
        let all = settings.compare_servers(&servers, &tenants, Pace::Closed)?;
        for (rounds, (_, curve)) in all.iter().zip(&mut curves) {
            curve.push((count as f64, rounds.rate().median()));
        }
        let rates = all.iter().map(|rounds| rounds.rate().to_string());
        let p99 = all.first().map(Rounds::p99).unwrap_or_default().to_string();
        table.row([count.to_string()].into_iter().chain(rates).chain([p99]));
    }
    section.tables.push(table);
    section.curves.push(Curves {
        name: "tenants",
        title: "Answers a second by active tenants".to_owned(),
        axes: ["active tenants".to_owned(), "answers/s".to_owned()],
        curves: curves.into(),
    });
    Ok(())
}

type Made = (usize, fn(usize) -> Policy);

/// Latency of one decision at a time, by the size of one dimension.
fn single(
    settings: &Settings,
    section: &mut Section,
    [name, unit]: [&'static str; 2],
    sizes: &[(f64, Made)],
) -> io::Result<()> {
    let title = format!("One decision at a time, by {unit}");
    let mut table =
        Table::new(title.clone(), &[unit, "p50 µs", "p99 µs", "start to ready s", "worker KiB"]);
    let mut curve = Vec::new();
    for (size, (count, make)) in sizes {
        let tenants = Tenants::new(1, make(*count));
        let server = Server::start_with(&settings.programs, Kind::Enforcer, &tenants, &LIMITS)?;
        let all = settings
            .compare(&[Target { connections: 1, ..Target::of(&server, &tenants, Pace::Closed) }])?;
        nothing_bad(&all)?;
        let Some(rounds) = all.first() else { continue };
        let median = rounds.spread(|point| point.p50);
        curve.push((*size, median.median()));
        table.row([
            size.to_string(),
            median.to_string(),
            rounds.p99().to_string(),
            format!("{:.2}", server.ready_after.as_secs_f64()),
            rounds.memory.1.to_string(),
        ]);
    }
    section.tables.push(table);
    section.curves.push(Curves {
        name,
        title,
        axes: [unit.to_owned(), "p50 µs".to_owned()],
        curves: vec![("enforcer".to_owned(), curve)],
    });
    Ok(())
}
