//! Every tenant has its own process, and no process outlives its supervisor.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::enforcer::{Bundles, ECHO, cpu_millis, is_running, send_signal, skipped, wait_for};

/// A policy whose evaluation never ends by itself.
const SPIN: &str = "package tenants[TENANT]
allow if {
	input.spin
	some x in numbers.range(1, 10000)
	some y in numbers.range(1, 10000)
	x + y < 0
}";

#[test]
fn n_tenants_are_n_processes_each_with_its_own_bundle_only() {
    let tenants = ["alpha", "beta", "gamma", "delta"];
    // Assembled here, so that a marker is in memory only where its bundle is.
    let marker = |tenant_id: &str| format!("marker-{}-of-{tenant_id}", "x".repeat(16));
    let bundles = tenants.iter().fold(Bundles::new(), |bundles, tenant_id| {
        let data = format!("{{\"marker\": \"{}\"}}", marker(tenant_id));
        let policy = "package tenants[TENANT]\nallow := true\nreason := data.marker";
        bundles.tenant(tenant_id, policy).file(tenant_id, "data.json", &data)
    });
    // Only root can look into a sealed worker.
    let sandbox = if geteuid().is_root() { "strict" } else { "debug-off" };
    let enforcer = bundles.start_with(&[("ENFORCER_SANDBOX", sandbox)]);
    for tenant_id in tenants {
        let reason =
            enforcer.decide(tenant_id, r#"{"input":{}}"#).json()["result"]["reason"].take();
        assert_eq!(reason, marker(tenant_id));
    }

    let workers = enforcer.workers();
    assert_eq!(workers.len(), tenants.len(), "{workers:?}");
    for tenant_id in tenants {
        let pid = workers[tenant_id];
        assert_eq!(enforcer.tenant(tenant_id)["pid"], pid);
        let memory = memory(pid);
        for other in tenants {
            let holds = contains(&memory, marker(other).as_bytes());
            assert_eq!(holds, other == tenant_id, "{tenant_id}'s worker and {other}'s bundle");
        }
    }
}

#[test]
fn a_worker_has_no_environment_and_two_descriptors() {
    let enforcer = Bundles::new().tenant("a", ECHO).start_with(&[("SECRET", "of the supervisor")]);
    enforcer.wait_for_state("a", "ready");
    let pid = enforcer.workers()["a"];
    let environment = fs::read(format!("/proc/{pid}/environ"));
    if !geteuid().is_root() {
        skipped("a worker's descriptors", "only root may look at them");
        // For every other user, that failure is the promise.
        let refused = environment.map_err(|error| error.kind());
        assert_eq!(refused, Err(std::io::ErrorKind::PermissionDenied));
        return;
    }
    assert_eq!(environment.unwrap(), b"");
    let descriptors: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().to_str().unwrap().to_owned())
        .map(|target| target.split(':').next().unwrap().to_owned())
        .collect();
    // Its socket, and the pipe of its standard error.
    assert_eq!(descriptors, ["pipe", "socket"]);
}

#[test]
fn killing_the_supervisor_leaves_no_worker_not_even_one_that_spins() {
    let bundles = Bundles::new().tenant("spins", SPIN).tenant("idle", ECHO);
    let mut enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_state("spins", "ready");
    enforcer.wait_for_state("idle", "ready");
    let workers = enforcer.workers();

    let mut connection = enforcer.connect();
    connection.begin_to_decide("spins", r#"{"input":{"spin":true}}"#);
    let before = cpu_millis(workers["spins"]);
    wait_for("the worker to spin", || (cpu_millis(workers["spins"]) > before + 50).then_some(()));

    enforcer.signal(Signal::SIGKILL);
    enforcer.wait();
    for (tenant_id, pid) in workers {
        wait_for(&format!("{tenant_id}'s worker to end"), || (!is_running(pid)).then_some(()));
    }
}

#[test]
fn one_tenant_s_crash_leaves_the_others_serving_and_is_repaired() {
    let enforcer = Bundles::new().tenant("crashes", ECHO).tenant("innocent", ECHO).start();
    let innocent = enforcer.wait_for_state("innocent", "ready")["pid"].clone();
    let mut connection = enforcer.connect();
    for (round, (signal, cause)) in
        [(Signal::SIGKILL, "killed"), (Signal::SIGABRT, "crash"), (Signal::SIGTRAP, "crash")]
            .into_iter()
            .enumerate()
    {
        let pid = enforcer.wait_for_state("crashes", "ready")["pid"].clone();
        send_signal(u32::try_from(pid.as_u64().unwrap()).unwrap(), signal);
        wait_for("another worker", || {
            let response = connection.decide("innocent", br#"{"input":{"allow":true}}"#);
            assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
            let tenant = enforcer.tenant("crashes");
            (tenant["state"] == "ready" && tenant["pid"] != pid).then_some(())
        });
        let tenant = enforcer.tenant("crashes");
        assert_eq!(tenant["restarts"], round + 1);
        assert!(tenant["restarts_by_cause"][cause].as_u64() >= Some(1), "{tenant}");
        assert!(
            tenant["last_error"]["message"].as_str().unwrap().contains(signal.as_str()),
            "{tenant}"
        );
        let response = enforcer.decide("crashes", r#"{"input":{"allow":true}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    }
    let tenant = enforcer.tenant("innocent");
    assert_eq!((&tenant["pid"], &tenant["restarts"]), (&innocent, &0.into()));
}

#[test]
fn a_forbidden_system_call_is_an_alert_and_a_quarantine() {
    let enforcer = Bundles::new().tenant("calls", ECHO).tenant("innocent", ECHO).start();
    let pid = enforcer.wait_for_state("calls", "ready")["pid"].clone();
    // The signal that the kernel sends for it.
    send_signal(u32::try_from(pid.as_u64().unwrap()).unwrap(), Signal::SIGSYS);
    let tenant = enforcer.wait_for_state("calls", "quarantined");
    assert_eq!(tenant["restarts_by_cause"]["forbidden_call"], 1, "{tenant}");
    enforcer.wait_for_log("the alert", |line| {
        line["level"] == "ERROR" && line["cause"] == "forbidden_call"
    });
    let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn a_request_whose_worker_dies_is_never_an_allow() {
    let bundles = Bundles::new().tenant("spins", SPIN);
    let enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_state("spins", "ready");
    let pid = enforcer.workers()["spins"];
    let mut connection = enforcer.connect();
    connection.begin_to_decide("spins", r#"{"input":{"spin":true}}"#);
    let before = cpu_millis(pid);
    wait_for("the worker to spin", || (cpu_millis(pid) > before + 50).then_some(()));
    send_signal(pid, Signal::SIGKILL);
    let response = connection.response().unwrap();
    response.assert_error(503, "worker_unavailable");
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[test]
fn a_policy_that_recurses_is_refused_and_costs_nobody_a_process() {
    let policy = "package tenants[TENANT]
deeper(n) := deeper(n + 1)
allow if { input.recurse; deeper(0) }";
    let enforcer = Bundles::new().tenant("recurses", policy).tenant("innocent", ECHO).start();
    let tenant = enforcer.wait_for_state("recurses", "rejected");
    let error = &tenant["last_error"]["errors"][0];
    assert_eq!(error["code"], "rego_recursion_error", "{tenant}");
    assert_eq!(error["location"]["row"], 2, "{tenant}");
    assert_eq!(tenant["restarts"], 0, "{tenant}");
    let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

/// All memory of a process that can be written, where its data is.
fn memory(pid: u32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut file = File::open(format!("/proc/{pid}/mem")).unwrap_or_else(|error| {
        panic!("a worker's memory cannot be read, so this test cannot tell: {error}")
    });
    let mut memory = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (range, permissions) = (fields.next().unwrap(), fields.next().unwrap());
        if !permissions.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let start = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        // A mapping may be gone again by now.
        let _ = (&mut file).take(end - start).read_to_end(&mut memory);
    }
    memory
}

fn contains(memory: &[u8], marker: &[u8]) -> bool {
    memory.windows(marker.len()).any(|window| window == marker)
}
