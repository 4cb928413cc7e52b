use std::sync::Arc;

use proptest::{prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::super::memory::{HOST_MEMORY, MIN_TENANT_MEMORY};
use super::*;

fn memory() -> Memory {
    Memory::new(1024, &Arc::new(Semaphore::new(HOST_MEMORY)))
}

fn event(body: &str, reason: &str) -> Option<Event> {
    event_of(&memory(), body, reason)
}

fn event_of(memory: &Memory, body: &str, reason: &str) -> Option<Event> {
    let decision =
        Decision { allow: true, redact: vec!["a.b".into()], reason: Some(reason.to_owned()) };
    let by = (Revision::from_digest([7; 32]), 42);
    let decided = Decided::new(Uuid::nil(), decision, by, Disclosure::Whole);
    let record = Record {
        at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
        position: 1,
        lost_before: 0,
        what: What::Decision {
            decided,
            input: Input::In(RequestInput::Member(body.to_owned().into())),
            sequence: 9,
        },
        memory: memory.take(600).unwrap(),
    };
    record.build(&"tenant_a".parse().unwrap(), memory)
}

#[test]
fn a_decision_s_event_is_the_contract_s() {
    let event = event("{\"input\":{\r\n\"x\": 1}}", "so").unwrap();
    let text = std::str::from_utf8(&event.json).unwrap();
    let expected = json!({
        "type": "decision",
        "data": {
            "event_id": Uuid::nil(),
            "tenant_id": "tenant_a",
            "timestamp": "2023-11-14T22:13:20.123Z",
            "decision": {"allow": true, "redact": ["a.b"], "reason": "so"},
            "input": {"x": 1},
            "metrics": {"eval_duration_micros": 42},
            "revision": "07".repeat(32),
            "sequence": 9,
        },
    });
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    assert!(!text.contains(['\n', '\r']), "{text}");
    assert!(text.starts_with(r#"{"type":"decision","data":{"event_id":"#), "{text}");
}

#[test]
fn no_body_and_no_reason_writes_the_rest_of_an_event() {
    let reason = "\"},\"data\":{\"tenant_id\":\"other\"}}\n";
    for body in [
        r#"{"input":1},"tenant_id":"other","x":{"y":2}"#,
        r#"{"input":1,"tenant_id":"other"}"#,
        r#"{"input":{"tenant_id":"other"}}"#,
    ] {
        let event = event(body, reason).unwrap();
        let value: Value = serde_json::from_slice(&event.json).unwrap();
        assert_eq!(value["data"]["tenant_id"], "tenant_a", "{body}");
        assert_eq!(value["data"]["decision"]["reason"], reason);
        assert_eq!(value["data"]["sequence"], 9);
    }
}

proptest! {
    #[test]
    fn an_event_is_always_one_line_about_its_own_tenant(
        body in r#"(\{"input":)?([\[\]{}",:\\ \n\r01eE.a-u-]|"tenant_id":|"data":\{|\\u[0-9d][8c]00|\PC){0,24}\}?"#,
        reason in r#"([\[\]{}",:\\\n\r]|\PC){0,24}"#,
    ) {
        let event = event(&body, &reason).unwrap();
        let value: Value = serde_json::from_slice(&event.json).unwrap();
        prop_assert_eq!(&value["type"], "decision");
        prop_assert_eq!(&value["data"]["tenant_id"], "tenant_a");
        prop_assert_eq!(&value["data"]["decision"]["reason"], &reason);
        prop_assert_eq!(&value["data"]["sequence"], 9);
        prop_assert!(!event.json.contains(&b'\n') && !event.json.contains(&b'\r'));
        let members = value["data"].as_object().unwrap().len();
        let is_whole = members == 8 && serde_json::from_str::<Value>(&body).is_ok();
        prop_assert!(is_whole || members == 9 && value["data"]["input_omitted"] == "not_json");
    }
}

#[test]
fn an_event_takes_the_memory_that_it_takes() {
    // One byte of a tenant's may become six.
    let escaped = "\u{1}".repeat(1000);
    let memory = memory();
    let grown = event_of(&memory, r#"{"input":1}"#, &escaped).unwrap();
    assert_eq!(MIN_TENANT_MEMORY - memory.left(), grown.json.len());
    let _rest = memory.take(memory.left() - 4000).unwrap();
    assert!(event_of(&memory, r#"{"input":1}"#, &escaped).is_none());
    assert_eq!(memory.left(), 4000, "refused memory is given back");
}

#[test]
fn missed_events_are_counted_where_the_number_is_known() {
    assert_eq!(lagged(Some(3)), r#"{"type":"lagged","missed":3}"#);
    assert_eq!(lagged(None), r#"{"type":"lagged","missed":null}"#);
}
