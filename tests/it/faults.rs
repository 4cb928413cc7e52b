//! Faults on purpose, for minutes, under constant load on innocent tenants: every one of their
//! requests must succeed. The cost to them is printed, not judged.
//!
//! `tests/faults/run` runs these, with the release build.
#![allow(clippy::print_stdout, reason = "the figures are what these tests are run for")]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::enforcer::{
    Bundles, ECHO, Enforcer, cpu_millis, hostile_binary, is_running, private_memory, send_signal,
    wait_for,
};
use crate::latencies::Latencies;
use crate::reload::reload_under_load;

/// Requests a second to each innocent tenant, in an open loop.
const RATE: u32 = 400;

/// How long each fault goes on.
const FAULT_TIME: Duration = Duration::from_secs(8);

/// A policy with every way in which a tenant can harm itself.
const FAULTY: &str = "package tenants[TENANT]
allow if { input.do == \"loop\"; some x in numbers.range(1, 100000); some y in numbers.range(1, 100000); x + y < 0 }
allow if { input.do == \"grow\"; count({x: y | some x in numbers.range(1, 100000000); y := [x, x, x]}) > 0 }
allow if { input.do == \"print\"; some x in numbers.range(1, 1000); print(x); x < 0 }
allow if input.do == \"nothing\"
reason := input.id";

/// The deadlines that the design promises, not those for a busy test machine.
const VARIABLES: [(&str, &str); 2] =
    [("ENFORCER_EVAL_TIMEOUT_MS", "2000"), ("ENFORCER_DECISION_LOG", "false")];

/// A random number below `bound`.
fn random(bound: u64) -> u64 {
    RandomState::new().hash_one(0) % bound
}

impl Latencies {
    /// Prints them, from the time that each request was due.
    fn print(&self, name: &str) {
        println!(
            "{name:<28} {:>8} {:>8} {:>8} {:>8}",
            self.count(),
            self.micros(500),
            self.micros(990),
            self.micros(999)
        );
    }
}

fn print_head() {
    println!(
        "\n{:<28} {:>8} {:>8} {:>8} {:>8}",
        "fault", "requests", "p50 µs", "p99 µs", "p99.9 µs"
    );
}

/// Asks `innocents` on a schedule while `fault` goes on, and asserts that every answer is theirs.
fn under_load(enforcer: &Enforcer, innocents: &[&str], fault: impl FnOnce()) -> Latencies {
    let stop = AtomicBool::new(false);
    let interval = Duration::from_secs(1) / RATE;
    let latencies = thread::scope(|scope| {
        let loads: Vec<_> = innocents
            .iter()
            .map(|tenant_id| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut connection = enforcer.connect();
                    let mut latencies = Vec::new();
                    let mut due = Instant::now();
                    while !stop.load(Ordering::Relaxed) {
                        let id = format!("{tenant_id}-{}", latencies.len());
                        let body = format!(r#"{{"input":{{"allow":true,"id":"{id}"}}}}"#);
                        let response = connection.decide(tenant_id, body.as_bytes());
                        latencies.push(due.elapsed());
                        assert_eq!(response.status, 200, "{tenant_id}: {response:?}");
                        let result = response.json()["result"].take();
                        assert_eq!(result["allow"], true, "{tenant_id}: {result}");
                        assert!(result["reason"] == id || result["reason"].is_null(), "{result}");
                        due += interval;
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    latencies
                })
            })
            .collect();
        // Also when it fails, so that the load does not go on for ever.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stopping = Stop(&stop);
        fault();
        drop(stopping);
        loads.into_iter().flat_map(|load| load.join().unwrap()).collect()
    });
    for tenant_id in innocents {
        assert_eq!(enforcer.tenant(tenant_id)["restarts"], 0, "{tenant_id}");
    }
    Latencies::new(latencies)
}

/// Asks `tenant_id` to do this repeatedly, on this many connections, and asserts that no answer is
/// a wrong allow.
fn keep_doing(enforcer: &Enforcer, tenant_id: &str, what: &str, connections: usize) {
    let end = Instant::now() + FAULT_TIME;
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = enforcer.connect();
                while Instant::now() < end {
                    // A different input every time, because an input that ends workers is not tried
                    // again.
                    let id = count.fetch_add(1, Ordering::Relaxed);
                    let body = format!(r#"{{"input":{{"do":"{what}","id":"{id}"}}}}"#);
                    let response = connection.decide(tenant_id, body.as_bytes());
                    let body = response.json();
                    assert!(body["result"]["allow"] != true || what == "nothing", "{response:?}");
                    // Reloads release the tenant from its quarantine, so that the fault goes on.
                    if body["code"] == "tenant_unavailable" {
                        enforcer.signal(Signal::SIGHUP);
                        thread::sleep(Duration::from_millis(20)); // the pace of a person
                    }
                }
            });
        }
    });
}

fn start() -> (Bundles, Enforcer) {
    let bundles =
        Bundles::new().tenant("innocent1", ECHO).tenant("innocent2", ECHO).tenant("faulty", FAULTY);
    let enforcer = bundles.start_with(&VARIABLES);
    for tenant_id in ["innocent1", "innocent2", "faulty"] {
        enforcer.wait_for_state(tenant_id, "ready");
    }
    (bundles, enforcer)
}

const INNOCENTS: [&str; 2] = ["innocent1", "innocent2"];

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn what_a_policy_does_to_itself_costs_no_other_tenant_a_request() {
    let (_bundles, enforcer) = start();
    print_head();
    under_load(&enforcer, &INNOCENTS, || thread::sleep(FAULT_TIME)).print("none");
    for (what, connections) in [("nothing", 8), ("loop", 4), ("grow", 4), ("print", 4)] {
        let latencies = under_load(&enforcer, &INNOCENTS, || {
            keep_doing(&enforcer, "faulty", what, connections)
        });
        let tenant = enforcer.tenant("faulty");
        latencies.print(&format!("{what} × {connections}"));
        println!("{:>28} {}", "restarts", tenant["restarts_by_cause"]);
    }
    under_load(&enforcer, &INNOCENTS, || thread::sleep(FAULT_TIME)).print("none, again");
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn two_hundred_signals_at_random_moments_cost_no_other_tenant_a_request() {
    let (_bundles, enforcer) = start();
    print_head();
    let mut sent = BTreeMap::new();
    let latencies = under_load(&enforcer, &INNOCENTS, || {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut connection = enforcer.connect();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let body = format!(r#"{{"input":{{"do":"nothing","id":"{number}"}}}}"#);
                    let response = connection.decide("faulty", body.as_bytes());
                    // It is answered correctly or not at all.
                    assert!(matches!(response.status, 200 | 503 | 504), "{response:?}");
                    if response.status == 200 {
                        let result = response.json()["result"].take();
                        assert_eq!(result["reason"], number.to_string(), "{result}");
                    }
                }
            });
            let signals = [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGSTOP];
            while sent.values().sum::<u32>() < 200 {
                let tenant = enforcer.tenant("faulty");
                if tenant["state"] == "quarantined" {
                    enforcer.signal(Signal::SIGHUP);
                }
                let signal = signals[usize::try_from(random(3)).unwrap()];
                if let Some(pid) = tenant["pid"].as_u64() {
                    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
                    // It may have ended since it was listed.
                    if nix::sys::signal::kill(pid, signal).is_ok() {
                        *sent.entry(signal.as_str()).or_insert(0) += 1;
                    }
                }
                thread::sleep(Duration::from_millis(random(60)));
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
    latencies.print("200 signals");
    enforcer.signal(Signal::SIGHUP);
    wait_for("the tenant to recover", || {
        (enforcer.decide("faulty", r#"{"input":{"do":"nothing"}}"#).status == 200).then_some(())
    });
    let tenant = enforcer.tenant("faulty");
    println!("{:>28} {sent:?}, restarts {}", "", tenant["restarts_by_cause"]);
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn a_thousand_edits_in_a_minute_cost_nobody_a_request() {
    let (bundles, enforcer) = start();
    print_head();
    let latencies = under_load(&enforcer, &INNOCENTS, || {
        let begin = Instant::now();
        for edit in 0..1000_u32 {
            match edit % 10 {
                // Broken, and valid again.
                3 => bundles.write("faulty", "policy.rego", "package tenants[TENANT]\nallow if {"),
                7 => bundles.write("faulty", "data.json", "["),
                8 => bundles.write("faulty", "data.json", "{}"),
                _ => bundles.write("faulty", "policy.rego", &format!("{FAULTY}\n# {edit}")),
            }
            // Between them, the edited tenant answers too.
            let response = enforcer.decide("faulty", r#"{"input":{"do":"nothing"}}"#);
            assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
            let due = begin + Duration::from_millis(60) * (edit + 1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
    latencies.print("1000 edits");
    let policy = "package tenants[TENANT]\nallow := true\nreason := \"last\"";
    bundles.write("faulty", "policy.rego", policy);
    enforcer.wait_for_reason("faulty", "last");
    let tenant = enforcer.tenant("faulty");
    assert_eq!(tenant["restarts"], 0, "{tenant}");
    println!("{:>28} {}", "reloads", tenant["reloads"]);
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn hostile_workers_cost_no_other_tenant_a_request() {
    print_head();
    for manner in ["garbage", "too-much", "twice", "never", "slowly", "closes", "floods-stderr"] {
        let bundles = Bundles::new().tenant(manner, ECHO).tenant("innocent", ECHO);
        let enforcer = bundles.start_as(&mut hostile_binary(), &VARIABLES);
        enforcer.wait_for_state("innocent", "ready");
        enforcer.wait_for_state(manner, "ready");
        let latencies = under_load(&enforcer, &["innocent"], || {
            keep_doing(&enforcer, manner, "nothing", 2);
        });
        latencies.print(manner);
        println!("{:>28} {}", "restarts", enforcer.tenant(manner)["restarts_by_cause"]);
    }
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn a_host_without_descriptors_or_bundles_serves_on() {
    print_head();
    let bundles = Bundles::new();
    let directory = bundles.path().join("bundles");
    for tenant_id in ["innocent1", "innocent2", "faulty"] {
        let policy = if tenant_id == "faulty" { FAULTY } else { ECHO };
        fs::create_dir_all(directory.join(tenant_id)).unwrap();
        let policy = policy.replace("TENANT", &format!("{tenant_id:?}"));
        fs::write(directory.join(tenant_id).join("policy.rego"), policy).unwrap();
    }
    let mut limited = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_edge-policy-enforcer");
    limited.env_clear().args(["-c", &format!("ulimit -n 96; exec {binary}")]);
    limited.stdin(Stdio::null()).stdout(Stdio::null());
    let enforcer = Enforcer::start_as(&mut limited, &directory, &VARIABLES);
    for tenant_id in ["innocent1", "innocent2", "faulty"] {
        enforcer.wait_for_state(tenant_id, "ready");
    }
    under_load(&enforcer, &INNOCENTS, || {
        let pid = enforcer.tenant("faulty")["pid"].as_u64().unwrap();
        let clients: Vec<_> = (0..100).map(|_| enforcer.connect()).collect();
        send_signal(u32::try_from(pid).unwrap(), Signal::SIGKILL);
        thread::sleep(FAULT_TIME);
        drop(clients);
    })
    .print("no descriptors");
    let away = bundles.path().join("away");
    under_load(&enforcer, &INNOCENTS, || {
        fs::rename(&directory, &away).unwrap();
        keep_doing(&enforcer, "faulty", "grow", 2);
        fs::rename(&away, &directory).unwrap();
    })
    .print("no bundles");
    enforcer.signal(Signal::SIGHUP);
    wait_for("the tenant to recover", || {
        (enforcer.decide("faulty", r#"{"input":{"do":"nothing"}}"#).status == 200).then_some(())
    });
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn a_hundred_thousand_requests_while_the_bundle_changes_two_hundred_times() {
    let begin = Instant::now();
    reload_under_load(8, 100_000, 200);
    println!("\n100,000 requests or more, 200 reloads, 0 failed, in {:?}", begin.elapsed());
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn no_worker_outlives_a_killed_supervisor_by_a_second() {
    let (_bundles, mut enforcer) = start();
    let workers = enforcer.workers();
    let mut connection = enforcer.connect();
    connection.begin_to_decide("faulty", r#"{"input":{"do":"loop"}}"#);
    let before = cpu_millis(workers["faulty"]);
    wait_for("the worker to spin", || (cpu_millis(workers["faulty"]) > before + 50).then_some(()));
    enforcer.signal(Signal::SIGKILL);
    let begin = Instant::now();
    enforcer.wait();
    wait_for("the workers to end", || workers.values().all(|pid| !is_running(*pid)).then_some(()));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    println!("\nsupervisor killed: no worker left after {:?}", begin.elapsed());
}

#[test]
#[ignore = "takes minutes: tests/faults/run"]
fn ten_thousand_registered_tenants_take_no_more_than_the_active_ones_need() {
    const REGISTERED: usize = 10_000;
    const ACTIVE: usize = 200;
    let tenants: Vec<String> = (0..REGISTERED).map(|number| format!("t{number}")).collect();
    let bundles = tenants.iter().fold(Bundles::new(), |bundles, id| bundles.tenant(id, ECHO));
    let variables = [("ENFORCER_ACTIVATION", "lazy"), ("ENFORCER_IDLE_TIMEOUT", "15s")];
    let begin = Instant::now();
    let enforcer = bundles.start_with(&variables);
    println!("\n{REGISTERED} registered: serving after {:?}", begin.elapsed());
    println!("supervisor: {} KiB private", private_memory(enforcer.pid()));
    let mut first = Vec::new();
    let mut connection = enforcer.connect();
    for tenant_id in tenants.iter().step_by(REGISTERED / ACTIVE) {
        let begin = Instant::now();
        let response = connection.decide(tenant_id, br#"{"input":{"allow":true}}"#);
        first.push(begin.elapsed());
        assert_eq!(response.json()["result"]["allow"], Value::Bool(true), "{response:?}");
    }
    let first = Latencies::new(first);
    println!(
        "first request to a sleeping tenant: p50 {:?}, p99 {:?}",
        first.at(500),
        first.at(990)
    );
    let workers = enforcer.workers();
    assert_eq!(workers.len(), ACTIVE);
    let total: u64 = workers.values().map(|pid| private_memory(*pid)).sum();
    println!(
        "{ACTIVE} active: supervisor {} KiB private, workers {} KiB each",
        private_memory(enforcer.pid()),
        total / u64::try_from(ACTIVE).unwrap()
    );
    wait_for("them to sleep again", || enforcer.workers().is_empty().then_some(()));
    let response = connection.decide("t1", br#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}
