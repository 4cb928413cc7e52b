//! Workers that end, hang, exhaust memory or break the protocol affect only their own tenant.

use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, send_signal, wait_for};

/// No policy ends its worker. In the hostile binary, the worker of the tenant `told` ends where
/// this is its bundle and the input says so; otherwise it answers like [`ECHO`].
const CRASHES: &str = "# crash";

/// Makes an object that grows with its input.
const GROWS: &str = "package tenants[TENANT]
allow if count({x: y | some x in numbers.range(1, input.size); y := numbers.range(1, 1000)}) > 0
allow if input.allow";

fn assert_serves(enforcer: &Enforcer, tenant_id: &str) {
    let response = enforcer.decide(tenant_id, r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

fn pid(tenant: &Value) -> u32 {
    u32::try_from(tenant["pid"].as_u64().unwrap()).unwrap()
}

#[test]
fn an_input_that_ended_two_workers_is_not_put_to_a_third() {
    let bundles = Bundles::new().tenant("told", CRASHES).tenant("innocent", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    let crash =
        |id: &str| enforcer.decide("told", format!(r#"{{"input":{{"crash":true,"id":"{id}"}}}}"#));
    for _ in 0..2 {
        crash("1").assert_error(503, "worker_unavailable");
    }
    for _ in 0..5 {
        let response = crash("1");
        response.assert_error(500, "internal_error");
        assert!(response.text.contains("not tried again"), "{response:?}");
    }
    assert_eq!(enforcer.tenant("told")["restarts"], 2);
    assert_serves(&enforcer, "told");
    // Another policy may be able to handle it.
    bundles.write("told", "policy.rego", ECHO);
    wait_for("the other policy", || (crash("1").status == 200).then_some(()));
    assert_eq!(enforcer.tenant("innocent")["restarts"], 0);
}

#[test]
fn an_input_is_not_blamed_for_who_kills_its_worker() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    for _ in 0..3 {
        // The same input, with a worker that is killed during its evaluation or just before.
        let before = enforcer.wait_for_state("a", "ready");
        send_signal(pid(&before), Signal::SIGSTOP);
        thread::scope(|scope| {
            let request = scope.spawn(|| enforcer.decide("a", r#"{"input":{"allow":true}}"#));
            // Queued, so that it is at the worker or will be.
            wait_for("the request", || {
                (enforcer.metric("enforcer_connections") >= 1.0).then_some(())
            });
            send_signal(pid(&before), Signal::SIGKILL);
            let response = request.join().unwrap();
            assert!(matches!(response.status, 200 | 503), "{response:?}");
        });
        wait_for("another worker", || {
            let tenant = enforcer.tenant("a");
            (tenant["state"] == "ready" && tenant["pid"] != before["pid"]).then_some(())
        });
    }
    assert_serves(&enforcer, "a");
}

#[test]
fn a_policy_that_prints_a_lot_is_not_kept_waiting_by_its_output() {
    let policy = "package tenants[TENANT]
allow if print(input.text)";
    let enforcer = Bundles::new().tenant("prints", policy).start();
    enforcer.wait_for_state("prints", "ready");
    let body = format!(r#"{{"input":{{"text":"{}"}}}}"#, r"line\n".repeat(300));
    let mut connection = enforcer.connect();
    let metric = r#"enforcer_tenant_limit_reached_total{tenant="prints",limit="stderr_lines"}"#;
    // Until the log's rate limit is exceeded repeatedly, which would fill a pipe that is not read.
    wait_for("the ration to be spent", || {
        for _ in 0..20 {
            let response = connection.decide("prints", body.as_bytes());
            assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        }
        (enforcer.metric(metric) >= 3.0).then_some(())
    });
    assert_eq!(enforcer.tenant("prints")["restarts"], 0);
}

#[test]
fn requests_that_wait_behind_a_crash_are_answered_by_the_next_worker() {
    let enforcer = Bundles::new().tenant("told", CRASHES).start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("told", "ready");
    thread::scope(|scope| {
        let requests: Vec<_> = (0..40)
            .map(|number| {
                let enforcer = &enforcer;
                scope.spawn(move || {
                    let is_crash = number == 20;
                    let body = format!(
                        r#"{{"input":{{"crash":{is_crash},"allow":true,"id":"{number}"}}}}"#
                    );
                    (is_crash, number, enforcer.decide("told", body))
                })
            })
            .collect();
        for request in requests {
            let (is_crash, number, response) = request.join().unwrap();
            if is_crash {
                response.assert_error(503, "worker_unavailable");
            } else {
                assert_eq!(response.status, 200, "{response:?}");
                assert_eq!(response.json()["result"]["reason"], number.to_string());
            }
        }
    });
}

#[test]
fn five_crashes_are_a_quarantine_and_an_operator_or_another_bundle_ends_it() {
    let bundles = Bundles::new().tenant("told", CRASHES).tenant("innocent", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("innocent", "ready");
    let quarantine = |round: u32| {
        wait_for("the quarantine", || {
            // A different input every time, because an input that ends workers is not tried again.
            let id = format!("{round}-{}", enforcer.tenant("told")["restarts"]);
            enforcer.decide("told", format!(r#"{{"input":{{"crash":true,"id":"{id}"}}}}"#));
            assert_serves(&enforcer, "innocent");
            (enforcer.tenant("told")["state"] == "quarantined").then_some(())
        });
        let response = enforcer.decide("told", r#"{"input":{"allow":true}}"#);
        response.assert_error(503, "tenant_unavailable");
    };
    quarantine(1);
    let tenant = enforcer.tenant("told");
    assert_eq!(tenant["restarts"], 5, "{tenant}");
    assert_eq!(tenant["restarts_by_cause"]["crash"], 5, "{tenant}");
    enforcer.wait_for_log("the alert", |line| {
        line["level"] == "ERROR"
            && line["message"].as_str().is_some_and(|text| text.starts_with("tenant quarantined"))
    });
    assert_eq!(enforcer.metric(r#"enforcer_quarantines_total{tenant="told"}"#), 1.0);
    let state = |state| format!(r#"enforcer_tenant_state{{tenant="told",state="{state}"}}"#);
    assert_eq!(enforcer.metric(&state("quarantined")), 1.0);
    assert_eq!(enforcer.metric(&state("ready")), 0.0);
    assert_eq!(enforcer.get("/health?bundles").status, 200);

    enforcer.signal(Signal::SIGHUP);
    enforcer.wait_for_state("told", "ready");
    assert_serves(&enforcer, "told");
    quarantine(2);
    bundles.write("told", "policy.rego", ECHO);
    enforcer.wait_for_state("told", "ready");
    assert_serves(&enforcer, "told");
    assert_eq!(enforcer.tenant("innocent")["restarts"], 0);
}

#[test]
fn an_evaluation_over_the_memory_limit_is_an_error_and_one_process() {
    let bundles = Bundles::new().tenant("grows", GROWS).tenant("innocent", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_MEMORY_LIMIT_MIB", "64")]);
    enforcer.wait_for_state("innocent", "ready");
    // Far too much, and slightly too much: some 120 MiB.
    for size in [200_000, 5000] {
        let response = enforcer.decide("grows", format!(r#"{{"input":{{"size":{size}}}}}"#));
        response.assert_error(500, "memory_limit_exceeded");
    }
    assert_serves(&enforcer, "innocent");
    assert_serves(&enforcer, "grows");
    let tenant = enforcer.tenant("grows");
    assert_eq!(tenant["restarts_by_cause"]["memory_limit"], 2, "{tenant}");
    // Allocations within the limit succeed, also when repeated many times.
    for _ in 0..50 {
        let response = enforcer.decide("grows", r#"{"input":{"size":100}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    }
    assert_eq!(enforcer.tenant("grows")["restarts"], 2);
    assert_eq!(enforcer.tenant("innocent")["restarts"], 0);
}

#[test]
fn a_bundle_over_the_memory_limit_is_rejected() {
    let numbers: Vec<String> = (0..400_000).map(|number| format!("\"k{number}\":[]")).collect();
    let data = format!("{{{}}}", numbers.join(","));
    let bundles = Bundles::new().tenant("large", ECHO).file("large", "data.json", &data);
    let variables = [("ENFORCER_MEMORY_LIMIT_MIB", "16"), ("ENFORCER_LOAD_TIMEOUT_MS", "60000")];
    let enforcer = bundles.start_with(&variables);
    let tenant = enforcer.wait_for_state("large", "rejected");
    let message = tenant["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("bytes of memory"), "{tenant}");
}

#[test]
fn a_stopped_worker_is_replaced() {
    let bundles = Bundles::new().tenant("stops", ECHO).tenant("innocent", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "500")]);
    enforcer.wait_for_state("innocent", "ready");
    let before = enforcer.wait_for_state("stops", "ready");
    send_signal(pid(&before), Signal::SIGSTOP);
    enforcer.decide("stops", r#"{"input":{}}"#).assert_error(504, "evaluation_timeout");
    let after = wait_for("another worker", || {
        assert_serves(&enforcer, "innocent");
        let tenant = enforcer.tenant("stops");
        (tenant["state"] == "ready" && tenant["pid"] != before["pid"]).then_some(tenant)
    });
    assert_eq!(after["restarts_by_cause"]["stopped"], 1, "{after}");
    assert_serves(&enforcer, "stops");
    assert!(!crate::enforcer::is_running(pid(&before)));
}

#[test]
fn a_worker_that_breaks_the_protocol_is_killed_and_its_tenant_quarantined() {
    for (manner, cause) in [
        ("garbage", "protocol_breach"),
        ("too-much", "protocol_breach"),
        ("ahead", "protocol_breach"),
        ("never", "stuck"),
        ("slowly", "stuck"),
        ("closes", "crash"),
    ] {
        let bundles = Bundles::new().tenant(manner, ECHO).tenant("honest", ECHO);
        let variables = [("ENFORCER_EVAL_TIMEOUT_MS", "500")];
        let enforcer = bundles.start_as(&mut hostile_binary(), &variables);
        enforcer.wait_for_state("honest", "ready");
        let before = enforcer.wait_for_state(manner, "ready");
        let response = enforcer.decide(manner, r#"{"input":{}}"#);
        assert!(matches!(response.status, 503 | 504), "{manner}: {response:?}");
        let tenant = wait_for("the worker's end", || {
            assert_serves(&enforcer, "honest");
            let tenant = enforcer.tenant(manner);
            (tenant["restarts"] != 0).then_some(tenant)
        });
        assert_eq!(tenant["restarts_by_cause"][cause], 1, "{manner}: {tenant}");
        if cause == "protocol_breach" {
            assert_eq!(tenant["state"], "quarantined", "{manner}: {tenant}");
        }
        assert!(!crate::enforcer::is_running(pid(&before)), "{manner}");
        assert_eq!(enforcer.tenant("honest")["restarts"], 0);
    }
}

#[test]
fn an_answer_too_many_is_a_breach_and_never_another_request_s_answer() {
    let bundles = Bundles::new().tenant("twice", ECHO).tenant("honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("twice", "ready");
    // The first answer is valid; no honest worker sends a second one.
    enforcer.decide("twice", r#"{"input":{}}"#);
    let tenant = enforcer.wait_for_state("twice", "quarantined");
    assert_eq!(tenant["restarts_by_cause"]["protocol_breach"], 1, "{tenant}");
    assert_serves(&enforcer, "honest");
}

#[test]
fn a_worker_that_does_not_introduce_itself_never_serves() {
    let bundles = Bundles::new().tenant("no-greeting", ECHO).tenant("honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("no-greeting", "quarantined");
    enforcer.decide("no-greeting", r#"{"input":{}}"#).assert_error(503, "tenant_unavailable");
    assert_serves(&enforcer, "honest");
}

#[test]
fn a_worker_that_floods_the_log_waits_for_its_pipe() {
    let bundles = Bundles::new().tenant("floods-stderr", ECHO).tenant("honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("floods-stderr", "ready");
    assert_serves(&enforcer, "floods-stderr");
    let metric =
        r#"enforcer_tenant_limit_reached_total{tenant="floods-stderr",limit="stderr_lines"}"#;
    wait_for("the ration to be spent", || {
        assert_serves(&enforcer, "honest");
        (enforcer.metric(metric) > 0.0).then_some(())
    });
    let lines = enforcer.log();
    let shown =
        lines.iter().filter(|line| line["tenant_id"] == "floods-stderr" && line["pid"].is_u64());
    // At most the rate limit's lines of two seconds, and the other lines about it.
    assert!(shown.count() < 100);
}

#[test]
fn a_supervisor_without_descriptors_serves_on_and_recovers() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("crashes", ECHO);
    // Fewer than clients and workers would take.
    let mut limited = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_edge-policy-enforcer");
    limited.env_clear().args(["-c", &format!("ulimit -n 64; exec {binary}")]);
    limited.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let enforcer = bundles.start_as(&mut limited, &[]);
    enforcer.wait_for_state("a", "ready");
    let pid = pid(&enforcer.wait_for_state("crashes", "ready"));
    let mut first = enforcer.connect();
    assert_eq!(first.decide("a", br#"{"input":{"allow":true}}"#).status, 200);
    let clients: Vec<_> = (0..60).map(|_| enforcer.connect()).collect();
    // Open connections are served, also while a worker must be started.
    send_signal(pid, Signal::SIGKILL);
    for _ in 0..100 {
        let response = first.decide("a", br#"{"input":{"allow":true}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    }
    drop(clients);
    wait_for("the other tenant", || {
        (first.decide("crashes", br#"{"input":{"allow":true}}"#).status == 200).then_some(())
    });
}
