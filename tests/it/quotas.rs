//! A tenant's clients get what its quotas allow, are told when they may ask again, and take nothing
//! from other tenants.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::enforcer::{Bundles, ECHO, Enforcer, wait_for};
use crate::http_client::{Connection, Response};
use crate::stream_client::{Consumer, PATH};

const INPUT: &[u8] = br#"{"input":{"allow":true}}"#;

/// Two tenants; the operator's file has these quotas for `a`.
fn start(settings: &str, quotas: &str) -> (Enforcer, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enforcer.toml");
    fs::write(&path, format!("{settings}\n[tenants.a.quotas]\n{quotas}")).unwrap();
    let bundles = Bundles::new().tenant("a", ECHO).tenant("innocent", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", path.to_str().unwrap())]);
    enforcer.wait_for_state("a", "ready");
    enforcer.wait_for_state("innocent", "ready");
    (enforcer, directory)
}

/// Asks until a request is refused; returns how many were not, and the refusal.
fn ask_until_refused(connection: &mut Connection) -> (usize, Response) {
    for answered in 0..1000 {
        let response = connection.decide("a", INPUT);
        if response.status != 200 {
            return (answered, response);
        }
        assert_eq!(response.json()["result"]["allow"], true);
    }
    panic!("a thousand requests were answered");
}

fn assert_exceeded(response: &Response, words: &str) {
    response.assert_error(429, "quota_exceeded");
    let message = response.json()["message"].clone();
    assert!(message.as_str().unwrap().contains(words), "{message}");
}

/// The use of a quota, as operators see it.
fn quota(enforcer: &Enforcer, name: &str) -> Value {
    enforcer.tenant("a")["quotas"][name].clone()
}

fn assert_innocent_is_served(enforcer: &Enforcer) {
    let response = enforcer.decide("innocent", INPUT);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    assert_eq!(response.header("ratelimit"), None);
    assert_eq!(response.header("ratelimit-policy"), None);
}

#[test]
fn requests_beyond_a_tenant_s_quota_are_refused_until_its_rate_allows_more() {
    let (enforcer, _file) = start("", "decisions_per_second = 1\nburst = 5");
    let mut errors = Consumer::open(&enforcer, "?tenant_id=a&events=error");
    let mut connection = enforcer.connect();
    let began = Instant::now();
    let first = connection.decide("a", INPUT);
    assert_eq!(first.status, 200);
    let policy = r#""decisions_per_second";q=1;w=1;enforcer-burst=5"#;
    assert_eq!(first.header("ratelimit-policy"), Some(policy));
    assert_eq!(first.header("ratelimit"), Some(r#""decisions_per_second";r=4;t=1"#));
    let (answered, refused) = ask_until_refused(&mut connection);
    let most = 5 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((5..=most).contains(&(answered + 1)), "{answered} in {:?}", began.elapsed());
    assert_exceeded(&refused, "1 decisions per second");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit-policy"), Some(policy));
    assert_eq!(refused.header("ratelimit"), Some(r#""decisions_per_second";r=0;t=1"#));

    // It is refused everything that asks its policy, and nothing else.
    let (answered, _) = ask_until_refused(&mut connection);
    assert!(answered < 5);
    for (method, target) in [
        ("GET", "/v1/data/tenants/a"),
        ("POST", "/tenants/a/v0/data/tenants/a/allow"),
        ("GET", "/tenants/a/v1/policies"),
        ("POST", "/v1/batch/data/tenants/a/allow"),
        ("POST", "/v1/tenants/a/why"),
    ] {
        let response = wait_for("a request that is refused", || {
            let response = connection.request(method, target, b"{}");
            (response.status == 429).then_some(response)
        });
        assert_exceeded(&response, "decisions per second");
    }
    for target in ["/health", "/v1/tenants/a", "/tenants/a/health", "/tenants/a/v1/status"] {
        let response = connection.request("GET", target, b"");
        assert_eq!((response.status, response.header("ratelimit")), (200, None), "{target}");
    }
    assert_innocent_is_served(&enforcer);

    // It is told as an error, and counted.
    let error = errors.next();
    assert_eq!(error["type"], "error");
    assert_eq!(
        (&error["data"]["code"], &error["data"]["status"]),
        (&"quota_exceeded".into(), &429.into())
    );
    assert_eq!(error["data"]["input_omitted"], "refused");
    let tenant = enforcer.tenant("a");
    let exceeded = tenant["quotas"]["decisions_per_second"]["exceeded"].as_u64().unwrap();
    assert!(exceeded >= 7, "{tenant}");
    assert_eq!(tenant["evaluation_errors"]["by_code"]["quota_exceeded"], exceeded);
    assert_eq!(tenant["state"], "ready", "a client's excess is no failure of the policy");
    let metric = r#"enforcer_errors_total{tenant="a",code="quota_exceeded"}"#;
    let metric = (
        enforcer.metric(metric),
        enforcer
            .metric(r#"enforcer_quota_exceeded_total{tenant="a",quota="decisions_per_second"}"#),
    );
    assert!(metric.0 >= 7.0 && metric.0 <= metric.1, "{metric:?}");

    // It recovers after the time that it was told.
    let refused = wait_for("a refusal", || {
        let response = connection.decide("a", INPUT);
        (response.status == 429).then_some(Instant::now())
    });
    wait_for("a decision", || (connection.decide("a", INPUT).status == 200).then_some(()));
    // Generous, because the machine may be busy.
    assert!(refused.elapsed() < Duration::from_secs(10), "{:?}", refused.elapsed());
}

#[test]
fn a_batch_counts_its_inputs_and_is_answered_whole_or_refused_whole() {
    let (enforcer, _file) = start("", "decisions_per_second = 1\nburst = 100");
    let mut connection = enforcer.connect();
    let mut ask = |inputs: usize| {
        let inputs: Vec<String> = (0..inputs).map(|index| format!("\"{index}\":{{}}")).collect();
        let body = format!(r#"{{"inputs":{{{}}}}}"#, inputs.join(","));
        connection.request("POST", "/v1/batch/data/tenants/a/allow", body.as_bytes())
    };
    let response = ask(60);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()["responses"].as_object().unwrap().len(), 60);
    assert!(response.header("ratelimit").unwrap().starts_with(r#""decisions_per_second";r=4"#));
    // Sixty would be there in twenty seconds, one of which this request took.
    let refused = ask(60);
    assert_exceeded(&refused, "the batch has 60 inputs, and fewer are left");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((10..=22).contains(&wait), "{refused:?}");
    let refused = ask(101);
    assert_exceeded(&refused, "100 decisions at once; send smaller batches");
    assert_eq!(ask(10).status, 200);
    assert_eq!(ask(1001).status, 400, "so many are too many with any quota");
    let use_of = quota(&enforcer, "decisions_per_second");
    assert_eq!((&use_of["used"], &use_of["exceeded"]), (&73.into(), &2.into()));
    let decisions = r#"enforcer_decisions_total{tenant="a",decision="deny"}"#;
    assert_eq!(enforcer.metric(decisions), 70.0, "of a batch that is refused none is evaluated");
    assert_innocent_is_served(&enforcer);
}

#[test]
fn requests_in_progress_are_limited_and_end_with_their_answer() {
    let (enforcer, _file) = start("", "concurrent_requests = 2");
    let head = format!(
        "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        INPUT.len()
    );
    let mut slow: Vec<Connection> = (0..2).map(|_| enforcer.connect()).collect();
    for connection in &mut slow {
        connection.send(head.as_bytes()).unwrap();
    }
    wait_for("both to be in progress", || {
        (quota(&enforcer, "concurrent_requests")["used"] == 2).then_some(())
    });
    let refused = enforcer.decide("a", INPUT);
    assert_exceeded(&refused, "2 requests in progress");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some(r#""concurrent_requests";r=0"#));
    let policy = r#""concurrent_requests";q=2;qu="concurrent-requests""#;
    assert_eq!(refused.header("ratelimit-policy"), Some(policy));
    assert_innocent_is_served(&enforcer);
    let mut first = slow.pop().unwrap();
    first.send(INPUT).unwrap();
    assert_eq!(first.response().unwrap().status, 200);
    assert_eq!(enforcer.decide("a", INPUT).status, 200);
    // A client that disconnects is no longer in progress.
    drop(slow);
    wait_for("the end of the other", || {
        (quota(&enforcer, "concurrent_requests")["used"] == 0).then_some(())
    });
}

#[test]
fn bytes_of_bodies_are_limited_whether_their_length_is_told_or_not() {
    let (enforcer, _file) = start("max_body_bytes = 2048", "body_bytes_per_second = 1");
    let mut connection = enforcer.connect();
    let body = format!("{}{}", " ".repeat(2000), r#"{"input":{}}"#);
    let first = connection.decide("a", body.as_bytes());
    assert_eq!(first.status, 200, "{first:?}");
    let policy = r#""body_bytes_per_second";q=1;qu="content-bytes";w=1;enforcer-burst=2048"#;
    assert_eq!(first.header("ratelimit-policy"), Some(policy));
    let refused = connection.decide("a", body.as_bytes());
    assert_exceeded(&refused, "1 bytes of request bodies per second");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1900..=1977).contains(&wait), "{refused:?}");
    // The refused body was read and dropped: the connection goes on.
    assert_eq!(connection.request("GET", "/health", b"").status, 200);
    let head = "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\n";
    let chunk =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    connection.send(chunk.as_bytes()).unwrap();
    assert_exceeded(&connection.response().unwrap(), "bytes of request bodies");
    assert_eq!(connection.request("GET", "/health", b"").status, 200);
    // A body that waits to be asked for is not: the connection ends.
    let expecting = format!("{head}Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n");
    connection.send(expecting.as_bytes()).unwrap();
    let refused = connection.response().unwrap();
    assert_exceeded(&refused, "bytes of request bodies");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(connection.is_closed_by_server());
    // What is too long is told as that, as ever.
    enforcer.decide("a", vec![b' '; 3000]).assert_error(413, "request_too_large");
    assert_innocent_is_served(&enforcer);
}

#[test]
fn consumers_of_a_tenant_s_stream_are_limited_and_those_of_all_tenants_are_not() {
    let (enforcer, _file) = start("", "stream_consumers = 1");
    let only = Consumer::open(&enforcer, "?tenant_id=a");
    let target = format!("{PATH}?tenant_id=a");
    let refused = enforcer.connect().get_with(&target, &[("Accept", "text/event-stream")]);
    assert_exceeded(&refused, "1 consumers of the tenant's stream");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(Consumer::connect(enforcer.address, "?tenant_id=a", &[]).err(), Some(429));
    let _all = Consumer::open(&enforcer, "");
    let _other = Consumer::open(&enforcer, "?tenant_id=innocent");
    drop(only);
    wait_for("room for another", || Consumer::connect(enforcer.address, "?tenant_id=a", &[]).ok());
    assert_eq!(quota(&enforcer, "stream_consumers")["exceeded"].as_u64().unwrap().min(2), 2);
}

#[test]
fn operators_are_warned_once_in_a_window_and_told_of_its_first_refusal() {
    let (enforcer, _file) = start("", "decisions_per_second = 1\nburst = 55");
    let mut all = Consumer::open(&enforcer, "?events=quota");
    let mut own = Consumer::open(&enforcer, "?tenant_id=a&events=quota");
    let mut connection = enforcer.connect();
    ask_until_refused(&mut connection);
    ask_until_refused(&mut connection);
    for consumer in [&mut all, &mut own] {
        let warning = consumer.next();
        assert_eq!(warning["type"], "quota_warning");
        let data = &warning["data"];
        assert_eq!((&data["tenant_id"], &data["level"]), (&"a".into(), &"warning".into()));
        assert_eq!(data["quota"], "decisions_per_second");
        assert_eq!((&data["used"], &data["limit"]), (&48.into(), &60.into()));
        assert_eq!(data["window_seconds"], 60);
        let message = data["message"].as_str().unwrap();
        assert!(message.contains("48 of the 60 decisions"), "{message}");
        let exceeded = consumer.next();
        assert_eq!(exceeded["data"]["level"], "exceeded", "{exceeded}");
    }
    let use_of = quota(&enforcer, "decisions_per_second");
    assert_eq!(use_of["warnings"], 1);
    assert_eq!((&use_of["limit"], &use_of["burst"]), (&1.into(), &55.into()));
    assert_eq!((&use_of["window_limit"], &use_of["window_seconds"]), (&60.into(), &60.into()));
    let metric = |name: &str| {
        enforcer
            .metric(&format!(r#"enforcer_quota_{name}{{tenant="a",quota="decisions_per_second"}}"#))
    };
    assert_eq!((metric("warnings_total"), metric("limit")), (1.0, 60.0));
    assert!(metric("used") >= 55.0 && metric("exceeded_total") >= 2.0);
    let line = enforcer.wait_for_log("the warning", |line| line["quota"] == "decisions_per_second");
    assert_eq!(line["tenant_id"], "a");
    assert_eq!(line["level"], "WARN");
}
