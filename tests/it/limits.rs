//! Every limit holds, gives the client that reached it a distinct error, and does not affect other
//! clients.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};

/// Evaluates for ever when the input says so; the engine's timer can interrupt it.
const LOOP: &str = "package tenants[TENANT]
allow if {
	input.loop
	some x in numbers.range(1, 10000)
	some y in numbers.range(1, 10000)
	x + y < 0
}
allow if input.allow";

/// The bundle of the hostile binary's tenant `told`, which hangs where its input says so; a policy
/// cannot make an honest worker hang.
const STUCK: &str = "# crash, and hang";

/// Long enough for a shared machine, short enough for a test.
const DEADLINE: (&str, &str) = ("ENFORCER_EVAL_TIMEOUT_MS", "1000");

fn assert_serves(enforcer: &Enforcer, tenant_id: &str) {
    let response = enforcer.decide(tenant_id, r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn an_evaluation_without_end_is_stopped_at_its_deadline() {
    let enforcer =
        Bundles::new().tenant("loops", LOOP).tenant("innocent", ECHO).start_with(&[DEADLINE]);
    enforcer.wait_for_state("loops", "ready");
    enforcer.wait_for_state("innocent", "ready");
    for _ in 0..3 {
        enforcer
            .decide("loops", r#"{"input":{"loop":true}}"#)
            .assert_error(504, "evaluation_timeout");
        assert_serves(&enforcer, "innocent");
        assert_serves(&enforcer, "loops");
    }
    // The engine stopped the evaluation: the worker is the same.
    assert_eq!(enforcer.tenant("loops")["restarts"], 0);
}

#[test]
fn an_evaluation_that_cannot_be_interrupted_costs_its_own_tenant_one_process() {
    let enforcer = Bundles::new()
        .tenant("told", STUCK)
        .tenant("innocent", ECHO)
        .start_as(&mut hostile_binary(), &[DEADLINE]);
    let first = enforcer.wait_for_state("told", "ready")["pid"].clone();
    enforcer.wait_for_state("innocent", "ready");
    thread::scope(|scope| {
        let stuck = scope.spawn(|| enforcer.decide("told", r#"{"input":{"hang":true}}"#));
        let mut connection = enforcer.connect();
        while !stuck.is_finished() {
            let response = connection.decide("innocent", br#"{"input":{"allow":true}}"#);
            assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        }
        stuck.join().unwrap().assert_error(504, "evaluation_timeout");
    });
    let tenant = wait_for("another worker", || {
        let tenant = enforcer.tenant("told");
        (tenant["state"] == "ready" && tenant["pid"] != first).then_some(tenant)
    });
    assert_eq!(tenant["restarts"], 1);
    let message = tenant["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("stuck beyond its deadline"), "{tenant}");
    let response = enforcer.decide("told", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    assert_eq!(enforcer.tenant("innocent")["restarts"], 0);
}

#[test]
fn requests_behind_a_stuck_one_are_answered_as_late_and_not_kept_waiting() {
    let bundles = Bundles::new().tenant("told", STUCK);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[DEADLINE]);
    enforcer.wait_for_state("told", "ready");
    thread::scope(|scope| {
        let requests: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    let start = Instant::now();
                    let body = r#"{"input":{"hang":true}}"#;
                    (enforcer.decide("told", body), start.elapsed())
                })
            })
            .collect();
        for request in requests {
            let (response, time) = request.join().unwrap();
            // A second, not the half minute that the first evaluation takes.
            assert!(time < Duration::from_secs(15), "{time:?}");
            let code = response.json()["code"].clone();
            // Late, or at the worker when it was killed, or before the next worker was ready.
            let expected = ["evaluation_timeout", "worker_unavailable"];
            assert!(expected.iter().any(|expected| code == *expected), "{response:?}");
        }
    });
}

#[test]
fn a_full_queue_is_answered_at_once() {
    let bundles = Bundles::new().tenant("loops", LOOP).tenant("innocent", ECHO);
    let variables = [("ENFORCER_QUEUE_LENGTH", "4"), ("ENFORCER_EVAL_TIMEOUT_MS", "5000")];
    let enforcer = bundles.start_with(&variables);
    enforcer.wait_for_state("loops", "ready");
    enforcer.wait_for_state("innocent", "ready");
    let codes: Vec<Value> = thread::scope(|scope| {
        let requests: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| enforcer.decide("loops", r#"{"input":{"loop":true}}"#)))
            .collect();
        assert_serves(&enforcer, "innocent");
        let responses = requests.into_iter().map(|request| request.join().unwrap());
        responses
            .map(|response| {
                let code = response.json()["code"].clone();
                let overloaded = code == "overloaded";
                assert_eq!(response.status, if overloaded { 503 } else { 504 }, "{response:?}");
                assert_eq!(response.header("retry-after"), overloaded.then_some("1"));
                code
            })
            .collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == "overloaded").count(), 8, "{codes:?}");
    let metric = r#"enforcer_tenant_limit_reached_total{tenant="loops",limit="queue_length"}"#;
    assert_eq!(enforcer.metric(metric), 8.0);
    assert_serves(&enforcer, "loops");
}

#[test]
fn one_tenant_s_bodies_take_no_more_memory_than_its_share() {
    let bundles = Bundles::new().tenant("slow", ECHO).tenant("innocent", ECHO);
    // The budget is 32 of the largest bodies.
    let enforcer = bundles.start_with(&[("ENFORCER_MAX_BODY_BYTES", "65536")]);
    let head = "POST /v1/data/tenants/slow/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n";
    let mut open: Vec<_> = (0..40).map(|_| enforcer.connect()).collect();
    for connection in &mut open {
        // All but the last byte, so that it is held and not yet answered.
        connection.send(head.as_bytes()).unwrap();
        connection.send(&[b' '; 65_535]).unwrap();
    }
    let metric = r#"enforcer_tenant_limit_reached_total{tenant="slow",limit="body_memory"}"#;
    wait_for("those that have no room", || (enforcer.metric(metric) >= 8.0).then_some(()));
    assert_serves(&enforcer, "innocent");
    let mut refused = 0;
    for mut connection in open {
        connection.send(b"x").unwrap();
        let response = connection.response().unwrap();
        if response.status == 503 {
            response.assert_error(503, "overloaded");
            refused += 1;
        } else {
            response.assert_error(400, "invalid_parameter");
        }
    }
    // At least: two that are refused together may each have held the share that the other lacked.
    assert!((8..16).contains(&refused), "{refused}");
    assert_eq!(enforcer.metric(metric), f64::from(refused));
    assert_serves(&enforcer, "slow");
}

#[test]
fn clients_over_the_limit_of_connections_wait_and_are_served() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_MAX_CONNECTIONS", "2")]);
    let mut first = enforcer.connect();
    let mut second = enforcer.connect();
    assert_eq!(first.decide("a", br#"{"input":{}}"#).status, 200);
    assert_eq!(second.decide("a", br#"{"input":{}}"#).status, 200);
    let mut third = enforcer.connect();
    third.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // It waits until one of them has been idle for long enough to make room.
    let response = third.response().unwrap();
    let metric = r#"enforcer_host_limit_reached_total{limit="connections"} "#;
    let line = response.text.lines().find_map(|line| line.strip_prefix(metric));
    assert!(line.unwrap().parse::<u32>().unwrap() >= 1, "{response:?}");
}

#[test]
fn a_head_over_its_limit_is_refused() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    let head =
        format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    // The server may answer before the whole request is sent.
    let _ = connection.send(head.as_bytes());
    if let Ok(response) = connection.response() {
        assert_eq!(response.status, 431);
    }
    let mut connection = enforcer.connect();
    let head =
        format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(1000));
    connection.send(head.as_bytes()).unwrap();
    assert_eq!(connection.response().unwrap().status, 431);
    assert_serves(&enforcer, "a");
}

#[test]
fn what_a_policy_prints_is_logged_escaped_and_rationed() {
    let policy = "package tenants[TENANT]
allow if print(input.text)";
    let enforcer = Bundles::new().tenant("prints", policy).start();
    let response = enforcer.decide("prints", r#"{"input":{"text":"\u001b[2Jhello\u202e"}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    let line = enforcer.wait_for_log("what was printed", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("hello"))
    });
    assert_eq!(line["message"], r"worker says: policy.rego:2: \u{1b}[2Jhello\u{202e}");
    assert_eq!(line["tenant_id"], "prints");

    let mut connection = enforcer.connect();
    let said = "worker says: the policy prints more than is shown";
    wait_for("lines over the ration", || {
        let response = connection.decide("prints", br#"{"input":{"text":"again"}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        enforcer.log().iter().any(|line| line["message"] == said).then_some(())
    });
}

#[test]
fn a_loop_within_a_function_is_stopped_at_its_deadline_too() {
    let policy = "package tenants[TENANT]
slow(go) := [z | go; some x in numbers.range(1, 10000); some y in numbers.range(1, 10000); z := x + y; z < 0]
allow if count(slow(input.loop)) == 0
allow if input.allow";
    let enforcer = Bundles::new().tenant("loops", policy).start_with(&[DEADLINE]);
    enforcer.wait_for_state("loops", "ready");
    let response = enforcer.decide("loops", r#"{"input":{"loop":true}}"#);
    response.assert_error(504, "evaluation_timeout");
    assert_serves(&enforcer, "loops");
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    connection.give_up_sending_after(Duration::from_millis(100));
    let requests = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    // It sends until the server accepts no more, and keeps trying.
    wait_for("the connection to be ended", || {
        let error = connection.send(requests.as_bytes()).err()?;
        let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        (!waits).then_some(())
    });
    assert_serves(&enforcer, "a");
}

#[test]
fn a_body_that_does_not_come_is_waited_for_ten_seconds() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    connection
        .send(
            b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        )
        .unwrap();
    connection.response().unwrap().assert_error(408, "request_timeout");
    assert_serves(&enforcer, "a");
}
