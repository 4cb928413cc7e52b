//! OPA's Data API and batches, beside single decisions and beside OPA.

use std::io;

use serde_json::{Map, Value, json};

use super::{CONNECTIONS, Rounds, Settings, Target, nothing_bad, table};
use crate::load::{Pace, Prepared};
use crate::peers::{opa_document_request, single_body};
use crate::policies::{Case, Policy};
use crate::report::{Bound, Check, Section, Spread};
use crate::servers::{Kind, Server, Tenants};

/// Inputs of one batch.
const BATCH: usize = 100;

/// A document by the Data API, a batch of a hundred decisions, and a hundred single ones.
pub(super) fn documents(settings: &Settings) -> io::Result<Section> {
    let tenants = Tenants::new(1, Policy::readme());
    let Some(id) = tenants.ids.first() else { return Ok(Section::default()) };
    let cases = Policy::readme().cases;
    // A batch has one deadline for all its inputs, and 64 of them wait for one worker.
    let patience = [("ENFORCER_EVAL_TIMEOUT_MS", "20000")];
    let enforcer = Server::start_with(&settings.programs, Kind::Enforcer, &tenants, &patience)?;
    let opa = settings.programs.opa.as_ref();
    let opa = opa.map(|_| Server::start(&settings.programs, Kind::Opa, &tenants)).transpose()?;
    let target = |name: &str, server, requests| Target {
        name: name.to_owned(),
        server,
        requests,
        connections: CONNECTIONS,
        pace: Pace::Closed,
    };
    let root = format!("/tenants/{id}");
    let documents = |base: &str| -> Vec<Prepared> {
        let request = |case: &Case| {
            let (path, body, expected) = opa_document_request(id, case);
            Prepared::post(&format!("{base}{path}"), &body, &expected)
        };
        cases.iter().map(request).collect()
    };
    let mut targets = vec![
        target("single decisions", &enforcer, tenants.requests(Kind::Enforcer)),
        target("batches of 100", &enforcer, vec![batch(id, &cases)]),
        target("documents", &enforcer, documents(&root)),
    ];
    if let Some(opa) = &opa {
        targets.push(target("documents, OPA", opa, documents("")));
    }
    let all = settings.compare(&targets)?;
    nothing_bad(&all)?;
    let [single, batches, own, rest @ ..] = all.as_slice() else { return Ok(Section::default()) };
    let mut checks = vec![Check::new(
        "batches of 100: decisions × single",
        Bound::AtLeast(1.0),
        decisions(batches).over(&single.rate()),
    )];
    if let [theirs, ..] = rest {
        checks.push(Check::new(
            "documents: × OPA's throughput",
            Bound::AtLeast(3.0),
            own.rate().over(&theirs.rate()),
        ));
    }
    let title = "Documents and batches: one tenant, 64 connections, closed loop";
    Ok(Section {
        scenario: "documents",
        checks,
        tables: vec![table(title, &all)],
        curves: Vec::new(),
    })
}

/// Decisions a second.
fn decisions(batches: &Rounds) -> Spread {
    // A hundred is exact in a float.
    batches.spread(|point| point.measured_rate * BATCH as f64)
}

/// One request about a hundred inputs, all of which have a decision.
fn batch(id: &str, cases: &[Case]) -> Prepared {
    let inputs: Map<String, Value> = (0..BATCH)
        .zip(cases.iter().cycle())
        .map(|(index, case)| (format!("input{index}"), single_body(id, case)))
        .collect();
    let body = json!({ "inputs": inputs }).to_string();
    let last = format!("\"input{}\":{{\"result\":", BATCH - 1);
    Prepared::post(&format!("/v1/batch/data/tenants/{id}/allow"), &body, &[last])
}
