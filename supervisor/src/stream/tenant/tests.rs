use bytes::Bytes;
use enforcer_protocol::{Decision, JsonText, MaskedDecision, Revision};
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::error_code::ErrorCode;
use crate::stream::hub::REMEMBERED_TENANTS;
use crate::stream::memory::MIN_TENANT_MEMORY;
use crate::stream::testing::stream;
use crate::stream::{Cursor, Delivery, Ended};
use crate::tenant::state::TenantState;

const DECISIONS: Kinds = Kinds::NONE.with(EventKind::Decision);
const ALL: Kinds = Kinds::ALL;

fn tenant_of(stream: &Arc<Stream>) -> Arc<TenantStream> {
    let id = "a".parse().unwrap();
    let tenant = Arc::new(TenantStream::new(stream, id, 1024, StreamInputs::Show));
    tenant.set_mask(false);
    tenant
}

fn decide(tenant: &Arc<TenantStream>, body: &Bytes) {
    let body = &RequestInput::Member(body.clone());
    let decision = Decision { allow: true, ..Decision::default() };
    let revision = Revision::from_digest([0; 32]);
    tenant.decided(Decided::new(new_id(), decision, (revision, 1), Disclosure::Whole), body);
}

fn body() -> Bytes {
    Bytes::from_static(br#"{"input":1}"#)
}

/// Decides under a mask that leaves this.
fn decide_masked(tenant: &Arc<TenantStream>, has_mask: bool, mask: Mask) {
    let decision =
        Decision { allow: true, redact: vec!["r".to_owned()], reason: Some("secret".to_owned()) };
    let by = (Revision::from_digest([0; 32]), 1);
    let disclosure = tenant.disclosure(has_mask, mask);
    let input = RequestInput::Member(Bytes::from_static(br#"{"input":"secret"}"#));
    tenant.decided(Decided::new(new_id(), decision, by, disclosure), &input);
}

/// A mask that leaves this input and erases this path.
fn applied(input: Option<&str>, path: &str) -> Mask {
    let input = input.map(|text| JsonText::new(text.to_owned()));
    // A hostile worker's decision may be another one.
    let decision = Decision { allow: false, ..Decision::default() };
    let erased = vec![path.to_owned()];
    Mask::Applied(Box::new(MaskedDecision { input, decision, erased, masked: Vec::new() }))
}

fn recent(tenant: &TenantStream) -> Vec<Value> {
    let events = tenant.recent(DateTime::UNIX_EPOCH);
    let json = events.iter().map(|recent| recent.event().unwrap().json);
    json.map(|json| serde_json::from_slice(&json).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn only_what_a_mask_leaves_is_published_and_kept() {
    let tenant = tenant_of(&stream());
    tenant.set_mask(true);
    let mut subscription = tenant.subscribe(ALL, Resumption::Never).unwrap();
    let bare = json!({"allow": true, "redact": [], "reason": null});
    for (mask, input, omitted) in [
        (applied(Some("1"), "/input/a"), json!(1), Value::Null),
        (applied(None, "/input"), Value::Null, json!("mask")),
        (Mask::Absent, Value::Null, json!("mask")),
        (Mask::Failed("why".to_owned()), Value::Null, json!("mask_failed")),
        (Mask::TooLarge, Value::Null, json!("too_large")),
    ] {
        decide_masked(&tenant, true, mask);
        let event = next(&mut subscription).await;
        assert!(!event.to_string().contains("secret"), "{event}");
        let data = &event["data"];
        assert_eq!(data["decision"], bare, "{event}");
        assert_eq!((&data["input"], &data["input_omitted"]), (&input, &omitted), "{event}");
        assert_eq!(recent(&tenant).last().unwrap()["data"]["erased"], data["erased"]);
    }
    assert!(!format!("{:?}", recent(&tenant)).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn no_input_is_shown_before_it_is_known_that_no_mask_hides_it() {
    let stream = stream();
    let id = "a".parse().unwrap();
    let tenant = Arc::new(TenantStream::new(&stream, id, 1024, StreamInputs::Show));
    assert!(tenant.wants_mask(Instant::now()));
    let mut subscription = tenant.subscribe(ALL, Resumption::Never).unwrap();
    let fail = |tenant: &Arc<TenantStream>| {
        let failed = FailedRequest {
            id: new_id(),
            code: ErrorCode::EvaluationTimeout,
            status: 504,
            message: String::new(),
            errors: Vec::new(),
            micros: None,
        };
        tenant.failed(failed, Some(&RequestInput::Member(body())));
    };
    for (mask, omitted) in
        [(None, json!("mask")), (Some(true), json!("mask")), (Some(false), Value::Null)]
    {
        mask.into_iter().for_each(|has_mask| tenant.set_mask(has_mask));
        fail(&tenant);
        assert_eq!(next(&mut subscription).await["data"]["input_omitted"], omitted, "{mask:?}");
    }
    assert!(!tenant.wants_mask(Instant::now()), "nobody needs it");
    // A worker of an older policy, which has no mask, answers after one that has.
    tenant.set_mask(true);
    decide_masked(&tenant, false, Mask::Absent);
    assert_eq!(next(&mut subscription).await["data"]["input_omitted"], "mask");
}

#[tokio::test(start_paused = true)]
async fn many_paths_and_a_long_input_take_no_memory_of_the_history() {
    let tenant = tenant_of(&stream());
    for (input, path) in [("1".to_owned(), RECENT_BODY), (format!("{:01025}", 0), 1)] {
        decide_masked(&tenant, true, applied(Some(&input), &"p".repeat(path)));
        let event = recent(&tenant).pop().unwrap();
        assert_eq!(event["data"]["input_omitted"], "too_large");
        assert!(event.to_string().len() < 2 * EVENT_OVERHEAD, "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_s_word_is_stronger_than_a_mask_s() {
    let stream = stream();
    let id = "a".parse().unwrap();
    let tenant = Arc::new(TenantStream::new(&stream, id, 1024, StreamInputs::Omit));
    tenant.set_mask(false);
    let mut subscription = tenant.subscribe(ALL, Resumption::Never).unwrap();
    for mask in [Mask::Absent, applied(Some("1"), "/input/a")] {
        decide_masked(&tenant, false, mask);
        let data = next(&mut subscription).await["data"].take();
        assert_eq!(data["input_omitted"], "operator");
        assert_eq!(data["input"], Value::Null);
    }
}

fn removed() -> Changed {
    let message = "gone".to_owned();
    let change = Change::Removed;
    let state = TenantState::Ready;
    Changed { change, state, revision: None, message, errors: Vec::new(), quarantine_until: None }
}

async fn next(subscription: &mut Subscription) -> Value {
    let message = subscription.next().await.unwrap().into_message();
    serde_json::from_slice(&message).unwrap()
}

#[tokio::test(start_paused = true)]
async fn records_that_do_not_fit_the_queue_are_reported() {
    let stream = stream();
    let tenant = tenant_of(&stream);
    let mut one = tenant.subscribe(DECISIONS, Resumption::Never).unwrap();
    let mut all = stream.subscribe(DECISIONS, Resumption::Never).unwrap();
    // Nothing else runs meanwhile, so the queue is not read.
    for _ in 0..QUEUE_LENGTH + 7 {
        decide(&tenant, &body());
    }
    for subscription in [&mut one, &mut all] {
        let (mut told, mut events) = (0, 0);
        while told + events < QUEUE_LENGTH as u64 + 7 {
            match next(subscription).await["missed"].as_u64() {
                Some(missed) => told += missed,
                None => events += 1,
            }
        }
        assert!(told >= 7, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_and_then_events_that_find_no_memory_are_left_out_and_told_of() {
    let stream = stream();
    let tenant = tenant_of(&stream);
    let mut subscription = tenant.subscribe(DECISIONS, Resumption::Never).unwrap();
    let held = tenant.memory.take(MIN_TENANT_MEMORY - 2 * EVENT_OVERHEAD).unwrap();
    let large: Bytes = format!("{{\"input\":{:?}}}", "x".repeat(2 * EVENT_OVERHEAD)).into();
    decide(&tenant, &large);
    let event = next(&mut subscription).await;
    assert_eq!(event["data"]["input"], Value::Null);
    assert_eq!(event["data"]["input_omitted"], "too_large");
    let rest = tenant.memory.take(tenant.memory.left()).unwrap();
    decide(&tenant, &body());
    decide(&tenant, &body());
    drop((held, rest));
    decide(&tenant, &large);
    assert_eq!(next(&mut subscription).await["missed"], 2);
    let event = next(&mut subscription).await;
    assert_eq!(event["data"]["sequence"], 4);
    assert!(event["data"]["input"].is_string());
    drop(event);
    assert_eq!(tenant.memory.left(), MIN_TENANT_MEMORY, "all is given back");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_ends_without_consumers_or_events() {
    let stream = stream();
    let tenant = tenant_of(&stream);
    decide(&tenant, &body());
    assert!(tenant.locked().queue.is_none(), "no consumer");
    let subscription = tenant.subscribe(DECISIONS, Resumption::Never).unwrap();
    assert!(tenant.locked().queue.is_none(), "nothing happens");
    decide(&tenant, &body());
    assert!(tenant.locked().queue.is_some());
    sleep(PUBLISHER_IDLE * 2).await;
    assert!(tenant.locked().queue.is_none(), "no event for long");
    decide(&tenant, &body());
    assert!(tenant.locked().queue.is_some());
    drop(subscription);
    sleep(PACE * 2).await;
    assert!(tenant.locked().queue.is_none(), "no consumer any more");
    // And a consumer that comes then gets every event from then on.
    let mut subscription = stream.subscribe(DECISIONS, Resumption::Never).unwrap();
    decide(&tenant, &body());
    assert_eq!(next(&mut subscription).await["data"]["sequence"], 4);
}

#[tokio::test(start_paused = true)]
async fn events_without_a_consumer_are_counted_for_one_that_reconnects() {
    let stream = stream();
    let tenant = tenant_of(&stream);
    let mut subscription = tenant.subscribe(DECISIONS, Resumption::Possible).unwrap();
    decide(&tenant, &body());
    let Ok(Delivery::Event(cursor, _)) = subscription.next().await else { panic!("no event") };
    drop(subscription);
    // Longer than events are kept.
    sleep(Duration::from_secs(3600)).await;
    decide(&tenant, &body());
    sleep(PUBLISHER_IDLE * 2).await;
    for _ in 0..10 {
        decide(&tenant, &body());
    }
    let mut subscription = tenant.subscribe(DECISIONS, Resumption::From(cursor)).unwrap();
    decide(&tenant, &body());
    let told = next(&mut subscription).await;
    assert_eq!(told["missed"], 11, "{told}");
    assert_eq!(next(&mut subscription).await["data"]["sequence"], 13);
}

#[tokio::test(start_paused = true)]
async fn a_removed_tenant_s_consumers_get_its_last_events_and_then_the_end() {
    for listens in [true, false] {
        let stream = stream();
        let tenant = tenant_of(&stream);
        let mut subscription = tenant.subscribe(ALL, Resumption::Never).unwrap();
        if listens {
            decide(&tenant, &body());
            tenant.changed(removed());
            assert_eq!(next(&mut subscription).await["data"]["sequence"], 1);
            assert_eq!(next(&mut subscription).await["data"]["change"], "removed");
        } else {
            // The channel is there, and a publisher was never needed.
            tenant.locked().is_closed = true;
            tenant.changed(removed());
        }
        assert_eq!(subscription.next().await.unwrap_err(), Ended);
        assert!(tenant.subscribe(ALL, Resumption::Never).is_none());
    }
}

#[tokio::test]
async fn sequences_of_removed_tenants_go_on_for_as_many_as_are_remembered() {
    let stream = stream();
    for number in 0..=REMEMBERED_TENANTS {
        let id: TenantId = format!("t{number}").parse().unwrap();
        let tenant = Arc::new(TenantStream::new(&stream, id, 1024, StreamInputs::Show));
        decide(&tenant, &body());
        tenant.changed(removed());
    }
    let sequence = |id: &str| {
        TenantStream::new(&stream, id.parse().unwrap(), 1024, StreamInputs::Show).locked().sequence
    };
    assert_eq!(sequence("t0"), 0);
    assert_eq!(sequence("t1"), 1);
    assert_eq!(sequence("t1"), 0, "its own tenant has it");
}

async fn cursor(subscription: &mut Subscription) -> Cursor {
    match subscription.next().await.unwrap() {
        Delivery::Event(cursor, _) => cursor,
        Delivery::Missed(message) => panic!("{message:?}"),
    }
}

async fn missed(subscription: &mut Subscription) -> Value {
    match subscription.next().await.unwrap() {
        Delivery::Event(..) => panic!("an event, and no message about missed ones"),
        Delivery::Missed(message) => serde_json::from_slice(&message).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn unwanted_events_count_as_missed_also_while_the_publisher_stays() {
    let tenant = tenant_of(&stream());
    let mut away = tenant.subscribe(ALL, Resumption::Possible).unwrap();
    let other = tenant.subscribe(ALL, Resumption::Never).unwrap();
    decide(&tenant, &body());
    let cursor = cursor(&mut away).await;
    drop(away);
    // The other keeps the publisher, longer than a consumer may stay away.
    for _ in 0..14 {
        advance(Duration::from_secs(5)).await;
        yield_now().await;
    }
    drop(other);
    for _ in 0..3 {
        decide(&tenant, &body());
    }
    let mut back = tenant.subscribe(ALL, Resumption::From(cursor)).unwrap();
    decide(&tenant, &body());
    assert_eq!(missed(&mut back).await["missed"], 3);
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_reported_in_place_and_also_to_a_consumer_that_reconnects() {
    let tenant = tenant_of(&stream());
    let mut consumer = tenant.subscribe(ALL, Resumption::Possible).unwrap();
    let _slow = tenant.subscribe(ALL, Resumption::Never).unwrap();
    for _ in 0..QUEUE_LENGTH + 7 {
        decide(&tenant, &body());
    }
    let mut behind = cursor(&mut consumer).await;
    for _ in 1..QUEUE_LENGTH {
        match consumer.next().await.unwrap() {
            Delivery::Event(cursor, _) => behind = cursor,
            // The test is the slow consumer: the channel is shorter than the queue.
            Delivery::Missed(_) => break,
        }
    }
    drop(consumer);
    advance(Duration::from_secs(6)).await;
    yield_now().await;
    decide(&tenant, &body());
    let mut back = tenant.subscribe(ALL, Resumption::From(behind)).unwrap();
    let mut told = 0;
    loop {
        match timeout(Duration::from_secs(60), back.next()).await.unwrap().unwrap() {
            Delivery::Missed(message) => {
                let message: Value = serde_json::from_slice(&message).unwrap();
                told += message["missed"].as_u64().unwrap();
            }
            Delivery::Event(Cursor::At { position, .. }, _) => {
                told += 1;
                if position == QUEUE_LENGTH as u64 + 8 {
                    break;
                }
            }
            Delivery::Event(..) => panic!("an event without a cursor"),
        }
    }
    let Cursor::At { position, .. } = behind else { panic!("{behind}") };
    assert_eq!(position + told, QUEUE_LENGTH as u64 + 8);
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_reported_to_a_consumer_that_left_before() {
    let tenant = tenant_of(&stream());
    let mut consumer = tenant.subscribe(ALL, Resumption::Possible).unwrap();
    decide(&tenant, &body());
    let all = tenant.memory.left();
    let memory = tenant.memory.take(all).unwrap();
    decide(&tenant, &body());
    drop(memory);
    let cursor = cursor(&mut consumer).await;
    decide(&tenant, &body());
    consumer.next().await.unwrap();
    drop(consumer);
    let mut back = tenant.subscribe(ALL, Resumption::From(cursor)).unwrap();
    assert_eq!(missed(&mut back).await["missed"], 1);
    assert!(matches!(back.next().await.unwrap(), Delivery::Event(..)));
}

#[tokio::test(start_paused = true)]
async fn the_last_lost_events_are_reported_without_waiting_for_more() {
    let tenant = tenant_of(&stream());
    let mut consumer = tenant.subscribe(ALL, Resumption::Never).unwrap();
    decide(&tenant, &body());
    cursor(&mut consumer).await;
    let all = tenant.memory.left();
    let memory = tenant.memory.take(all).unwrap();
    decide(&tenant, &body());
    drop(memory);
    let told = timeout(Duration::from_secs(60), missed(&mut consumer)).await;
    assert_eq!(told.expect("lost events are not reported")["missed"], 1);
}

#[tokio::test(start_paused = true)]
async fn memory_is_taken_for_as_long_as_a_part_of_a_message_is_held() {
    let tenant = tenant_of(&stream());
    let mut consumer = tenant.subscribe(ALL, Resumption::Never).unwrap();
    let all = tenant.memory.left();
    decide(&tenant, &body());
    let mut message = consumer.next().await.unwrap().into_message();
    let part = message.split_to(1);
    drop(message);
    assert!(tenant.memory.left() < all);
    drop(part);
    assert_eq!(tenant.memory.left(), all);
}
