//! The supervisor ends well: requests in flight are answered, and nothing is left behind.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::enforcer::{
    Bundles, ECHO, Enforcer, binary, cpu_millis, is_running, send_signal_to_group, wait_for,
};
use crate::http_client::Connection;

/// Evaluates for about as long as the input says, and then allows.
const WORK: &str = "package tenants[TENANT]
allow if {
	sums := [1 | some x in numbers.range(1, input.thousands); some y in numbers.range(1, 1000); x + y < 0]
	count(sums) == 0
}";

/// Sends a request that has reached the worker when this returns.
fn begin_work(enforcer: &Enforcer, thousands: u32) -> Connection {
    let pid = enforcer.workers()["works"];
    let before = cpu_millis(pid);
    let mut connection = enforcer.connect();
    connection.begin_to_decide("works", &format!("{{\"input\":{{\"thousands\":{thousands}}}}}"));
    wait_for("the worker to work", || (cpu_millis(pid) > before + 30).then_some(()));
    connection
}

#[test]
fn requests_in_flight_are_answered_and_workers_end() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let bundles = Bundles::new().tenant("works", WORK).tenant("idle", ECHO);
        let mut enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "60000")]);
        enforcer.wait_for_state("works", "ready");
        enforcer.wait_for_state("idle", "ready");
        let workers = enforcer.workers();
        let mut idle = enforcer.connect();
        assert_eq!(idle.decide("idle", br#"{"input":{}}"#).status, 200);

        let mut working = begin_work(&enforcer, 1000);
        enforcer.signal(signal);
        enforcer.wait_for_log("the shutdown", |line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("no longer accepting"))
        });
        // Idle connections are closed, new ones are refused, waiting requests are answered.
        assert!(idle.is_closed_by_server());
        assert!(std::net::TcpStream::connect(enforcer.address).is_err());
        let response = working.response().unwrap();
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");

        assert_eq!(enforcer.wait().code(), Some(0));
        enforcer.wait_for_log("the end", |line| line["message"] == "stopped");
        for (tenant_id, pid) in workers {
            assert!(!is_running(pid), "{tenant_id}'s worker is left");
        }
    }
}

#[test]
fn a_body_that_is_still_being_sent_is_waited_for() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let mut enforcer = bundles.start();
    let mut connection = enforcer.connect();
    let body = br#"{"input":{"allow":true}}"#;
    let head = "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue";
    connection
        .send(format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
        .unwrap();
    // Its body was asked for, so it is in flight.
    assert_eq!(connection.response().unwrap().status, 100);
    enforcer.signal(Signal::SIGTERM);
    enforcer.wait_for_log("the shutdown", |line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("no longer accepting"))
    });
    // Longer than connections without a request are left open, and within what a body may take.
    let (first, rest) = body.split_at(5);
    connection.send(first).unwrap();
    assert!(connection.is_left_in_peace_for(Duration::from_secs(3)));
    connection.send(rest).unwrap();
    let response = connection.response().unwrap();
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    assert_eq!(enforcer.wait().code(), Some(0));
}

#[test]
fn half_a_request_s_head_does_not_hold_the_shutdown() {
    // Minutes, too long for a test to wait, and less than such connections may stay open.
    for shutdown_timeout in ["600000", "100"] {
        let bundles = Bundles::new().tenant("a", ECHO);
        let mut enforcer =
            bundles.start_with(&[("ENFORCER_SHUTDOWN_TIMEOUT_MS", shutdown_timeout)]);
        let mut half = enforcer.connect();
        let head = b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: loc";
        half.send(head).unwrap();
        let mut second = enforcer.connect();
        // Answered on a connection that came later, so the first has been accepted.
        assert_eq!(second.decide("a", br#"{"input":{}}"#).status, 200);
        second.send(head).unwrap();
        assert_eq!(enforcer.decide("a", r#"{"input":{}}"#).status, 200);

        enforcer.signal(Signal::SIGTERM);
        assert_eq!(enforcer.wait().code(), Some(0));
        assert!(half.is_closed_by_server() && second.is_closed_by_server());
        enforcer.wait_for_log("the end", |line| line["message"] == "stopped");
        let untrue = |line: &Value| line.to_string().contains("still in flight");
        assert!(!enforcer.log().iter().any(untrue), "{:?}", enforcer.log());
    }
}

#[test]
fn a_terminal_s_ctrl_c_which_workers_get_too_loses_no_request() {
    let bundles = Bundles::new().tenant("works", WORK);
    let mut command = binary();
    // Its own process group, so that the signal reaches no other process.
    command.process_group(0);
    let variables = [("ENFORCER_EVAL_TIMEOUT_MS", "60000")];
    let mut enforcer = Enforcer::start_as(&mut command, bundles.path(), &variables);
    enforcer.wait_for_state("works", "ready");
    let mut working = begin_work(&enforcer, 1000);
    send_signal_to_group(enforcer.pid(), Signal::SIGINT);
    let response = working.response().unwrap();
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    assert_eq!(enforcer.wait().code(), Some(0));
}

#[test]
fn a_request_that_takes_too_long_does_not_hold_the_shutdown() {
    let bundles = Bundles::new().tenant("works", WORK);
    let mut enforcer = bundles.start_with(&[
        ("ENFORCER_EVAL_TIMEOUT_MS", "60000"),
        ("ENFORCER_SHUTDOWN_TIMEOUT_MS", "100"),
    ]);
    enforcer.wait_for_state("works", "ready");
    let worker = enforcer.workers()["works"];
    let _working = begin_work(&enforcer, 1_000_000);
    let start = Instant::now();
    enforcer.signal(Signal::SIGTERM);
    enforcer.wait_for_log("giving up", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("still in flight"))
    });
    assert_eq!(enforcer.wait().code(), Some(0));
    // Far below the minute that the evaluation may take, and far above the time that this needs.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    wait_for("the worker to end", || (!is_running(worker)).then_some(()));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bundles = Bundles::new().tenant("works", WORK);
    let mut enforcer = bundles.start_with(&[
        ("ENFORCER_EVAL_TIMEOUT_MS", "60000"),
        ("ENFORCER_SHUTDOWN_TIMEOUT_MS", "600000"),
    ]);
    enforcer.wait_for_state("works", "ready");
    let worker = enforcer.workers()["works"];
    let _working = begin_work(&enforcer, 1_000_000);
    enforcer.signal(Signal::SIGINT);
    enforcer.wait_for_log("the shutdown", |line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("no longer accepting"))
    });
    enforcer.signal(Signal::SIGINT);
    assert_eq!(enforcer.wait().code(), Some(0));
    wait_for("the worker to end", || (!is_running(worker)).then_some(()));
}
