//! Connections that a proxy passes on say whose they are.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::enforcer::{Bundles, DEADLINE, ECHO, Enforcer, wait_for};

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn start(more: &[(&str, &str)]) -> Enforcer {
    let mut variables = vec![
        ("ENFORCER_PROXY_PROTOCOL_FROM", "127.0.0.0/8"),
        ("ENFORCER_DIAGNOSTICS_ADDRESS", "127.0.0.1:0"),
        ("LOG_LEVEL", "debug"),
    ];
    variables.extend_from_slice(more);
    Bundles::new().tenant("a", ECHO).start_with(&variables)
}

/// The header of a client with this address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let addresses = [&client[..], &[127, 0, 0, 1, 0x10, 0x92, 0, 80]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &addresses[..]].concat()
}

fn sent(enforcer: &Enforcer, bytes: &[u8]) -> String {
    let mut stream = open(enforcer, bytes);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn open(enforcer: &Enforcer, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(enforcer.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let _ = stream.write_all(bytes);
    stream
}

fn metric(enforcer: &Enforcer, name: &str) -> f64 {
    let line = enforcer.wait_for_log("the address for diagnostics", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("/metrics"))
    });
    let address = line["address"].as_str().unwrap().parse().unwrap();
    let text = crate::http_client::Connection::open(address).request("GET", "/metrics", b"").text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_client_s_address_is_the_one_that_its_proxy_names() {
    let enforcer = start(&[]);
    let answer = sent(&enforcer, &[&header([192, 0, 2, 7])[..], HEALTH].concat());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    enforcer.wait_for_log("the client's address", |line| line["client"] == "192.0.2.7:4242");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert!(sent(&enforcer, &[&local[..], HEALTH].concat()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_proxy_without_a_valid_header_is_not_answered() {
    let enforcer = start(&[]);
    assert_eq!(sent(&enforcer, HEALTH), "");
    assert_eq!(
        sent(&enforcer, b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n"),
        ""
    );
    let long = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(), &[0; 600]].concat();
    assert_eq!(sent(&enforcer, &long), "");
    // It sends a part, and waits.
    assert_eq!(sent(&enforcer, b"\r\n\r\n\0\r\nQUIT\n"), "");
    assert_eq!(metric(&enforcer, "enforcer_proxy_protocol_errors_total"), 4.0);
}

#[test]
fn one_address_has_so_many_connections_and_others_are_answered() {
    let enforcer = start(&[("ENFORCER_MAX_CONNECTIONS_PER_ADDRESS", "3")]);
    let greedy = header([192, 0, 2, 7]);
    let ask = [&greedy[..], b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
    let kept: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = open(&enforcer, &ask);
            assert!(stream.read(&mut [0; 512]).unwrap() > 0);
            stream
        })
        .collect();
    assert_eq!(sent(&enforcer, &ask), "");
    let other = [&header([192, 0, 2, 8])[..], HEALTH].concat();
    assert!(sent(&enforcer, &other).starts_with("HTTP/1.1 200 "));
    let limit = "enforcer_host_limit_reached_total{limit=\"address_connections\"}";
    assert_eq!(metric(&enforcer, limit), 1.0);
    drop(kept);
    let again = [&greedy[..], HEALTH].concat();
    wait_for("room for the address", || {
        sent(&enforcer, &again).starts_with("HTTP/1.1 200 ").then_some(())
    });
}
