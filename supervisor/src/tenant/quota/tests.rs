use serde_json::Value;

use super::*;
use crate::config::StreamInputs;
use crate::stream::testing::stream;
use crate::stream::{EventKind, Kinds, Resumption, Subscription};

const MAX_BODY: usize = 1024;

fn decisions(per_second: u64, burst: u64) -> TenantQuotas {
    let number = |number| NonZeroU64::new(number).unwrap();
    let decisions = DecisionQuota { per_second: number(per_second), burst: number(burst) };
    TenantQuotas { decisions: Some(decisions), ..TenantQuotas::default() }
}

/// Quotas, when their time began, and a consumer of their notices.
fn with(limits: TenantQuotas) -> (Quotas, Instant, Subscription) {
    let stream = stream();
    let id: TenantId = "a".parse().unwrap();
    let tenant = Arc::new(TenantStream::new(&stream, id.clone(), MAX_BODY, StreamInputs::Show));
    let kinds = Kinds::NONE.with(EventKind::Quota);
    let notices = tenant.subscribe(kinds, Resumption::Never).unwrap();
    let start = Instant::now();
    (Quotas::new(id, limits, MAX_BODY, tenant, start), start, notices)
}

fn used(quotas: &Quotas, now: Instant) -> (u64, u64, u64) {
    let quota = quotas.all(now).next().unwrap();
    (quota.used, quota.warnings, quota.exceeded)
}

async fn next(notices: &mut Subscription) -> Value {
    let message = notices.next().await.unwrap().into_message();
    serde_json::from_slice(&message).unwrap()
}

#[tokio::test]
async fn requests_beyond_the_burst_wait_for_the_rate() {
    let (quotas, start, _notices) = with(decisions(10, 3));
    for _ in 0..3 {
        quotas.admit(None, start).unwrap();
    }
    let exceeded = quotas.admit(None, start).unwrap_err();
    assert_eq!(exceeded.quota, QuotaName::DecisionsPerSecond);
    assert_eq!(exceeded.wait, Duration::from_millis(100));
    assert_eq!(exceeded.retry_after_seconds(), 1);
    assert!(quotas.admit(None, start + Duration::from_millis(99)).is_err());
    quotas.admit(None, start + Duration::from_millis(100)).unwrap();
    assert_eq!(used(&quotas, start), (4, 0, 2), "a request that is refused is not counted as used");
}

#[tokio::test]
async fn a_tenant_without_quotas_is_let_in_always() {
    let (quotas, start, _notices) = with(TenantQuotas::default());
    for _ in 0..1000 {
        quotas.admit(Some(1 << 40), start).unwrap();
    }
    assert_eq!(quotas.batch_limit(start), u32::MAX);
    assert!(quotas.policy().is_none() && quotas.all(start).next().is_none());
}

#[tokio::test]
async fn permits_are_held_for_as_long_as_they_live() {
    let limits = TenantQuotas {
        concurrent_requests: NonZeroU32::new(2),
        stream_consumers: NonZeroU32::new(1),
        ..TenantQuotas::default()
    };
    let (quotas, start, _notices) = with(limits);
    let first = quotas.admit(None, start).unwrap();
    let _second = quotas.admit(None, start).unwrap();
    let exceeded = quotas.admit(None, start).unwrap_err();
    assert_eq!(exceeded.quota, QuotaName::ConcurrentRequests);
    assert_eq!(quotas.left(start), r#""concurrent_requests";r=0"#);
    drop(first);
    let _third = quotas.admit(None, start).unwrap();
    let consumer = quotas.consumer(start).unwrap();
    assert_eq!(quotas.consumer(start).unwrap_err().quota, QuotaName::StreamConsumers);
    drop(consumer);
    quotas.consumer(start).unwrap();
}

#[tokio::test]
async fn a_request_that_one_quota_refuses_uses_nothing_of_the_others() {
    let limits = TenantQuotas {
        concurrent_requests: NonZeroU32::new(1),
        body_bytes_per_second: NonZeroU64::new(2000),
        ..decisions(10, 3)
    };
    let (quotas, start, _notices) = with(limits);
    drop(quotas.admit(Some(1500), start).unwrap());
    let exceeded = quotas.admit(Some(1000), start).unwrap_err();
    assert_eq!(exceeded.quota, QuotaName::BodyBytesPerSecond);
    assert_eq!(exceeded.wait, Duration::from_millis(250));
    let left = r#""decisions_per_second";r=2;t=1, "body_bytes_per_second";r=500;t=1, "concurrent_requests";r=1"#;
    assert_eq!(quotas.left(start), left);
    let policy = r#""decisions_per_second";q=10;w=1;enforcer-burst=3, "body_bytes_per_second";q=2000;qu="content-bytes";w=1;enforcer-burst=2000, "concurrent_requests";q=1;qu="concurrent-requests""#;
    assert_eq!(quotas.policy().unwrap(), policy);
}

#[tokio::test]
async fn the_largest_body_fits_every_quota_of_bytes() {
    let body_bytes_per_second = NonZeroU64::new(1);
    let (quotas, start, _notices) =
        with(TenantQuotas { body_bytes_per_second, ..TenantQuotas::default() });
    quotas.admit(Some(1024), start).unwrap();
    let exceeded = quotas.admit(Some(1), start).unwrap_err();
    assert_eq!(exceeded.retry_after_seconds(), 1);
    assert_eq!(quotas.admit(Some(1024), start).unwrap_err().retry_after_seconds(), 1024);
}

#[tokio::test]
async fn a_batch_may_have_what_is_left_and_is_counted_by_its_inputs() {
    let (quotas, start, _notices) = with(decisions(10, 20));
    quotas.admit(None, start).unwrap();
    assert_eq!(quotas.batch_limit(start), 20, "it was counted as one");
    quotas.count_batch(15, start);
    assert_eq!(used(&quotas, start).0, 15);
    assert_eq!(quotas.batch_limit(start), 6);
    let exceeded = quotas.refuse_batch(15, start);
    assert_eq!(exceeded.retry_after_seconds(), 1);
    assert!(exceeded.to_string().contains("fewer are left"), "{exceeded}");
    assert_eq!(used(&quotas, start).2, 1);
    let exceeded = quotas.refuse_batch(21, start);
    assert!(exceeded.to_string().contains("20 decisions at once"), "{exceeded}");
    // Another batch was answered meanwhile: what it took beyond the quota is waited for.
    quotas.count_batch(16, start);
    assert_eq!(quotas.admit(None, start).unwrap_err().wait, Duration::from_millis(1100));
}

#[tokio::test(start_paused = true)]
async fn operators_are_warned_once_in_a_window() {
    let (quotas, start, mut notices) = with(decisions(1, 100));
    let at = |second| start + Duration::from_secs(second);
    for _ in 0..47 {
        quotas.admit(None, start).unwrap();
    }
    assert_eq!(used(&quotas, start), (47, 0, 0));
    for _ in 0..3 {
        quotas.admit(None, start).unwrap();
    }
    assert_eq!(used(&quotas, start), (50, 1, 0));
    let warning = next(&mut notices).await;
    assert_eq!(warning["type"], "quota_warning");
    let data = &warning["data"];
    assert_eq!(data["tenant_id"], "a");
    assert_eq!(
        (&data["quota"], &data["level"]),
        (&"decisions_per_second".into(), &"warning".into())
    );
    assert_eq!((&data["used"], &data["limit"]), (&48.into(), &60.into()));
    assert_eq!(data["window_seconds"], 60);
    assert!(data["event_id"].is_string() && data["timestamp"].is_string(), "{data}");
    // The next window: all of the use of the one before is still of the last minute.
    quotas.admit(None, at(61)).unwrap();
    assert_eq!(next(&mut notices).await["data"]["used"], 50);
    assert_eq!(used(&quotas, at(61)).1, 2);
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_once_in_a_window_that_requests_are_refused() {
    let (quotas, start, mut notices) = with(decisions(10, 1));
    quotas.admit(None, start).unwrap();
    for _ in 0..5 {
        quotas.admit(None, start).unwrap_err();
    }
    let told = next(&mut notices).await;
    assert_eq!((&told["data"]["level"], &told["data"]["used"]), (&"exceeded".into(), &1.into()));
    assert_eq!(used(&quotas, start), (1, 0, 5));
    quotas.admit(None, start + Duration::from_secs(60)).unwrap();
    quotas.admit(None, start + Duration::from_secs(60)).unwrap_err();
    let told = next(&mut notices).await;
    let (level, used) = (&told["data"]["level"], &told["data"]["used"]);
    assert_eq!((level, used), (&"exceeded".into(), &2.into()), "it is that of the next window");
}
