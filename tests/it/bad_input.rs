//! A client that sends bad input gets the contract's error, never an allow, and other clients are
//! not affected.

use std::time::{Duration, Instant};

use crate::enforcer::{Bundles, ECHO, Enforcer};
use crate::http_client::{Connection, Response};

/// A tenant that allows everything, so that any request that reaches its policy is noticed.
const PERMISSIVE: &str = "package tenants[TENANT]\nallow := true";

fn start() -> Enforcer {
    Bundles::new().tenant("a", PERMISSIVE).tenant("innocent", ECHO).start()
}

/// Asserts that the other tenant, and this one too, still answer.
fn assert_serving(enforcer: &Enforcer) {
    for tenant_id in ["innocent", "a"] {
        let response = enforcer.decide(tenant_id, r#"{"input":{"allow":true}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{tenant_id}: {response:?}");
    }
    for tenant_id in ["innocent", "a"] {
        assert_eq!(enforcer.tenant(tenant_id)["restarts"], 0);
    }
}

#[test]
fn a_body_that_is_no_json_or_has_no_input_is_refused() {
    let enforcer = start();
    for body in [
        "".to_owned(),
        " ".to_owned(),
        "{".to_owned(),
        "nonsense".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"input\"".to_owned(),
        "{}".to_owned(),
        r#"{"Input":{}}"#.to_owned(),
        r#"{"input":null}"#.to_owned(),
        r#"{"input":{}}{}"#.to_owned(),
        r#"{"input":{},}"#.to_owned(),
        r#"{"input":{"a":1e999}}"#.to_owned(),
        r#"{"input":{"a":-1e999}}"#.to_owned(),
        r#"{"input":{"a":0.123456789012345678901234567890}}"#.to_owned(),
        r#"{"input":{"a":NaN}}"#.to_owned(),
        r#"{"input":{"a":"\ud800"}}"#.to_owned(),
        r#"{"input":{"a":01}}"#.to_owned(),
        format!("{{\"input\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{{\"input\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        "[".repeat(1_000_000),
    ] {
        enforcer.decide("a", &body).assert_error(400, "invalid_parameter");
    }
    assert_serving(&enforcer);
}

#[test]
fn a_body_that_is_not_utf_8_is_refused() {
    let enforcer = start();
    for body in [
        &b"\xff\xfe"[..],
        b"{\"input\":\"\xff\"}",
        b"{\"input\":\"\xed\xa0\x80\"}",
        b"{\"input\":{}}\0",
    ] {
        enforcer.decide("a", body).assert_error(400, "invalid_parameter");
    }
    assert_serving(&enforcer);
}

#[test]
fn an_input_of_10_mb_is_refused_and_its_sender_is_told() {
    let enforcer = start();
    let body = format!("{{\"input\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    enforcer.decide("a", &body).assert_error(413, "request_too_large");

    // The same with a chunked body.
    let mut connection = enforcer.connect();
    connection
        .send(b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for part in body.as_bytes().chunks(64 * 1024) {
        let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
        connection.send(&chunk).unwrap();
    }
    connection.send(b"0\r\n\r\n").unwrap();
    connection.response().unwrap().assert_error(413, "request_too_large");
    assert_eq!(
        enforcer.metric(r#"enforcer_tenant_limit_reached_total{tenant="a",limit="body_length"}"#),
        2.0
    );

    // The largest body that is allowed, to the byte.
    let largest = format!("{{\"input\":\"{}\"}}", "x".repeat(1024 * 1024 - 12));
    assert_eq!(largest.len(), 1024 * 1024);
    assert_eq!(enforcer.decide("a", &largest).json()["result"]["allow"], true);
    let larger = largest.replacen("xx", "xxx", 1);
    enforcer.decide("a", &larger).assert_error(413, "request_too_large");
    assert_serving(&enforcer);
}

#[test]
fn a_body_that_is_cut_off_is_refused() {
    let enforcer = start();
    for (framing, body) in [
        ("Transfer-Encoding: chunked", "c\r\n{\"input\":{}}\r\n"),
        ("Transfer-Encoding: chunked", "ff\r\n{\"input\":{}}"),
        ("Transfer-Encoding: chunked", "zz\r\n{\"input\":{}}\r\n0\r\n\r\n"),
        ("Content-Length: 100", "{\"input\":{}}"),
    ] {
        let mut connection = enforcer.connect();
        let head = "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost";
        connection.send(format!("{head}\r\n{framing}\r\n\r\n{body}").as_bytes()).unwrap();
        connection.finish_sending();
        let response = connection.response().unwrap();
        response.assert_error(400, "invalid_parameter");
        assert_eq!(response.header("connection"), Some("close"), "{framing} {body}: {response:?}");
    }
    assert_serving(&enforcer);
    assert_eq!(enforcer.metric(r#"enforcer_decisions_total{tenant="a",decision="allow"}"#), 1.0);
}

#[test]
fn an_encoded_body_is_refused_with_its_reason() {
    let enforcer = start();
    for (headers, body) in [
        ("Content-Encoding: br\r\nContent-Length: 12", "{\"input\":{}}"),
        ("Transfer-Encoding: gzip, chunked", "c\r\n{\"input\":{}}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: identity, chunked", "c\r\n{\"input\":{}}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
    ] {
        let mut connection = enforcer.connect();
        let head = "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost";
        connection.send(format!("{head}\r\n{headers}\r\n\r\n{body}").as_bytes()).unwrap();
        let response = connection.response().unwrap();
        response.assert_error(400, "invalid_parameter");
        assert!(response.text.contains("encoding"), "{headers}: {response:?}");
    }
    let mut connection = enforcer.connect();
    connection
        .send(b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\nc\r\n{\"input\":{}}\r\n0\r\n\r\n")
        .unwrap();
    assert_eq!(connection.response().unwrap().json()["result"]["allow"], true);
    assert_serving(&enforcer);
}

/// Requests that are refused by their head alone, each with the header fields of its body, and its
/// error.
const REFUSED_BY_HEAD: [(&str, &str, u16, &str); 8] = [
    ("POST /v1/data/tenants/a/allow", "Content-Length: 9999999", 413, "request_too_large"),
    (
        "POST /v1/data/tenants/a/allow",
        "Content-Encoding: br\r\nContent-Length: 100",
        400,
        "invalid_parameter",
    ),
    ("POST /v1/data/tenants/../allow", "Content-Length: 100", 400, "invalid_parameter"),
    ("POST /v1/data/tenants/unknown/allow", "Content-Length: 100", 404, "resource_not_found"),
    ("POST /v1/data/elsewhere/a", "Content-Length: 100", 404, "resource_not_found"),
    ("POST /elsewhere", "Content-Length: 100", 404, "resource_not_found"),
    ("PUT /v1/data/tenants/a/allow", "Transfer-Encoding: chunked", 405, "invalid_operation"),
    (
        "POST /v1/data/tenants/a/allow",
        "Host: localhost\r\nContent-Length: 100",
        400,
        "invalid_parameter",
    ),
];

#[test]
fn a_body_that_is_refused_anyway_is_not_asked_for() {
    let enforcer = start();
    let send = |line: &str, headers: &str| -> Connection {
        let mut connection = enforcer.connect();
        let expect = "Host: localhost\r\nExpect: 100-Continue";
        connection
            .send(format!("{line} HTTP/1.1\r\n{expect}\r\n{headers}\r\n\r\n").as_bytes())
            .unwrap();
        connection
    };
    for (line, headers, status, code) in REFUSED_BY_HEAD {
        let mut connection = send(line, headers);
        let response = connection.response().unwrap();
        response.assert_error(status, code);
        assert_eq!(response.header("connection"), Some("close"), "{line} {headers}: {response:?}");
        assert!(connection.is_closed_by_server(), "{line} {headers}");
    }
    // An acceptable body is asked for.
    let mut connection = send("POST /v1/data/tenants/a/allow", "Content-Length: 12");
    assert_eq!(connection.response().unwrap().status, 100);
    connection.send(b"{\"input\":{}}").unwrap();
    assert_eq!(connection.response().unwrap().json()["result"]["allow"], true);
    // Without a body, the connection can go on.
    let mut connection = send("POST /elsewhere", "Content-Length: 0");
    connection.response().unwrap().assert_error(404, "resource_not_found");
    assert_eq!(connection.decide("a", br#"{"input":{}}"#).status, 200);
    // HTTP/1.0 has no such waiting: the body is already being sent, and is read.
    let mut connection = enforcer.connect();
    let old = "POST /elsewhere HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue";
    connection.send(format!("{old}\r\nContent-Length: 4\r\n\r\nbody").as_bytes()).unwrap();
    connection.response().unwrap().assert_error(404, "resource_not_found");
    assert_eq!(connection.decide("a", br#"{"input":{}}"#).status, 200);
    assert_serving(&enforcer);
}

#[test]
fn whoever_stalls_in_a_body_is_answered_and_told_that_the_connection_ends() {
    let enforcer = start();
    let send = |line: &str, headers: &str| -> Connection {
        let mut connection = enforcer.connect();
        connection
            .send(
                format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n2\r\n").as_bytes(),
            )
            .unwrap();
        connection
    };
    let assert_closing = |mut connection: Connection, status: u16, code: &str| {
        let response = connection.response().unwrap();
        response.assert_error(status, code);
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        assert!(connection.is_closed_by_server());
    };
    let start = Instant::now();
    let wanted = send("POST /v1/data/tenants/a/allow", "Content-Length: 100");
    let refused = REFUSED_BY_HEAD.map(|(line, headers, ..)| send(line, headers));
    for (connection, (_, _, status, code)) in refused.into_iter().zip(REFUSED_BY_HEAD) {
        assert_closing(connection, status, code);
    }
    // Not the ten seconds that an acceptable body gets.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_closing(wanted, 408, "request_timeout");
    assert_serving(&enforcer);
}

#[test]
fn a_connection_goes_on_after_a_refused_body_that_came_whole() {
    let enforcer = start();
    let mut connection = enforcer.connect();
    let body = vec![b' '; 2 * 1024 * 1024];
    for (tenant_id, status) in [("a", 413), ("unknown", 404), ("-", 400)] {
        let response = connection.decide(tenant_id, &body);
        assert_eq!((response.status, response.header("connection")), (status, None));
    }
    assert_eq!(connection.decide("a", br#"{"input":{}}"#).json()["result"]["allow"], true);
}

#[test]
fn a_request_names_its_one_host() {
    let enforcer = start();
    let ask = |version: &str, hosts: &str, target: &str| -> Response {
        let mut connection = enforcer.connect();
        let body = r#"{"input":{}}"#;
        let request = format!("POST {target} {version}\r\n{hosts}Content-Length: 12\r\n\r\n{body}");
        connection.send(request.as_bytes()).unwrap();
        connection.response().unwrap()
    };
    let decision = "/v1/data/tenants/a/allow";
    for (version, hosts) in [
        ("HTTP/1.1", ""),
        ("HTTP/1.1", "Host: localhost\r\nHost: localhost\r\n"),
        ("HTTP/1.0", "Host: localhost\r\nHost: other\r\n"),
        ("HTTP/1.1", "Host: localhost, other\r\n"),
        ("HTTP/1.1", "Host: localhost/path\r\n"),
        ("HTTP/1.1", "Host: user@test\r\n"),
        ("HTTP/1.1", "Host: t\u{e9}st\r\n"),
    ] {
        for target in [decision, "/health", "/elsewhere"] {
            ask(version, hosts, target).assert_error(400, "invalid_parameter");
        }
    }
    for (version, hosts) in [
        ("HTTP/1.0", ""),
        ("HTTP/1.0", "Host: localhost\r\n"),
        ("HTTP/1.1", "Host: [::1]:8181\r\n"),
        ("HTTP/1.1", "host: LocalHost\r\n"),
    ] {
        let response = ask(version, hosts, decision);
        assert_eq!(response.json()["result"]["allow"], true, "{version} {hosts}: {response:?}");
    }
    assert_serving(&enforcer);
}

#[test]
fn what_is_no_tenant_id_is_refused_before_anything_is_looked_up() {
    let enforcer = start();
    for id in [
        "..",
        "%2e%2e",
        "%2E%2E%2f",
        "a%2Fb",
        "a%5Cb",
        "",
        "%00",
        "a%00",
        "a%0a",
        "a%0d%0aX:1",
        "%1b%5b2J",
        &"x".repeat(64),
        "%D0%B0",     // Cyrillic а
        "%EF%BD%81",  // full-width a
        "a%E2%80%AE", // right-to-left override
        "-a",
        "_a",
        "a.b",
        "a%20",
        "*",
        "a%22%5D",
    ] {
        enforcer.decide(id, r#"{"input":{}}"#).assert_error(400, "invalid_parameter");
        if !id.is_empty() {
            enforcer.get(&format!("/v1/tenants/{id}")).assert_error(400, "invalid_parameter");
        }
    }
    enforcer.decide("%ff", r#"{"input":{}}"#).assert_error(400, "invalid_parameter");
    // Not an id with a slash, but another document.
    let document = enforcer.decide("a/b", r#"{"input":{}}"#);
    assert!(document.status == 200 && document.json().get("result").is_none(), "{document:?}");
    enforcer.decide("../a", r#"{"input":{}}"#).assert_error(400, "invalid_parameter");
    assert_serving(&enforcer);
}

#[test]
fn an_unknown_tenant_is_not_found() {
    let enforcer = start();
    for id in ["b", "A", &"x".repeat(63)] {
        enforcer.decide(id, r#"{"input":{}}"#).assert_error(404, "resource_not_found");
        enforcer.get(&format!("/v1/tenants/{id}")).assert_error(404, "resource_not_found");
    }
    // A long body is read before the answer, as everywhere.
    enforcer.decide("b", "x".repeat(3 * 1024 * 1024)).assert_error(404, "resource_not_found");
    assert_serving(&enforcer);
}

#[test]
fn a_subject_of_another_tenant_is_forbidden_and_the_policy_not_asked() {
    let enforcer = start();
    for tenant in [r#""innocent""#, r#""A""#, "null", "1", r#""""#, r#"["a"]"#] {
        let body = format!("{{\"input\":{{\"subject\":{{\"tenant_id\":{tenant}}}}}}}");
        enforcer.decide("a", &body).assert_error(403, "tenant_mismatch");
    }
    let own = enforcer.decide("a", r#"{"input":{"subject":{"tenant_id":"a"}}}"#);
    assert_eq!(own.json()["result"]["allow"], true);
    assert_serving(&enforcer);
}

#[test]
fn other_methods_and_paths_are_refused_in_the_same_form() {
    let enforcer = start();
    let ask = |method: &str, target: &str| -> Response {
        enforcer.connect().request(method, target, b"{\"input\":{}}")
    };
    let response = ask("PUT", "/v1/data/tenants/a/allow");
    response.assert_error(405, "invalid_operation");
    assert!(response.header("allow").is_some(), "{response:?}");
    ask("POST", "/health").assert_error(405, "invalid_operation");
    ask("POST", "/").assert_error(405, "invalid_operation");
    ask("DELETE", "/v1/tenants/a").assert_error(405, "invalid_operation");
    for target in [
        "/v1",
        "/v1/data",
        "/v1/data/other",
        "/v1/data/other/a/allow",
        "/v2/data/tenants/a/allow",
        "/v1/data/tenants",
        "//v1/data/tenants/a/allow",
    ] {
        ask("POST", target).assert_error(404, "resource_not_found");
    }
    // A document, and no decision.
    let document = ask("POST", "/v1/data/tenants/a/allow/");
    assert_eq!(document.json()["result"], true, "{document:?}");
    assert_serving(&enforcer);
}

#[test]
fn no_message_shows_the_host_or_another_tenant() {
    let bundles = Bundles::new()
        .tenant("a", "package tenants.b")
        .tenant("b", "package tenants[TENANT]\nallow := input.x + \"s\"")
        .tenant("secret-tenant", PERMISSIVE);
    let enforcer = bundles.start();
    enforcer.wait_for_state("a", "rejected");
    let host = bundles.path().to_str().unwrap();
    let bodies =
        [r#"{"input":{"x":1}}"#, "{", r#"{"input":{"subject":{"tenant_id":"secret-tenant"}}}"#];
    for tenant_id in ["a", "b", "unknown", ".."] {
        for body in bodies {
            let response = enforcer.decide(tenant_id, body);
            assert!(response.status >= 400, "{response:?}");
            for hidden in [host, "secret-tenant", "regorus", "enforcer_", "serde"] {
                assert!(!response.text.contains(hidden), "{hidden}: {response:?}");
            }
        }
    }
}

#[test]
fn input_that_is_made_to_be_slow_to_read_is_not() {
    let enforcer = start();
    // The engine's own reader would take this for a number with a million digits.
    let body = r#"{"input":{"x":{"$serde_json::private::Number":"1e9999999"}}}"#;
    assert_eq!(enforcer.decide("a", body).json()["result"]["allow"], true);
    assert_serving(&enforcer);
}

/// An example tenant's answer: allow and reason; `None` for an error.
fn example(enforcer: &Enforcer, tenant_id: &str, input: &str) -> (bool, String) {
    let response = enforcer.decide(tenant_id, format!("{{\"input\":{input}}}"));
    assert_eq!(response.status, 200, "{tenant_id} {input}: {response:?}");
    let result = response.json()["result"].take();
    (result["allow"].as_bool().unwrap(), result["reason"].as_str().unwrap().to_owned())
}

/// Values that are not names, for places where a name is expected, and a missing value.
const NO_NAMES: [&str; 7] = ["null", "true", "1", "\"\"", "[]", "{}", "[\"*\"]"];

#[test]
fn the_example_of_roles_grants_nothing_that_was_not_named() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    let ask = |input: &str| example(&enforcer, "tenant_b", input);
    let denied = |reason: &str| (false, reason.to_owned());
    for (action, resource_type) in [("*", "*"), ("*", "device"), ("read", "*")] {
        let input = format!(
            r#"{{"subject":{{"user_id":"alice"}},"action":"{action}","resource":{{"type":"{resource_type}"}}}}"#
        );
        let reason = format!("No role of alice grants {action} on {resource_type}");
        assert_eq!(ask(&input), denied(&reason), "{input}");
    }
    let device = r#""resource":{"type":"device"}"#;
    let alice = r#""subject":{"user_id":"alice"}"#;
    for other in NO_NAMES {
        assert_eq!(
            ask(&format!(r#"{{"subject":{{"user_id":{other}}},"action":"read",{device}}}"#)),
            denied("The request names no user"),
            "{other}"
        );
        assert_eq!(
            ask(&format!(r#"{{{alice},"action":{other},{device}}}"#)),
            denied("The request names no action"),
            "{other}"
        );
        assert_eq!(
            ask(&format!(r#"{{{alice},"action":"read","resource":{{"type":{other}}}}}"#)),
            denied("The request names no type of resource"),
            "{other}"
        );
    }
    let without = |input: String, reason: &str| assert_eq!(ask(&input), denied(reason), "{input}");
    without(format!(r#"{{"action":"read",{device}}}"#), "The request names no user");
    without(format!("{{{alice},{device}}}"), "The request names no action");
    without(format!(r#"{{{alice},"action":"read"}}"#), "The request names no type of resource");
}

#[test]
fn the_example_of_hours_denies_what_is_no_time_with_a_reason() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    let ask = |time: &str| {
        example(&enforcer, "tenant-c", &format!("{{\"environment\":{{\"time\":{time}}}}}"))
    };
    let no_time = (false, "The request has no valid environment.time".to_owned());
    for time in [
        "",
        "noon",
        "2025-02-30T14:30:00Z",
        "2025-02-29T14:30:00Z",
        "2100-02-29T14:30:00Z",
        "2025-04-31T14:30:00Z",
        "2025-10-32T14:30:00Z",
        "2025-10-00T14:30:00Z",
        "2025-00-16T14:30:00Z",
        "2025-13-16T14:30:00Z",
        "2025-10-16T24:00:00Z",
        "2025-10-16T14:60:00Z",
        "2025-10-16T14:30:60Z",
        "2025-10-16T14:30:00+99:99",
        "2025-10-16T14:30:00+24:00",
        "2025-10-16T14:30:00+10:60",
        "2025-10-16T14:30:00",
        "2025-10-16T14:30:00.Z",
        "2025-10-16 14:30:00Z",
        "2025-10-16T14:30:00Z\\n",
        "x2025-10-16T14:30:00Z",
        "9999-10-16T14:30:00Z",
        "0000-10-16T14:30:00Z",
        "\u{662}\u{660}\u{662}\u{665}-10-16T14:30:00Z", // Arabic digits
        "2025-10-16T14:30:0\u{ff10}Z",                  // a full-width zero
    ] {
        assert_eq!(ask(&format!("\"{time}\"")), no_time, "{time}");
    }
    for time in
        ["null", "true", "1", "1760625000000000000", "[]", "{}", "[\"2025-10-16T14:30:00Z\"]"]
    {
        assert_eq!(ask(time), no_time, "{time}");
    }
    for time in [
        "2025-10-16T14:30:00.5Z",
        "2025-10-16T14:30:00.123456789012Z",
        "2025-10-16T23:30:00+09:00",
        "2025-10-16T09:00:00-05:00",
        "2025-10-16T14:30:00-00:00",
        "2025-10-15T17:00:00-23:59",
        "2024-02-29T14:30:00Z",
        "2025-01-31T14:30:00Z",
        "2025-09-30T14:30:00Z",
        "2000-02-29T14:30:00Z",
        "2099-12-31T14:30:00Z",
    ] {
        let within = (true, "Within the maintenance window".to_owned());
        assert_eq!(ask(&format!("\"{time}\"")), within, "{time}");
    }
    // Every day of a leap year and of a common year has an answer, never an error.
    for year in ["2027", "2028"] {
        for month in 1..=12 {
            for day in 1..=31 {
                ask(&format!("\"{year}-{month:02}-{day:02}T14:30:00Z\""));
            }
        }
    }
}

#[test]
fn the_example_of_residency_allows_nothing_of_another_type() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    for other in NO_NAMES {
        for input in [
            format!(r#"{{"action":{other},"resource":{{"type":"sensor_data","region":"EU"}}}}"#),
            format!(r#"{{"action":"read","resource":{{"type":{other},"region":"EU"}}}}"#),
            format!(r#"{{"action":"read","resource":{{"type":"sensor_data","region":{other}}}}}"#),
            format!(r#"{{"action":"read","resource":{other}}}"#),
        ] {
            assert!(!example(&enforcer, "tenant_a", &input).0, "{input}");
        }
        // A reader without clearance for a field does not see it.
        let body = format!(
            r#"{{"input":{{"subject":{{"user_id":{other}}},"action":"read","resource":{{"type":"billing","region":"EU"}}}}}}"#
        );
        let response = enforcer.decide("tenant_a", &body);
        let redact = &response.json()["result"]["redact"];
        assert_eq!(*redact, serde_json::json!(["pii.email", "pii.iban"]), "{body}");
    }
}
