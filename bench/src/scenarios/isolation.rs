//! The cost of one tenant's faults, reloads or size to the others.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Settings, WARM_UP};
use crate::load::{Answers, Load, Measured, Pace, Prepared};
use crate::policies::Policy;
use crate::report::{Bound, Check, Section, Spread, Table};
use crate::servers::{Kind, Server, Tenants, write_bundle};

/// The harmless tenants.
const VICTIMS: usize = 10;

/// Requests a second to all harmless tenants together.
const RATE: f64 = 1000.0;

/// Enough that the schedule never waits for a connection.
const CONNECTIONS: usize = 32;

/// The tenant that harms itself.
const NEIGHBOUR: &str = "neighbour";

/// Its fault, and its request rate: as high as all the others together, or ten times as high.
const FAULTS: [(&str, &str, usize, Pace); 3] = [
    ("spins", "spin", 64, Pace::Open(RATE)),
    ("floods", "nothing", 64, Pace::Open(10.0 * RATE)),
    ("allocates", "allocate", 64, Pace::Open(RATE)),
];

/// Between two releases of the neighbour from its quarantine, in which it would cost nothing.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// An input that has ended two workers is not tried again, so each question is new.
const DIFFERENT_QUESTIONS: usize = 20_000;

/// Between two bundles of the tenant that is reloaded.
const RELOAD_INTERVAL: Duration = Duration::from_millis(50);

/// How much data the large tenant has.
const LARGE: usize = 100_000_000;

/// The highest cost of a bad neighbour to the others.
const WORST_MICROS: f64 = 2000.0;

/// The victims' results in all rounds of one fault.
#[derive(Debug, Default)]
pub(super) struct Fared {
    p50: Spread,
    pub(super) p99: Spread,
    p999: Spread,
    max: Spread,
    bad: u64,
    right: u64,
}

impl Fared {
    pub(super) fn add(&mut self, answers: &Answers) {
        self.p50.push(answers.micros(50.0));
        self.p99.push(answers.micros(99.0));
        self.p999.push(answers.micros(99.9));
        self.max.push(answers.micros(100.0));
        self.bad += answers.bad();
        self.right += answers.right();
    }

    pub(super) fn table(title: &str, all: &[(String, Self)]) -> Table {
        let head = ["meanwhile", "answers", "bad", "p50 µs", "p99 µs", "p99.9 µs", "max µs"];
        let mut table = Table::new(title, &head);
        for (name, fared) in all {
            table.row([
                name.clone(),
                fared.right.to_string(),
                fared.bad.to_string(),
                fared.p50.to_string(),
                fared.p99.to_string(),
                fared.p999.to_string(),
                fared.max.to_string(),
            ]);
        }
        table
    }

    /// A count of requests is exact in a float.
    pub(super) fn failed(&self) -> Spread {
        [self.bad as f64].into_iter().collect()
    }
}

fn victims() -> Tenants {
    Tenants::new(VICTIMS, Policy::readme())
}

/// Sends the victims' requests on their schedule.
fn ask_victims(
    settings: &Settings,
    server: &Server,
    requests: &[Prepared],
) -> io::Result<Measured> {
    settings.load(server, requests, CONNECTIONS, Pace::Open(RATE)).run()
}

fn questions(what: &str) -> Vec<Prepared> {
    let path = format!("/v1/data/tenants/{NEIGHBOUR}/allow");
    let question = |number| {
        let body = format!(r#"{{"input":{{"do":"{what}","id":"{number}"}}}}"#);
        Prepared::post(&path, &body, &[])
    };
    (0..DIFFERENT_QUESTIONS).map(question).collect()
}

/// A neighbour that repeatedly spins, floods, or allocates until its worker ends.
pub(super) fn neighbours(settings: &Settings) -> io::Result<Section> {
    let victims = victims();
    let mut server = Server::start(&settings.programs, Kind::Enforcer, &victims)?;
    write_bundle(server.bundles.path(), NEIGHBOUR, &Policy::faulty())?;
    let requests = victims.requests(Kind::Enforcer);
    let harmless = questions("nothing");
    let first = harmless.first().ok_or_else(|| io::Error::other("there are questions"))?;
    let faults: Vec<_> = FAULTS.iter().map(|fault| (fault, questions(fault.1))).collect();
    let mut quiet = Fared::default();
    let mut all: Vec<_> =
        FAULTS.iter().map(|fault| (fault.0.to_owned(), Fared::default())).collect();
    for _ in 0..settings.rounds {
        server.wait_until(first)?;
        quiet.add(ask_victims(settings, &server, &requests)?.first()?);
        for (((_, _, connections, pace), questions), (_, fared)) in faults.iter().zip(&mut all) {
            let load = Load {
                length: settings.length + WARM_UP,
                ..settings.load(&server, questions, *connections, *pace)
            };
            let measured =
                with_neighbour(&server, load, || ask_victims(settings, &server, &requests))?;
            fared.add(measured.first()?);
            // Without this, the next round would wait for the end of its quarantine.
            release(&server)?;
            server.wait_until(first)?;
        }
    }
    let mut checks = Vec::new();
    for (name, fared) in &all {
        checks.push(Check::new(
            format!("neighbour {name}: victims' p99 µs"),
            Bound::AtMost(WORST_MICROS),
            fared.p99.clone(),
        ));
        checks.push(Check::new(
            format!("neighbour {name}: victims' p99 × quiet"),
            Bound::AtMost(2.0),
            fared.p99.over(&quiet.p99),
        ));
        checks.push(Check::new(
            format!("neighbour {name}: victims' failed requests"),
            Bound::AtMost(0.0),
            fared.failed(),
        ));
    }
    all.insert(0, ("nothing".to_owned(), quiet));
    let title = format!("{VICTIMS} victims, {RATE} requests/s together, open loop");
    Ok(Section {
        scenario: "neighbours",
        tables: vec![Fared::table(&title, &all)],
        checks,
        curves: Vec::new(),
    })
}

/// Runs `work` while the neighbour repeatedly harms itself.
fn with_neighbour(
    server: &Server,
    load: Load<'_>,
    work: impl FnOnce() -> io::Result<Measured>,
) -> io::Result<Measured> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The neighbour's own results do not matter.
        let neighbour = scope.spawn(move || load.run());
        let operator = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                release(server)?;
                thread::sleep(RELEASE_INTERVAL);
            }
            Ok::<(), io::Error>(())
        });
        let measured = work();
        is_over.store(true, Ordering::Relaxed);
        let failed = |_| io::Error::other("a thread of the bench failed");
        operator.join().map_err(failed)??;
        neighbour.join().map_err(failed)??;
        measured
    })
}

/// Makes the supervisor reload everything, as an operator does to end a quarantine.
fn release(server: &Server) -> io::Result<()> {
    let pid = i32::try_from(server.pid()).map_err(io::Error::other)?;
    Ok(kill(Pid::from_raw(pid), Signal::SIGHUP)?)
}

/// A tenant whose bundle changes all the time under load on it and on the others.
pub(super) fn reload(settings: &Settings) -> io::Result<Section> {
    const RELOADED: usize = 1;
    let tenants = victims();
    let server = Server::start(&settings.programs, Kind::Enforcer, &tenants)?;
    let reloaded = tenants.first(1);
    let id = reloaded.ids.first().cloned().unwrap_or_default();
    let is_reloaded = format!("/tenants/{id}/");
    let requests: Vec<_> = tenants
        .requests(Kind::Enforcer)
        .into_iter()
        .map(|request| {
            let group = if request.asks(&is_reloaded) { RELOADED } else { 0 };
            request.in_group(group)
        })
        .collect();
    let [mut quiet, mut others, mut own] = [Fared::default(), Fared::default(), Fared::default()];
    let before = reloads(server.address, &id)?;
    for round in 0..settings.rounds {
        let measured = ask_victims(settings, &server, &requests)?;
        quiet.add(measured.first()?);
        let is_over = AtomicBool::new(false);
        let measured = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut number = 0_u32;
                while !is_over.load(Ordering::Relaxed) {
                    change(&server, &id, &reloaded.policy, &format!("{round}.{number}"))?;
                    number += 1;
                    thread::sleep(RELOAD_INTERVAL);
                }
                Ok::<(), io::Error>(())
            });
            let measured = ask_victims(settings, &server, &requests);
            is_over.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| io::Error::other("a thread of the bench failed"))??;
            measured
        })?;
        others.add(measured.first()?);
        if let Some(answers) = measured.groups.get(RELOADED) {
            own.add(answers);
        }
    }
    let count = reloads(server.address, &id)? - before;
    let title = format!(
        "{count} reloads of one tenant of {VICTIMS}, {RATE} requests/s together, open loop"
    );
    let failed = [(others.bad + own.bad) as f64].into_iter().collect();
    let checks = vec![
        Check::new("reload under load: failed requests", Bound::AtMost(0.0), failed),
        Check::new(
            "reload under load: others' p99 × quiet",
            Bound::AtMost(1.25),
            others.p99.over(&quiet.p99),
        ),
    ];
    let all = [
        ("nothing; the others".to_owned(), quiet),
        ("reloads; the others".to_owned(), others),
        ("reloads; the one reloaded".to_owned(), own),
    ];
    Ok(Section {
        scenario: "reload",
        tables: vec![Fared::table(&title, &all)],
        checks,
        curves: Vec::new(),
    })
}

/// How often this tenant's bundle was replaced.
fn reloads(address: SocketAddr, id: &str) -> io::Result<u64> {
    let text = crate::servers::get(address, &format!("/v1/tenants/{id}"))?;
    let tenant: serde_json::Value = serde_json::from_str(&text)?;
    tenant
        .pointer("/result/reloads")
        .and_then(serde_json::Value::as_u64)
        .ok_or_else(|| io::Error::other("a tenant says how often it was reloaded"))
}

/// Replaces the policy's file atomically.
fn change(server: &Server, id: &str, policy: &Policy, number: &str) -> io::Result<()> {
    let directory = server.bundles.path();
    for (name, content) in policy.bundle(id) {
        if name == "policy.rego" {
            let new = directory.join(".new");
            fs::write(&new, format!("{content}\n# {number}\n"))?;
            fs::rename(new, directory.join(id).join(name))?;
        }
    }
    Ok(())
}

/// A tenant with much data that is added while the others are under load.
pub(super) fn data(settings: &Settings) -> io::Result<Section> {
    const ID: &str = "large";
    let victims = victims();
    let policy = Policy::with_data(LARGE);
    let prepared = tempfile::tempdir()?;
    write_bundle(prepared.path(), ID, &policy)?;
    let text = fs::read_to_string(prepared.path().join(ID).join("data.json"))?;
    let large = Tenants { ids: vec![ID.to_owned()], policy };
    let question = large.requests(Kind::Enforcer);
    let question = question.first().ok_or_else(|| io::Error::other("there is a question"))?;
    let requests = victims.requests(Kind::Enforcer);
    let [mut quiet, mut meanwhile] = [Fared::default(), Fared::default()];
    let [mut parsing, mut loading] = [Spread::default(), Spread::default()];
    let mut memory = (0, 0);
    for _ in 0..settings.rounds {
        let began = Instant::now();
        let value = regorus::Value::from_json_str(&text).map_err(io::Error::other)?;
        parsing.push(began.elapsed().as_secs_f64());
        drop(value);
        let limits =
            [("ENFORCER_MEMORY_LIMIT_MIB", "8192"), ("ENFORCER_LOAD_TIMEOUT_MS", "120000")];
        let mut server = Server::start_with(&settings.programs, Kind::Enforcer, &victims, &limits)?;
        quiet.add(ask_victims(settings, &server, &requests)?.first()?);
        // On the same file system a rename is atomic.
        let directory = tempfile::tempdir_in(server.bundles.path())?;
        write_bundle(directory.path(), ID, &large.policy)?;
        let address = server.address;
        let measured = thread::scope(|scope| {
            let load = Load {
                address,
                requests: &requests,
                connections: CONNECTIONS,
                pace: Pace::Open(RATE),
                warm_up: Duration::ZERO,
                length: settings.length.max(Duration::from_secs(2)),
            };
            let load = scope.spawn(move || load.run());
            let began = Instant::now();
            fs::rename(directory.path().join(ID), server.bundles.path().join(ID))?;
            server.wait_until(question)?;
            loading.push(began.elapsed().as_secs_f64());
            load.join().map_err(|_| io::Error::other("a thread of the bench failed"))?
        })?;
        meanwhile.add(measured.first()?);
        memory = server.memory();
    }
    let checks = vec![
        Check::new(
            "100 MB of data: time to load × parsing it once",
            Bound::AtMost(3.0),
            loading.over(&parsing),
        ),
        Check::new(
            "100 MB of data: others' p99 × quiet",
            Bound::AtMost(2.0),
            meanwhile.p99.over(&quiet.p99),
        ),
        Check::new(
            "100 MB of data: others' failed requests",
            Bound::AtMost(0.0),
            meanwhile.failed(),
        ),
    ];
    let mut times = Table::new("100 MB of data", &["", "seconds"]);
    times.row(["parsed once, in the bench".to_owned(), parsing.to_string()]);
    times.row(["from its coming to its first answer".to_owned(), loading.to_string()]);
    let title = format!(
        "{VICTIMS} others, {RATE} requests/s together, open loop; supervisor {} KiB, workers {} KiB",
        memory.0, memory.1
    );
    let all = [("nothing".to_owned(), quiet), ("100 MB loads".to_owned(), meanwhile)];
    Ok(Section {
        scenario: "data",
        tables: vec![times, Fared::table(&title, &all)],
        checks,
        curves: Vec::new(),
    })
}
