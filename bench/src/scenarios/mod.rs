//! The measurements and their targets.

mod documents;
mod footprint;
mod growth;
mod isolation;
mod latency;
mod peers;
mod quota;
mod throughput;

use std::io;
use std::time::Duration;

use crate::load::{Load, Measured, Pace, Prepared};
use crate::processes::Cost;
use crate::report::{Section, Spread, Table};
use crate::servers::{Kind, Programs, Server, Tenants};

/// How long a server is warmed up before each figure.
const WARM_UP: Duration = Duration::from_millis(300);

/// Enough connections to keep every server busy.
const CONNECTIONS: usize = 64;

/// The servers that every comparison is between.
const KINDS: [Kind; 3] = [Kind::Enforcer, Kind::InProcess, Kind::Echo];

/// The settings of all measurements.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) programs: Programs,
    /// How often each figure is measured, one target after the other in each round.
    pub(crate) rounds: usize,
    /// The duration of each measurement.
    pub(crate) length: Duration,
}

/// A scenario's name, its purpose, and its function.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Settings) -> io::Result<Section>,
}

/// All scenarios, in the order in which `all` runs them.
pub(crate) const SCENARIOS: [Scenario; 14] = [
    Scenario { name: "hot", about: "one hot tenant, 64 connections", run: throughput::hot },
    Scenario { name: "policies", about: "the same, with each policy", run: throughput::policies },
    Scenario { name: "tenants", about: "100 and 1,000 active tenants", run: throughput::tenants },
    Scenario { name: "latency", about: "latency at half of saturation", run: latency::latency },
    Scenario {
        name: "neighbours",
        about: "what a bad neighbour costs",
        run: isolation::neighbours,
    },
    Scenario {
        name: "quota",
        about: "what a tenant that is flooded over its quota costs",
        run: quota::quota,
    },
    Scenario { name: "reload", about: "a tenant reloaded under load", run: isolation::reload },
    Scenario { name: "data", about: "100 MB of data in one tenant", run: isolation::data },
    Scenario {
        name: "documents",
        about: "OPA's Data API and batches, beside OPA where its path is given",
        run: documents::documents,
    },
    Scenario { name: "memory", about: "memory of idle workers", run: footprint::memory },
    Scenario { name: "start", about: "1,000 tenants from start to ready", run: footprint::start },
    Scenario { name: "lazy", about: "first requests to sleeping tenants", run: footprint::lazy },
    Scenario {
        name: "peers",
        about: "OPA and Cerbos, where their paths are given",
        run: peers::peers,
    },
    Scenario { name: "growth", about: "cost by tenants, data and rules", run: growth::growth },
];

/// The results of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) measured_rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) bad: u64,
    /// CPU time of the server and its workers for each correct answer, in microseconds.
    pub(crate) own_micros: f64,
    pub(crate) worker_micros: f64,
}

/// A target in a comparison: a server and its requests.
pub(crate) struct Target<'a> {
    pub(crate) name: String,
    pub(crate) server: &'a Server,
    pub(crate) requests: Vec<Prepared>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

impl<'a> Target<'a> {
    /// All questions to these tenants, on [`CONNECTIONS`].
    fn of(server: &'a Server, tenants: &Tenants, pace: Pace) -> Self {
        Self {
            name: server.kind.name().to_owned(),
            server,
            requests: tenants.requests(server.kind),
            connections: CONNECTIONS,
            pace,
        }
    }
}

/// All rounds of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) name: String,
    points: Vec<Point>,
    memory: (u64, u64),
}

impl Rounds {
    pub(crate) fn spread(&self, figure: impl Fn(&Point) -> f64) -> Spread {
        self.points.iter().map(figure).collect()
    }

    pub(crate) fn rate(&self) -> Spread {
        self.spread(|point| point.measured_rate)
    }

    pub(crate) fn p99(&self) -> Spread {
        self.spread(|point| point.p99)
    }

    pub(crate) fn p999(&self) -> Spread {
        self.spread(|point| point.p999)
    }

    /// The number of bad answers in all rounds.
    pub(crate) fn bad(&self) -> Spread {
        // A count of bad answers is exact in a float.
        [self.points.iter().map(|point| point.bad).sum::<u64>() as f64].into_iter().collect()
    }
}

impl Settings {
    /// Starts a server of each kind over these tenants.
    fn start(&self, tenants: &Tenants, kinds: &[Kind]) -> io::Result<Vec<Server>> {
        kinds.iter().map(|kind| Server::start(&self.programs, *kind, tenants)).collect()
    }

    /// Measures all servers with these tenants, and refuses figures with wrong answers.
    fn compare_servers(
        &self,
        servers: &[Server],
        tenants: &Tenants,
        pace: Pace,
    ) -> io::Result<Vec<Rounds>> {
        let targets: Vec<_> =
            servers.iter().map(|server| Target::of(server, tenants, pace)).collect();
        let all = self.compare(&targets)?;
        nothing_bad(&all)?;
        Ok(all)
    }

    /// Measures all targets, one after the other, in a different order in every round.
    ///
    /// # Errors
    /// When a server fails.
    pub(crate) fn compare(&self, targets: &[Target<'_>]) -> io::Result<Vec<Rounds>> {
        let mut all: Vec<Rounds> = targets
            .iter()
            .map(|target| Rounds { name: target.name.clone(), ..Rounds::default() })
            .collect();
        for round in 0..self.rounds {
            for place in 0..targets.len() {
                let which = if round % 2 == 0 { place } else { targets.len() - 1 - place };
                let (Some(target), Some(rounds)) = (targets.get(which), all.get_mut(which)) else {
                    continue;
                };
                rounds.points.push(self.measure(target)?);
            }
        }
        for (target, rounds) in targets.iter().zip(&mut all) {
            rounds.memory = target.server.memory();
        }
        Ok(all)
    }

    fn measure(&self, target: &Target<'_>) -> io::Result<Point> {
        let load = self.load(target.server, &target.requests, target.connections, target.pace);
        let before = target.server.cost();
        let measured = load.run()?;
        let cost = target.server.cost().since(&before);
        Point::of(&measured, cost, self.length + WARM_UP)
    }

    /// A load of the length of all measurements.
    pub(crate) fn load<'a>(
        &self,
        server: &Server,
        requests: &'a [Prepared],
        connections: usize,
        pace: Pace,
    ) -> Load<'a> {
        let address = server.address;
        Load { address, requests, connections, pace, warm_up: WARM_UP, length: self.length }
    }
}

impl Point {
    fn of(measured: &Measured, cost: Cost, length: Duration) -> io::Result<Self> {
        let answers = measured.first()?;
        // The cost includes the warm-up.
        let answered = measured.rate() * length.as_secs_f64();
        Ok(Self {
            measured_rate: measured.rate(),
            p50: answers.micros(50.0),
            p99: answers.micros(99.0),
            p999: answers.micros(99.9),
            bad: measured.bad(),
            own_micros: cost.own.as_secs_f64() * 1e6 / answered,
            worker_micros: cost.children.as_secs_f64() * 1e6 / answered,
        })
    }
}

/// The figures of a comparison.
pub(crate) fn table(title: &str, all: &[Rounds]) -> Table {
    let mut table = Table::new(
        title,
        &[
            "target",
            "answers/s",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "bad",
            "server CPU µs",
            "workers CPU µs",
            "server KiB",
            "workers KiB",
        ],
    );
    for rounds in all {
        table.row([
            rounds.name.clone(),
            rounds.rate().to_string(),
            rounds.spread(|point| point.p50).to_string(),
            rounds.p99().to_string(),
            rounds.p999().to_string(),
            rounds.bad().to_string(),
            rounds.spread(|point| point.own_micros).to_string(),
            rounds.spread(|point| point.worker_micros).to_string(),
            rounds.memory.0.to_string(),
            rounds.memory.1.to_string(),
        ]);
    }
    table
}

/// Fails where an answer was wrong: a fast wrong answer must not count.
pub(crate) fn nothing_bad(all: &[Rounds]) -> io::Result<()> {
    for rounds in all {
        if rounds.bad().max() > 0.0 {
            let what = format!("{}: {} answers were wrong", rounds.name, rounds.bad());
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}
