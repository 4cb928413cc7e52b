//! A consumer gets every decision with its tenant, and learns of missed ones; a slow or broken
//! consumer does not affect others.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::enforcer::{Bundles, ECHO, send_signal, wait_for};
use crate::http_client::Connection;
use crate::stream_client::{Consumer, EventSource, PATH};

/// A WebSocket's handshake after the request line.
const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
];

/// Asks for a decision whose reason is `id`, and returns the decision's id.
fn decide(connection: &mut Connection, tenant_id: &str, id: &str) -> String {
    let body = json!({"input": {"allow": true, "id": id}}).to_string();
    let response = connection.decide(tenant_id, body.as_bytes());
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["decision_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_consumer_is_told_of_a_decision_to_the_letter() {
    let policy = format!("{ECHO}\nredact := {{\"b.c\", \"a\"}}\n");
    let enforcer = Bundles::new().tenant("tenant_a", &policy).start();
    let mut consumer = Consumer::open(&enforcer, "");
    let body = "{ \"input\" : {\"allow\": true,\r\n \"id\":\"it's \\u00e9\", \"n\": 1.50} }";
    let answer = enforcer.decide("tenant_a", body).json();
    let revision = enforcer.tenant("tenant_a")["revision"].clone();

    let text = consumer.text();
    let message: Value = serde_json::from_str(&text).unwrap();
    let data = &message["data"];
    assert_eq!(
        message,
        json!({
            "type": "decision",
            "data": {
                "event_id": answer["decision_id"],
                "tenant_id": "tenant_a",
                "timestamp": data["timestamp"],
                "decision": answer["result"],
                "input": {"allow": true, "id": "it's é", "n": 1.5},
                "metrics": {"eval_duration_micros": answer["metrics"]["eval_duration_micros"]},
                "revision": revision,
                "sequence": 1,
            }
        })
    );
    assert_eq!(data["decision"]["redact"], json!(["a", "b.c"]));
    let timestamp = data["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    // With the digits that the client wrote, and in the contract's order.
    assert!(text.contains("\"n\": 1.50}"), "{text}");
    let order = ["event_id", "tenant_id", "timestamp", "decision", "input", "metrics", "sequence"];
    let places = order.map(|key| text.find(&format!("\"{key}\":")).unwrap());
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_deny_is_told_and_an_error_is_no_decision() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut consumer = Consumer::open(&enforcer, "");
    enforcer.decide("a", "{}").assert_error(400, "invalid_parameter");
    assert_eq!(enforcer.decide("a", r#"{"input":{"id":"no"}}"#).status, 200);
    let data = consumer.decision();
    assert_eq!(data["decision"], json!({"allow": false, "redact": [], "reason": "no"}));
    assert_eq!(data["sequence"], 1);
}

#[test]
fn a_filter_gives_one_tenant_s_decisions_and_no_other_s() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    let mut only =
        [Consumer::open(&enforcer, "?tenant_id=a"), Consumer::open(&enforcer, "?tenant_id=%62")];
    let mut all = Consumer::open(&enforcer, "?other=1");
    let mut connection = enforcer.connect();
    for number in 0..50 {
        for tenant_id in ["a", "b"] {
            decide(&mut connection, tenant_id, &format!("{tenant_id}{number}"));
        }
    }
    for (consumer, tenant_id) in only.iter_mut().zip(["a", "b"]) {
        for number in 0..50 {
            let data = consumer.decision();
            assert_eq!(data["tenant_id"], tenant_id);
            assert_eq!(data["decision"]["reason"], format!("{tenant_id}{number}"));
            assert_eq!(data["sequence"], number + 1);
        }
    }
    let reasons: BTreeSet<String> = (0..100)
        .map(|_| all.decision()["decision"]["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons.len(), 100);
}

#[test]
fn nothing_is_built_while_nobody_listens_and_sequences_go_on() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    enforcer.wait_for_state("a", "ready");
    enforcer.wait_for_state("b", "ready");
    let mut connection = enforcer.connect();
    for number in 0..10 {
        decide(&mut connection, "a", &number.to_string());
    }
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 0.0);
    let mut consumer = Consumer::open(&enforcer, "?tenant_id=a");
    decide(&mut connection, "a", "heard");
    // A consumer of one tenant causes no work for another tenant's events.
    decide(&mut connection, "b", "unheard");
    assert_eq!(consumer.decision()["sequence"], 11);
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 1.0);
    assert_eq!(enforcer.metric("enforcer_stream_consumers"), 1.0);
    consumer.leave();
    wait_for("the consumer to be gone", || {
        (enforcer.metric("enforcer_stream_consumers") == 0.0).then_some(())
    });
    decide(&mut connection, "a", "unheard");
    let mut consumer = Consumer::open(&enforcer, "");
    decide(&mut connection, "a", "heard");
    assert_eq!(consumer.decision()["sequence"], 13);
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 2.0);
}

#[test]
fn what_is_no_stream_s_request_is_refused_before_the_upgrade() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    // All on one connection: each refusal is an ordinary answer.
    let mut connection = enforcer.connect();
    let with = |changed: (&'static str, &'static str)| {
        HANDSHAKE.map(|(name, value)| if name == changed.0 { changed } else { (name, value) })
    };
    for (query, status, code) in [
        ("?tenant_id=..", 400, "invalid_parameter"),
        ("?tenant_id=", 400, "invalid_parameter"),
        ("?tenant_id", 400, "invalid_parameter"),
        ("?tenant_id=%ff", 400, "invalid_parameter"),
        ("?tenant_id=a&tenant_id=b", 400, "invalid_parameter"),
        ("?events=everything", 400, "invalid_parameter"),
        ("?tenant_id=nobody", 404, "resource_not_found"),
        ("/", 404, "resource_not_found"),
    ] {
        let target = format!("{PATH}{query}");
        connection.get_with(&target, &HANDSHAKE).assert_error(status, code);
        let events = [("Accept", "text/event-stream")];
        connection.get_with(&target, &events).assert_error(status, code);
    }
    for changed in [("Sec-WebSocket-Key", "short"), ("Sec-WebSocket-Key", ""), ("Connection", "x")]
    {
        connection.get_with(PATH, &with(changed)).assert_error(400, "invalid_parameter");
    }
    for changed in [("Upgrade", "h2c"), ("Sec-WebSocket-Version", "8")] {
        let response = connection.get_with(PATH, &with(changed));
        response.assert_error(426, "upgrade_required");
        assert_eq!(response.header("upgrade"), Some("websocket"));
        assert_eq!(response.header("sec-websocket-version"), Some("13"));
    }
    connection.get_with(PATH, &[]).assert_error(426, "upgrade_required");
    connection.request("POST", PATH, b"{}").assert_error(405, "invalid_operation");
    assert_eq!(connection.decide("a", br#"{"input":{}}"#).status, 200);
    assert_eq!(enforcer.metric("enforcer_stream_consumers"), 0.0);
}

#[test]
fn no_page_but_ours_and_those_that_are_named_opens_the_stream() {
    let variables = [("ENFORCER_STREAM_ORIGINS", "https://ops.example.com, app://x:1")];
    let enforcer = Bundles::new().tenant("a", ECHO).start_with(&variables);
    let own = format!("http://{}", enforcer.address);
    let connect =
        |origin: &str| Consumer::connect(enforcer.address, "", &[("Origin", origin)]).map(drop);
    for origin in [
        own.as_str(),
        "tauri://localhost",
        "http://tauri.localhost",
        "https://tauri.localhost",
        "https://ops.example.com",
        "app://x:1",
    ] {
        assert_eq!(connect(origin), Ok(()), "{origin}");
    }
    for origin in ["http://evil.example", "null", "", "http://127.0.0.1", "http://ops.example.com"]
    {
        assert_eq!(connect(origin), Err(403), "{origin}");
    }
    // Such a page must not learn whether a tenant exists.
    let mut connection = enforcer.connect();
    for query in ["", "?tenant_id=a", "?tenant_id=nobody", "?tenant_id=.."] {
        for face in [&HANDSHAKE[..], &[("Accept", "text/event-stream")]] {
            let headers = [face, &[("Origin", "http://evil.example")]].concat();
            let response = connection.get_with(&format!("{PATH}{query}"), &headers);
            response.assert_error(403, "forbidden");
            assert_eq!(response.header("access-control-allow-origin"), None);
        }
    }
    // A page of an allowed origin needs a header that says so, or its browser blocks the response.
    let origin = ("Origin", "https://ops.example.com");
    let source = EventSource::connect(enforcer.address, "", &[origin]);
    assert_eq!(source.head.header("access-control-allow-origin"), Some(origin.1));
    assert_eq!(source.head.header("content-type"), Some("text/event-stream"));
}

#[test]
fn a_consumer_that_stopped_reading_is_told_what_it_missed() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    let mut slow = Consumer::open(&enforcer, "?tenant_id=a");
    let mut quick = Consumer::open(&enforcer, "?tenant_id=a");
    let mut other = Consumer::open(&enforcer, "?tenant_id=b");
    let mut connection = enforcer.connect();
    // More than the channel and the sockets hold, at any socket size that the kernel allows.
    let padding = "x".repeat(15 * 1024);
    let decisions = 1800;
    let body = json!({"input": {"padding": padding}}).to_string();
    for batch in 0..decisions / 100 {
        for _ in 0..100 {
            assert_eq!(connection.decide("a", body.as_bytes()).status, 200);
        }
        for sequence in 1..=100 {
            let expected = batch * 100 + sequence;
            assert_eq!(quick.decision()["sequence"], expected, "a slow consumer cost another");
        }
    }
    decide(&mut connection, "b", "not pushed out");
    assert_eq!(other.decision()["sequence"], 1);

    let (mut expected, mut missed) = (1, 0);
    while expected <= decisions {
        let message = slow.next();
        match message["type"].as_str().unwrap() {
            "lagged" => {
                let number = message["missed"].as_i64().unwrap();
                missed += number;
                expected += number;
            }
            "decision" => {
                assert_eq!(message["data"]["sequence"], expected);
                expected += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(missed > 0);
    assert_eq!(enforcer.metric("enforcer_stream_missed_total"), missed as f64);
    // From now on it works like any other.
    decide(&mut connection, "a", "heard");
    assert_eq!(slow.decision()["sequence"], decisions + 1);
}

#[test]
fn large_inputs_come_whole_and_no_longer_where_nobody_takes_them() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut consumer = Consumer::open(&enforcer, "");
    let mut connection = enforcer.connect();
    // Longer than a frame, with characters of four bytes across frame boundaries.
    let text = "🜁".repeat(260_000);
    let body = json!({"input": {"text": text}}).to_string();
    assert_eq!(connection.decide("a", body.as_bytes()).status, 200);
    assert_eq!(consumer.decision()["input"]["text"], text);

    let mut source = EventSource::open(&enforcer, "", None);
    assert_eq!(connection.decide("a", body.as_bytes()).status, 200);
    assert_eq!(source.decision()["input"]["text"], text);
    assert_eq!(consumer.decision()["sequence"], 2);

    // A consumer that does not read makes the channel keep events, up to a bound.
    let _never = Consumer::open(&enforcer, "?tenant_id=a");
    let mut omitted = 0;
    for sequence in 3..43 {
        assert_eq!(connection.decide("a", body.as_bytes()).status, 200);
        let data = consumer.decision();
        assert_eq!(data["sequence"], sequence);
        if data["input"].is_null() {
            assert_eq!(data["input_omitted"], "too_large");
            omitted += 1;
        } else {
            assert_eq!(data.get("input_omitted"), None);
        }
    }
    assert!((5..25).contains(&omitted), "{omitted}");
    assert_eq!(enforcer.metric("enforcer_stream_inputs_omitted_total"), f64::from(omitted));
}

#[test]
fn what_a_client_says_is_ignored_up_to_a_bound() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut consumer = Consumer::open(&enforcer, "");
    for text in ["subscribe", "", "{}"] {
        consumer.socket.send(text.into()).unwrap();
    }
    consumer.socket.send(tungstenite::Message::Ping("hello".into())).unwrap();
    assert_eq!(consumer.socket.read().unwrap(), tungstenite::Message::Pong("hello".into()));
    decide(&mut enforcer.connect(), "a", "heard");
    assert_eq!(consumer.decision()["sequence"], 1);

    consumer.socket.send("x".repeat(1025).into()).unwrap();
    assert_eq!(consumer.close(), (1009, "the stream takes no such messages".to_owned()));

    // Fragments of an endless message count like any other bytes.
    let (first, next) = ([0x01, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]);
    for (name, bytes) in [
        ("pings", [0x89, 0x80, 0, 0, 0, 0].repeat(2000)),
        ("texts", [0x81, 0x81, 0, 0, 0, 0, b'x'].repeat(2000)),
        ("parts", [first.to_vec(), next.repeat(2000)].concat()),
    ] {
        let mut consumer = Consumer::open(&enforcer, "");
        consumer.send_raw(&bytes);
        let expected = (1008, "the stream does not listen to so much".to_owned());
        assert_eq!(consumer.close(), expected, "{name}");
    }
    assert_eq!(
        enforcer.metric(r#"enforcer_host_limit_reached_total{limit="stream_client_bytes"}"#),
        3.0
    );

    for (name, code, bytes) in [
        ("an unmasked frame", 1002, vec![0x81, 0x01, b'x']),
        ("a reserved bit", 1002, vec![0xc1, 0x80, 0, 0, 0, 0]),
        ("an unknown opcode", 1002, vec![0x83, 0x80, 0, 0, 0, 0]),
        ("a long ping", 1002, [vec![0x89, 0xfe, 0, 126, 0, 0, 0, 0], vec![0; 126]].concat()),
        ("a length of 2^63", 1009, [vec![0x82, 0xff, 0x7f], vec![255; 7], vec![0; 4]].concat()),
        ("no UTF-8", 1007, vec![0x81, 0x81, 0, 0, 0, 0, 0xff]),
    ] {
        let mut consumer = Consumer::open(&enforcer, "");
        consumer.send_raw(&bytes);
        assert_eq!(consumer.close().0, code, "{name}");
    }
    wait_for("all of them to be gone", || {
        (enforcer.metric("enforcer_stream_consumers") == 0.0).then_some(())
    });
}

#[test]
fn there_are_no_more_consumers_than_there_may_be() {
    let variables = [("ENFORCER_MAX_STREAM_CONSUMERS", "2")];
    let enforcer = Bundles::new().tenant("a", ECHO).start_with(&variables);
    let first = Consumer::open(&enforcer, "");
    let _second = EventSource::open(&enforcer, "", None);
    let mut connection = enforcer.connect();
    for face in [&HANDSHAKE[..], &[("Accept", "text/event-stream")]] {
        let response = connection.get_with(PATH, face);
        response.assert_error(503, "overloaded");
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    let limit = r#"enforcer_host_limit_reached_total{limit="stream_consumers"}"#;
    assert_eq!(enforcer.metric(limit), 2.0);
    assert_eq!(connection.decide("a", br#"{"input":{}}"#).status, 200);
    first.leave();
    wait_for("a place", || Consumer::connect(enforcer.address, "", &[]).ok());
}

#[test]
fn nothing_is_built_for_who_was_turned_away() {
    let variables = [("ENFORCER_MAX_STREAM_CONSUMERS", "0")];
    let enforcer = Bundles::new().tenant("a", ECHO).start_with(&variables);
    let mut connection = enforcer.connect();
    for query in ["", "?tenant_id=a"] {
        let target = format!("{PATH}{query}");
        let response = connection.get_with(&target, &[("Accept", "text/event-stream")]);
        response.assert_error(503, "overloaded");
    }
    // Building one event takes milliseconds; these take longer.
    for _ in 0..50 {
        decide(&mut connection, "a", "unheard");
    }
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 0.0);
}

#[test]
fn who_asks_for_a_head_alone_has_nothing_built() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    let head =
        format!("HEAD {PATH} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    let mut asking = enforcer.connect();
    asking.send(head.as_bytes()).unwrap();
    assert!(asking.bytes_until(b"\r\n\r\n").starts_with(b"HTTP/1.1 405 "));
    for _ in 0..50 {
        decide(&mut connection, "a", "unheard");
    }
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 0.0);
}

#[test]
fn no_body_of_a_request_is_taken_for_frames() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    for body in [("Content-Length", "20"), ("Transfer-Encoding", "chunked")] {
        let headers: Vec<_> = HANDSHAKE.into_iter().chain([body]).collect();
        enforcer.connect().get_with(PATH, &headers).assert_error(400, "invalid_parameter");
    }
}

#[test]
fn a_consumer_is_a_client_connection_for_as_long_as_it_stays() {
    let variables = [("ENFORCER_MAX_CONNECTIONS", "3")];
    let enforcer = Bundles::new().tenant("a", ECHO).start_with(&variables);
    let mut consumers = [Consumer::open(&enforcer, ""), Consumer::open(&enforcer, "")];
    let mut connection = enforcer.connect();
    decide(&mut connection, "a", "heard");
    for consumer in &mut consumers {
        assert_eq!(consumer.decision()["sequence"], 1);
    }
    let text = connection.request("GET", "/metrics", b"").text;
    assert!(text.contains("\nenforcer_connections 3\n"), "{text}");
    // A fourth waits until one of the consumers goes.
    let mut fourth = enforcer.connect();
    fourth.begin_to_decide("a", r#"{"input":{}}"#);
    assert!(fourth.is_left_in_peace_for(Duration::from_millis(300)));
    let [first, _second] = consumers;
    first.leave();
    assert_eq!(fourth.response().unwrap().status, 200);
}

#[test]
fn a_shutdown_closes_streams_and_waits_for_none_that_does_not_listen() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut enforcer = Bundles::new().tenant("a", ECHO).start();
        let mut idle = Consumer::open(&enforcer, "");
        let mut source = EventSource::open(&enforcer, "?tenant_id=a", None);
        // A consumer that does not read and does not disconnect.
        let _stuck = Consumer::open(&enforcer, "?tenant_id=a");
        let body = json!({"input": {"padding": "x".repeat(16 * 1024)}}).to_string();
        let mut connection = enforcer.connect();
        for _ in 0..500 {
            assert_eq!(connection.decide("a", body.as_bytes()).status, 200);
        }
        for _ in 0..500 {
            source.decision();
        }
        let began = Instant::now();
        enforcer.signal(signal);
        assert_eq!(idle.close(), (1001, "the server is shutting down".to_owned()));
        assert_eq!(source.next_if_any(), None);
        assert_eq!(enforcer.wait().code(), Some(0));
        // Far below the ten seconds that a consumer that does not read usually gets.
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        enforcer.wait_for_log("the end", |line| line["message"] == "stopped");
    }
}

#[test]
fn what_happens_to_a_tenant_is_told_on_request() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start();
    let first = enforcer.wait_for_state("a", "ready");
    let mut decisions = Consumer::open(&enforcer, "");
    let mut changes = Consumer::open(&enforcer, "?events=tenant,quota");
    let mut both = EventSource::open(&enforcer, "?tenant_id=a&events=decision,tenant", None);

    bundles.write("a", "policy.rego", &format!("{ECHO}\n# another revision\n"));
    let reloaded = changes.change("reloaded");
    assert_eq!(reloaded["tenant_id"], "a");
    assert_eq!(reloaded["state"], "ready");
    assert_ne!(reloaded["revision"], first["revision"]);
    assert!(reloaded["event_id"].as_str().unwrap().parse::<Uuid>().is_ok());
    assert_eq!(both.next()["data"], reloaded);

    bundles.write("a", "policy.rego", "package tenants.a\nallow if {\n");
    let rejected = changes.change("rejected");
    assert_eq!(rejected["revision"], reloaded["revision"], "what serves has not changed");
    assert_eq!(rejected["errors"][0]["location"]["file"], "policy.rego");
    assert_eq!(rejected["errors"][0]["code"], "rego_parse_error");
    assert_eq!(both.next()["data"], rejected);

    let worker = enforcer.workers()["a"];
    send_signal(worker, Signal::SIGKILL);
    let crashed = changes.change("crashed");
    assert!(crashed["message"].as_str().unwrap().contains("SIGKILL"), "{crashed}");
    assert_eq!(changes.change("ready")["state"], "ready");

    bundles.write("b", "policy.rego", ECHO);
    assert_eq!(changes.change("added")["tenant_id"], "b");
    assert_eq!(changes.change("ready")["tenant_id"], "b");

    // A consumer that did not ask for it gets only decisions.
    decide(&mut enforcer.connect(), "a", "heard");
    assert_eq!(decisions.decision()["tenant_id"], "a");
    loop {
        let message = both.next();
        if message["type"] == "decision" {
            break;
        }
        assert_eq!(message["data"]["tenant_id"], "a");
    }
}

#[test]
fn a_tenant_in_quarantine_and_one_that_falls_asleep_are_told_of() {
    let bundles = Bundles::new().tenant("a", ECHO).file("lazy", "policy.rego", ECHO);
    let config = bundles.path().join(".enforcer.toml");
    // A worker is checked for idleness after the last request's deadline.
    let limits = "activation = \"lazy\"\nidle_timeout = \"100ms\"\neval_timeout_ms = 1000\n";
    fs::write(&config, format!("[tenants.lazy]\n{limits}")).unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", config.to_str().unwrap())]);
    let mut changes = Consumer::open(&enforcer, "?events=tenant");
    decide(&mut enforcer.connect(), "lazy", "wakes it");
    assert_eq!(changes.change("asleep")["tenant_id"], "lazy");
    for _ in 0..5 {
        let worker = wait_for("a worker", || enforcer.workers().get("a").copied());
        send_signal(worker, Signal::SIGKILL);
        assert_eq!(changes.change("crashed")["tenant_id"], "a");
        wait_for("what comes of it", || {
            let state = enforcer.tenant("a")["state"].clone();
            (state == "ready" || state == "quarantined").then_some(())
        });
    }
    let quarantined = changes.change("quarantined");
    assert_eq!(quarantined["state"], "quarantined");
}

#[test]
fn a_removed_tenant_s_stream_ends_and_its_sequence_does_not() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start();
    enforcer.wait_for_state("a", "ready");
    let mut consumer = Consumer::open(&enforcer, "?tenant_id=a&events=decision,tenant");
    let mut source = EventSource::open(&enforcer, "?tenant_id=a", None);
    let mut all = Consumer::open(&enforcer, "");
    let mut connection = enforcer.connect();
    decide(&mut connection, "a", "1");
    assert_eq!(consumer.decision()["sequence"], 1);
    fs::remove_dir_all(bundles.path().join("a")).unwrap();
    assert_eq!(consumer.change("removed")["tenant_id"], "a");
    assert_eq!(consumer.close(), (1001, "the tenant was removed".to_owned()));
    assert_eq!(source.decision()["sequence"], 1);
    assert_eq!(source.next_if_any(), None);
    assert_eq!(Consumer::connect(enforcer.address, "?tenant_id=a", &[]).err(), Some(404));

    bundles.write("a", "policy.rego", ECHO);
    wait_for("the tenant to be back", || {
        (enforcer.decide("a", r#"{"input":{}}"#).status == 200).then_some(())
    });
    decide(&mut connection, "a", "last");
    // No sequence is given twice in a run of the supervisor.
    let mut last = 0;
    loop {
        let data = all.decision();
        assert_eq!(data["sequence"], last + 1);
        last += 1;
        if data["decision"]["reason"] == "last" {
            break;
        }
    }
    assert!(last > 2);
}

#[test]
fn server_sent_events_go_on_where_they_were() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    let mut connection = enforcer.connect();
    for query in ["?tenant_id=a", ""] {
        let mut source = EventSource::open(&enforcer, query, None);
        let known = decide(&mut connection, "a", "heard");
        assert_eq!(source.decision()["event_id"], known);
        let place = source.last_id.clone().unwrap();
        drop(source);
        let missed: Vec<String> =
            (0..20).map(|number| decide(&mut connection, "a", &number.to_string())).collect();
        decide(&mut connection, "b", "another's");

        // By the position that the stream gave it, and by the decision that it knows.
        for place in [place.as_str(), known.as_str()] {
            let mut source = EventSource::open(&enforcer, query, Some(place));
            let now = decide(&mut connection, "a", "now");
            let mut got = Vec::new();
            loop {
                let data = source.decision();
                if data["event_id"] == now {
                    break;
                }
                // Only the events of one tenant are ordered.
                if data["tenant_id"] == "a" && data["decision"]["reason"] != "now" {
                    got.push(data["event_id"].as_str().unwrap().to_owned());
                }
            }
            assert_eq!(got, missed, "{query} {place}");
        }
        // From a position that is no longer valid: all kept events, with a notice that some may be
        // missing.
        for place in ["00000000.1", "nonsense", &Uuid::nil().to_string(), &"x".repeat(5000)] {
            let mut source = EventSource::open(&enforcer, query, Some(place));
            assert_eq!(source.next(), json!({"type": "lagged", "missed": null}), "{place}");
            assert_eq!(source.next()["type"], "decision", "{place}");
        }
    }
}

#[test]
fn more_than_is_kept_is_told_of_when_server_sent_events_go_on() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    let mut source = EventSource::open(&enforcer, "?tenant_id=a", None);
    decide(&mut connection, "a", "heard");
    assert_eq!(source.decision()["sequence"], 1);
    let place = source.last_id.clone().unwrap();
    drop(source);
    for number in 0..1500 {
        decide(&mut connection, "a", &number.to_string());
    }
    // Events are made by threads that give way to those that decide: until all are there, fewer than
    // are kept may have been missed.
    wait_for("all events to be made", || {
        (enforcer.metric("enforcer_stream_events_total") >= 1501.0).then_some(())
    });
    let mut source = EventSource::open(&enforcer, "?tenant_id=a", Some(&place));
    let first = source.next();
    assert_eq!(first["type"], "lagged", "{first}");
    let missed = first["missed"].as_i64().unwrap();
    // The last ones may be on their way still.
    assert!((1..=1500 - 1024).contains(&missed), "{missed}");
    for sequence in (missed + 2)..=1501 {
        assert_eq!(source.decision()["sequence"], sequence);
    }
}

#[test]
fn a_client_that_speaks_before_it_is_answered_is_heard() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    let mut request = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in HANDSHAKE {
        request += &format!("{name}: {value}\r\n");
    }
    let mut bytes = format!("{request}\r\n").into_bytes();
    // A ping in the same packet, which the HTTP server reads before the upgrade.
    bytes.extend_from_slice(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i']);
    connection.send(&bytes).unwrap();
    assert_eq!(connection.response().unwrap().status, 101);
    let received = connection.bytes_until(b"hi");
    let pong = [0x8a, 0x02, b'h', b'i'];
    assert!(received.windows(4).any(|window| window == pong), "{received:?}");
}

#[test]
fn every_consumer_gets_the_same_event() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    enforcer.wait_for_state("a", "ready");
    let mut consumers: Vec<Consumer> = (0..20)
        .map(|number| Consumer::open(&enforcer, if number % 2 == 0 { "" } else { "?tenant_id=a" }))
        .collect();
    decide(&mut enforcer.connect(), "a", "heard");
    let texts: BTreeSet<String> = consumers.iter_mut().map(Consumer::text).collect();
    assert_eq!(texts.len(), 1);
    assert_eq!(enforcer.metric("enforcer_stream_events_total"), 1.0);
}
