//! HTTP/2, with and without TLS, and what bounds a client that abuses it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::enforcer::{Bundles, DEADLINE, ECHO, Enforcer, wait_for};
use crate::http2_client::{
    CONTINUATION, GOAWAY, HEADERS, Http2, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use crate::tls::Secured;

const GET: u8 = 2;
const POST: u8 = 3;
const DECISION: &str = "/v1/data/tenants/a/allow";
const WINDOW: u32 = 1024 * 1024;

fn start() -> Enforcer {
    let enforcer =
        Bundles::new().tenant("a", ECHO).start_with(&[("ENFORCER_HTTP2_PLAINTEXT", "true")]);
    enforcer.wait_for_state("a", "ready");
    enforcer
}

fn connect(enforcer: &Enforcer, window: u32) -> Http2<TcpStream> {
    let stream = TcpStream::connect(enforcer.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    Http2::begin(stream, window).unwrap()
}

fn limit(enforcer: &Enforcer, name: &str) -> f64 {
    enforcer.metric(&format!("enforcer_host_limit_reached_total{{limit=\"{name}\"}}"))
}

fn wait_for_limit(enforcer: &Enforcer, name: &str) {
    wait_for(name, || (limit(enforcer, name) >= 1.0).then_some(()));
}

/// Another client is answered as if nothing were.
fn others_are_answered(enforcer: &Enforcer) {
    let answer = enforcer.decide("a", r#"{"input":{"id":"other","allow":true}}"#);
    assert_eq!(answer.json()["result"]["reason"], "other");
}

#[test]
fn requests_of_one_connection_are_answered_side_by_side() {
    let secured = Secured::start("", "");
    let stream = secured.client().speaks(b"h2").connect(secured.address, "localhost").unwrap();
    let mut tls = Http2::begin(stream, WINDOW).unwrap();
    let enforcer = start();
    let mut plain = connect(&enforcer, WINDOW);
    let mut sent = Vec::new();
    for index in 0..90 {
        let body = format!(r#"{{"input":{{"allow":true,"id":"{index}"}}}}"#);
        sent.push((tls.request(POST, DECISION, &body).unwrap(), index));
        plain.request(POST, DECISION, &body).unwrap();
    }
    for answers in [tls.answers(90).unwrap(), plain.answers(90).unwrap()] {
        for (stream, index) in &sent {
            let (_, answer) = answers.iter().find(|(of, _)| of == stream).unwrap();
            assert!(answer.is_ok, "{answer:?}");
            assert!(answer.body.contains(&format!(r#""reason":"{index}""#)), "{answer:?}");
        }
    }
}

#[test]
fn http2_without_tls_is_spoken_where_it_is_allowed_beside_http1() {
    let enforcer = start();
    others_are_answered(&enforcer);
    let plain = Bundles::new().tenant("a", ECHO).start();
    let mut refused = TcpStream::connect(plain.address).unwrap();
    refused.set_read_timeout(Some(DEADLINE)).unwrap();
    refused.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // It may be reset behind the answer.
    let _ = refused.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
}

#[test]
fn the_stream_of_events_shares_a_connection_and_a_websocket_is_told_where_to_go() {
    let enforcer = start();
    let mut client = connect(&enforcer, WINDOW);
    let fields = [("accept", "text/event-stream")];
    let events = client.request_with(GET, "/v1/stream/decisions", &fields, "").unwrap();
    let first = client.next(0).unwrap();
    assert!(first.stream == events && first.payload.starts_with(b"data: {\"type\":\"connected\""));
    let asked =
        client.request(POST, DECISION, r#"{"input":{"allow":true,"id":"shared"}}"#).unwrap();
    let (mut has_event, mut has_answer) = (false, false);
    while !(has_event && has_answer) {
        let frame = client.next(0).unwrap();
        let text = String::from_utf8(frame.payload).unwrap();
        has_event |= frame.stream == events && text.contains("shared");
        has_answer |= frame.stream == asked && text.contains("shared");
    }
    let mut other = connect(&enforcer, WINDOW);
    other.request(GET, "/v1/stream/decisions", "").unwrap();
    let answers = other.answers(1).unwrap();
    assert!(answers[0].1.body.contains("over HTTP/1.1"), "{answers:?}");
}

#[test]
fn a_rapid_reset_ends_the_connection() {
    let enforcer = start();
    let mut client = connect(&enforcer, WINDOW);
    let sent = client.flood(|client| {
        let stream = client.request(POST, DECISION, r#"{"input":{}}"#)?;
        client.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    });
    assert!(sent < 100_000, "{sent}");
    wait_for("the attack to be counted", || {
        let counted = ["http2_resets", "http2_flood"].map(|name| limit(&enforcer, name));
        (counted.iter().sum::<f64>() >= 1.0).then_some(())
    });
    others_are_answered(&enforcer);
}

#[test]
fn requests_that_are_reset_after_they_were_taken_up_end_the_connection() {
    let enforcer = start();
    let mut client = connect(&enforcer, WINDOW);
    let rounds = client.flood(|client| {
        let begun: Vec<u32> =
            (0..50).map(|_| client.begin_request(POST, DECISION)).collect::<Result<_, _>>()?;
        // Once it answers pings, it has taken them up.
        for _ in 0..3 {
            client.send(PING, 0, 0, &[0; 8])?;
            client.next(PING)?;
        }
        for stream in begun {
            client.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes())?;
        }
        Ok(())
    });
    assert!((3..1_000).contains(&rounds), "{rounds}");
    wait_for_limit(&enforcer, "http2_resets");
    others_are_answered(&enforcer);
}

#[test]
fn floods_that_lead_to_nothing_end_the_connection() {
    let enforcer = start();
    let mut before = 0.0;
    for kind in [SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] {
        let mut client = connect(&enforcer, WINDOW);
        let mut has_begun = false;
        let sent = client.flood(|client| match kind {
            SETTINGS => client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 16, 0].repeat(100)),
            PING => client.send(PING, 0, 0, &[0; 8]),
            WINDOW_UPDATE => client.send(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
            _ if has_begun => client.send(CONTINUATION, 0, 1, &b"\0\x01a\x05aaaaa".repeat(500)),
            _ => {
                has_begun = true;
                client.send(HEADERS, 1, 1, &[0x82, 0x87, 0x84])
            }
        });
        assert!(sent < 500_000, "{kind}: {sent}");
        wait_for(&format!("{kind} to be counted"), || {
            let counted = limit(&enforcer, "http2_overhead") + limit(&enforcer, "http2_flood");
            (counted > before).then(|| before = counted)
        });
        others_are_answered(&enforcer);
    }
}

#[test]
fn answers_that_are_not_read_end_the_connection() {
    let enforcer = start();
    let mut client = connect(&enforcer, 0);
    let mut reader = connect(&enforcer, WINDOW);
    for _ in 0..20 {
        client.request(GET, "/v1/tenants", "").unwrap();
    }
    assert!(client.is_ended());
    wait_for_limit(&enforcer, "http2_unread_time");
    reader.request(GET, "/health", "").unwrap();
    assert!(reader.answers(1).unwrap()[0].1.is_ok, "a connection that reads goes on");
}

#[test]
fn a_connection_holds_so_many_bytes_that_are_not_read_and_no_more() {
    let data = format!(r#"{{"big":"{}"}}"#, "x".repeat(1_000_000));
    let enforcer = Bundles::new()
        .tenant("a", &format!("{ECHO}\nlarge := data.big\n"))
        .file("a", "data.json", &data)
        .start_with(&[("ENFORCER_HTTP2_PLAINTEXT", "true")]);
    enforcer.wait_for_state("a", "ready");
    let mut client = connect(&enforcer, 0);
    let mut statuses = Vec::new();
    for _ in 0..20 {
        client.request(GET, "/v1/data/tenants/a/large", "").unwrap();
        statuses.push(client.next(HEADERS).unwrap().payload[0] == 0x88);
    }
    assert_eq!(statuses.iter().filter(|is_ok| **is_ok).count(), 16, "{statuses:?}");
    assert_eq!(limit(&enforcer, "http2_unread_bytes"), 4.0);
}

#[test]
fn an_idle_connection_makes_room_for_another() {
    let enforcer = Bundles::new()
        .tenant("a", ECHO)
        .start_with(&[("ENFORCER_HTTP2_PLAINTEXT", "true"), ("ENFORCER_MAX_CONNECTIONS", "1")]);
    let mut idle = connect(&enforcer, WINDOW);
    idle.request(GET, "/health", "").unwrap();
    assert!(idle.answers(1).unwrap()[0].1.is_ok);
    assert_eq!(enforcer.get("/health").status, 200);
    assert!(idle.is_ended());
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let enforcer = start();
    let value = "x".repeat(10_000);
    let fields: Vec<(&str, &str)> = (0..8).map(|_| ("x-large", value.as_str())).collect();
    let mut client = connect(&enforcer, WINDOW);
    let refused = client
        .request_with(GET, "/health", &fields[..1], "")
        .and_then(|_| client.answers(1))
        .map(|answers| answers[0].1.is_ok);
    assert!(refused.unwrap());
    let many: Vec<(&str, &str)> = (0..65).map(|_| ("x-many", "x")).collect();
    client.request_with(GET, "/health", &many, "").unwrap();
    assert!(!client.answers(1).unwrap()[0].1.is_ok);
    // A frame has at most 16 KiB, so a larger head takes more of them.
    let block = [vec![0x82, 0x87, 0x84, 1, 9], b"localhost".to_vec()].concat();
    let mut client = connect(&enforcer, WINDOW);
    client.send(HEADERS, 1, 1, &block).unwrap();
    for index in 0..8 {
        let field = [&[0, 1, b'a', 127, 0x80 | 0x11, 0x4e][..], value.as_bytes()].concat();
        if client.send(CONTINUATION, if index == 7 { 4 } else { 0 }, 1, &field).is_err() {
            break;
        }
    }
    let answer = client.answers(1);
    assert!(!answer.is_ok_and(|answers| answers[0].1.is_ok));
    others_are_answered(&enforcer);
}

#[test]
fn a_shutdown_lets_requests_end_and_says_goodbye() {
    let mut enforcer = start();
    let mut client = connect(&enforcer, WINDOW);
    client.request(GET, "/health", "").unwrap();
    client.answers(1).unwrap();
    enforcer.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(client.next(GOAWAY).unwrap().payload[4..8], [0; 4], "no error");
    assert!(client.is_ended());
    assert!(enforcer.wait().success());
}

#[test]
fn a_connection_that_is_busy_with_one_request_leaves_the_others_alone() {
    let enforcer = start();
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let mut client = connect(&enforcer, WINDOW);
            thread::spawn(move || {
                for _ in 0..20 {
                    for _ in 0..10 {
                        client.request(POST, DECISION, r#"{"input":{"allow":true}}"#).unwrap();
                    }
                    assert!(client.answers(10).unwrap().iter().all(|(_, answer)| answer.is_ok));
                }
            })
        })
        .collect();
    asking.into_iter().for_each(|asking| asking.join().unwrap());
    assert_eq!(limit(&enforcer, "http2_overhead") + limit(&enforcer, "http2_resets"), 0.0);
}
