//! The cost to another tenant of one whose clients ask for 20 times its quota.

use std::fs;
use std::io;
use std::thread;

use super::isolation::Fared;
use super::{Settings, WARM_UP};
use crate::load::{Load, Pace, Prepared};
use crate::policies::Policy;
use crate::report::{Bound, Check, Section, Spread, Table};
use crate::servers::{Kind, Server, Tenants};

/// The tenant that is flooded, and its quota of decisions a second.
const FLOODED: &str = "tenant_0000";
const QUOTA: f64 = 250.0;

/// Requests a second to the flooded tenant, and from how many connections.
const FLOOD: f64 = 20.0 * QUOTA;
const FLOOD_CONNECTIONS: usize = 32;

/// Requests a second to the other tenant, and from how many connections.
const OTHERS_RATE: f64 = 500.0;
const OTHERS_CONNECTIONS: usize = 16;

/// A tenant that is flooded, beside another one: without the flood, with it, and with it where the
/// flooded tenant has no quota.
pub(super) fn quota(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(2, Policy::readme());
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("enforcer.toml");
    let quotas = format!("decisions_per_second = {QUOTA}\nburst = {}", QUOTA / 10.0);
    fs::write(&file, format!("[tenants.{FLOODED}.quotas]\n{quotas}\n"))?;
    let file = file.display().to_string();
    let limited = Server::start_with(
        &settings.programs,
        Kind::Enforcer,
        &tenants,
        &[("ENFORCER_CONFIG", &file)],
    )?;
    let unlimited = Server::start(&settings.programs, Kind::Enforcer, &tenants)?;
    let (flood, others): (Vec<Prepared>, Vec<Prepared>) = tenants
        .requests(Kind::Enforcer)
        .into_iter()
        .partition(|request| request.asks(&format!("/tenants/{FLOODED}/")));
    let ask_others = |server: &Server| {
        settings.load(server, &others, OTHERS_CONNECTIONS, Pace::Open(OTHERS_RATE)).run()
    };
    let with_flood = |server: &Server| {
        let load = Load {
            length: settings.length + WARM_UP,
            ..settings.load(server, &flood, FLOOD_CONNECTIONS, Pace::Open(FLOOD))
        };
        thread::scope(|scope| {
            let flooding = scope.spawn(move || load.run());
            let measured = ask_others(server)?;
            let flooded =
                flooding.join().map_err(|_| io::Error::other("a thread of the bench failed"))??;
            Ok::<_, io::Error>((measured, flooded))
        })
    };
    let [mut quiet, mut flooded, mut without_quota] =
        [Fared::default(), Fared::default(), Fared::default()];
    let [mut served, mut refused] = [Spread::default(), Spread::default()];
    for _ in 0..settings.rounds {
        quiet.add(ask_others(&limited)?.first()?);
        let (measured, meanwhile) = with_flood(&limited)?;
        flooded.add(measured.first()?);
        served.push(meanwhile.rate());
        // A count of requests is exact in a float.
        refused.push(meanwhile.first()?.failed as f64 / meanwhile.took.as_secs_f64());
        let (measured, _) = with_flood(&unlimited)?;
        without_quota.add(measured.first()?);
    }
    let checks = vec![
        Check::new(
            "quota: others' p99 × without the flood",
            Bound::AtMost(2.0),
            flooded.p99.over(&quiet.p99),
        ),
        Check::new("quota: others' failed requests", Bound::AtMost(0.0), flooded.failed()),
        Check::new(
            "quota: answers/s of the flooded tenant",
            Bound::AtMost(1.1 * QUOTA),
            served.clone(),
        ),
    ];
    let title = format!(
        "another tenant, {OTHERS_RATE} requests/s, open loop, beside one that is asked {FLOOD} times a second"
    );
    let mut own = Table::new(format!("the flooded tenant, quota {QUOTA}/s"), &["", "a second"]);
    own.row(["answered".to_owned(), served.to_string()]);
    own.row(["refused with 429".to_owned(), refused.to_string()]);
    let all = [
        ("no flood".to_owned(), quiet),
        ("flood, 20 × its quota".to_owned(), flooded),
        ("the same without a quota".to_owned(), without_quota),
    ];
    Ok(Section {
        scenario: "quota",
        tables: vec![Fared::table(&title, &all), own],
        checks,
        curves: Vec::new(),
    })
}
