//! Who answers requests interrupts whoever does not, where processors are short.

use std::fs;

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, skipped, wait_for};

/// Nanoseconds: what `ARCHITECTURE.md` says of who answers requests, and of all else.
const SERVING: u64 = 100_000;
const ASIDE: u64 = 3_000_000;

/// The slice of a process, in nanoseconds, as the kernel has it.
fn slice(pid: u32) -> Option<u64> {
    slice_in(&format!("/proc/{pid}/sched"))
}

/// The slices of all threads of this name.
fn slices_of_threads(pid: u32, name: &str) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| {
            let comm = fs::read_to_string(format!("{path}/comm")).unwrap_or_default();
            comm.trim_end() == name
        })
        .filter_map(|path| slice_in(&format!("{path}/sched")))
        .collect()
}

fn slice_in(path: &str) -> Option<u64> {
    let said = fs::read_to_string(path).ok()?;
    let value = said.lines().find_map(|line| line.strip_prefix("se.slice"))?;
    value.trim_start_matches([' ', ':']).trim().parse().ok()
}

fn has_slices(enforcer: &Enforcer) -> bool {
    let is_refused = |line: &serde_json::Value| line.to_string().contains("no slices can be had");
    !enforcer.log().iter().any(is_refused)
}

#[test]
fn a_worker_has_short_slices_when_it_serves_and_long_ones_before() {
    let bundles = Bundles::new().tenant("innocent", ECHO).tenant("never-loads", ECHO);
    let variables = [("ENFORCER_LOAD_TIMEOUT_MS", "60000")];
    let enforcer = bundles.start_as(&mut hostile_binary(), &variables);
    if !has_slices(&enforcer) {
        return skipped("who interrupts whom", "this kernel has no slices of one's own");
    }
    enforcer.wait_for_state("innocent", "ready");
    let coming =
        wait_for("the worker that comes up", || enforcer.workers().get("never-loads").copied());
    assert_eq!(slice(coming), Some(ASIDE));
    assert_eq!(slice(enforcer.workers()["innocent"]), Some(SERVING));

    // Its successor comes up beside it, and is no nearer to a processor before it serves.
    bundles.write("innocent", "policy.rego", &format!("{ECHO}\n# changed"));
    let reloads = || enforcer.tenant("innocent")["reloads"].as_u64();
    wait_for("the reload", || (reloads() == Some(1)).then_some(()));
    let pid = u32::try_from(enforcer.tenant("innocent")["pid"].as_u64().unwrap()).unwrap();
    assert_eq!(slice(pid), Some(SERVING));
}

#[test]
fn threads_that_answer_have_short_slices_and_those_that_do_not_have_long_ones() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    if !has_slices(&enforcer) {
        return skipped("who interrupts whom", "this kernel has no slices of one's own");
    }
    enforcer.wait_for_state("a", "ready");
    assert_eq!(slice(enforcer.pid()), Some(SERVING));
    // Those that read bundles have the same name, and are not of the same kind.
    let slices = slices_of_threads(enforcer.pid(), "supervisor");
    assert!(slices.contains(&SERVING) && slices.contains(&ASIDE), "{slices:?}");
    for name in ["worker-spawner", "stream"] {
        let slices = slices_of_threads(enforcer.pid(), name);
        assert!(!slices.is_empty() && slices.iter().all(|slice| *slice == ASIDE), "{name}");
    }
}

#[test]
fn a_host_without_slices_is_served_all_the_same_and_told_once() {
    let mut command = hostile_binary();
    command.env("HOST_WITHOUT", "slices");
    let enforcer = Bundles::new().tenant("innocent", ECHO).start_as(&mut command, &[]);
    enforcer.wait_for_state("innocent", "ready");
    let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    let told = enforcer.log().iter().filter(|line| line.to_string().contains("slices")).count();
    assert_eq!(told, 1, "{:?}", enforcer.log());
}
