//! The cost of an idle tenant, and the time of its first answer.

use std::io;
use std::time::Duration;

use super::Settings;
use crate::load::{Load, Pace};
use crate::policies::Policy;
use crate::processes::{children, private_kib};
use crate::report::{Bound, Check, Section, Spread, Table};
use crate::servers::{Kind, Server, Tenants};

/// Workers whose memory is measured.
const WORKERS: usize = 100;

/// Tenants that are started together.
const MANY: usize = 1000;

/// Sleeping tenants that are woken, one after the other.
const SLEEPERS: usize = 300;

/// The memory of idle workers, before and after their first requests.
pub(super) fn memory(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(WORKERS, Policy::readme());
    let server = Server::start(&settings.programs, Kind::Enforcer, &tenants)?;
    let workers = || -> Spread {
        // A worker's memory is exact in a float.
        children(server.pid()).into_iter().map(|pid| private_kib(pid) as f64).collect()
    };
    let fresh = workers();
    let requests = tenants.requests(Kind::Enforcer);
    settings.load(&server, &requests, 1, Pace::Once).run()?;
    let asked = workers();
    let mut table = Table::new(format!("{WORKERS} idle workers"), &["", "private KiB"]);
    table.row(["never asked".to_owned(), fresh.to_string()]);
    table.row(["asked before".to_owned(), asked.to_string()]);
    table.row(["supervisor".to_owned(), private_kib(server.pid()).to_string()]);
    let check = |what, values| Check::new(what, Bound::AtMost(1.2 * 1024.0), values);
    Ok(Section {
        scenario: "memory",
        tables: vec![table],
        checks: vec![
            check("idle worker, never asked: private KiB", fresh),
            check("idle worker, asked before: private KiB", asked),
        ],
        curves: Vec::new(),
    })
}

/// From the start of the process until all of a thousand tenants can answer.
pub(super) fn start(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(MANY, Policy::readme());
    let [mut seconds, mut supervisor, mut workers] = [const { Vec::new() }; 3];
    for _ in 0..settings.rounds {
        let server = Server::start(&settings.programs, Kind::Enforcer, &tenants)?;
        let memory = server.memory();
        seconds.push(server.ready_after.as_secs_f64());
        supervisor.push(memory.0 as f64 / 1024.0);
        workers.push(memory.1 as f64 / 1024.0);
    }
    let [seconds, supervisor, workers]: [Spread; 3] =
        [seconds, supervisor, workers].map(|values| values.into_iter().collect());
    let mut table = Table::new(format!("{MANY} tenants, from start to all ready"), &["", "value"]);
    table.row(["seconds".to_owned(), seconds.to_string()]);
    table.row(["supervisor, private MiB".to_owned(), supervisor.to_string()]);
    table.row(["all workers, private MiB".to_owned(), workers.to_string()]);
    Ok(Section {
        scenario: "start",
        tables: vec![table],
        checks: vec![
            Check::new("1,000 tenants from start to all ready: s", Bound::AtMost(4.0), seconds),
            Check::new("1,000 tenants: supervisor MiB", Bound::AtMost(100.0), supervisor),
        ],
        curves: Vec::new(),
    })
}

/// The first request to each of many tenants that sleep.
pub(super) fn lazy(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(SLEEPERS, Policy::readme());
    let [mut median, mut slowest] = [Spread::default(), Spread::default()];
    for _ in 0..settings.rounds {
        let lazy = [("ENFORCER_ACTIVATION", "lazy")];
        let server = Server::start_with(&settings.programs, Kind::Enforcer, &tenants, &lazy)?;
        let mut requests = tenants.requests(Kind::Enforcer);
        requests.truncate(SLEEPERS);
        let load =
            Load { warm_up: Duration::ZERO, ..settings.load(&server, &requests, 1, Pace::Once) };
        let measured = load.run()?;
        if measured.bad() > 0 {
            return Err(io::Error::other("a sleeping tenant did not answer as it should"));
        }
        median.push(measured.first()?.micros(50.0) / 1000.0);
        slowest.push(measured.first()?.micros(99.0) / 1000.0);
    }
    let mut table =
        Table::new(format!("First request to each of {SLEEPERS} sleeping tenants"), &["", "ms"]);
    table.row(["p50".to_owned(), median.to_string()]);
    table.row(["p99".to_owned(), slowest.to_string()]);
    Ok(Section {
        scenario: "lazy",
        tables: vec![table],
        checks: vec![
            Check::new("first request to a sleeping tenant: p50 ms", Bound::AtMost(5.0), median),
            Check::new("first request to a sleeping tenant: p99 ms", Bound::AtMost(15.0), slowest),
        ],
        curves: Vec::new(),
    })
}
