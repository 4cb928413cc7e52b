//! Lazy tenants have no process until the first request, and end it when idle.

use std::fs;
use std::thread;

use crate::enforcer::{Bundles, ECHO, wait_for};

const LAZY: (&str, &str) = ("ENFORCER_ACTIVATION", "lazy");

#[test]
fn a_lazy_tenant_starts_with_its_first_request_and_ends_when_there_are_no_more() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
    let enforcer = bundles.start_with(&[LAZY, ("ENFORCER_IDLE_TIMEOUT", "1s")]);
    assert_eq!(enforcer.tenant("a")["state"], "asleep");
    assert!(enforcer.workers().is_empty());
    assert_eq!(enforcer.get("/health?bundles").status, 200);

    for _ in 0..2 {
        let response = enforcer.decide("a", r#"{"input":{"allow":true}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        assert_eq!(enforcer.workers().into_keys().collect::<Vec<_>>(), ["a"]);
        enforcer.wait_for_state("a", "asleep");
        wait_for("the worker to end", || enforcer.workers().is_empty().then_some(()));
    }
    let tenant = enforcer.tenant("a");
    assert_eq!((&tenant["restarts"], &tenant["reloads"]), (&0.into(), &0.into()), "{tenant}");
}

#[test]
fn requests_that_come_together_share_one_start() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[LAZY]);
    thread::scope(|scope| {
        let requests: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| enforcer.decide("a", r#"{"input":{"allow":true}}"#)))
            .collect();
        for request in requests {
            let response = request.join().unwrap();
            assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        }
    });
    assert_eq!(enforcer.metric("enforcer_worker_start_seconds_count"), 1.0);
}

#[test]
fn a_sleeping_tenant_wakes_with_the_bundle_of_that_moment() {
    let policy =
        |reason: &str| format!("package tenants[TENANT]\nallow := true\nreason := {reason:?}");
    let bundles = Bundles::new().tenant("a", &policy("1"));
    let enforcer = bundles.start_with(&[LAZY, ("ENFORCER_IDLE_TIMEOUT", "200ms")]);
    assert_eq!(enforcer.reason("a"), "1");
    enforcer.wait_for_state("a", "asleep");
    bundles.write("a", "policy.rego", &policy("2"));
    assert_eq!(enforcer.reason("a"), "2");
    enforcer.wait_for_state("a", "asleep");
    // A bundle that breaks during sleep is reported at the wake-up, and the last good one is used.
    bundles.write("a", "policy.rego", "package");
    assert_eq!(enforcer.reason("a"), "2");
    let tenant = enforcer.tenant("a");
    assert!(tenant["last_error"]["errors"][0].is_object(), "{tenant}");
    enforcer.wait_for_state("a", "asleep");
    fs::remove_dir_all(bundles.path().join("a")).unwrap();
    wait_for("the tenant to be gone", || {
        (enforcer.get("/v1/tenants/a").status == 404).then_some(())
    });
}

#[test]
fn a_lazy_tenant_whose_bundle_is_broken_says_so_when_it_is_asked() {
    let bundles = Bundles::new().tenant("a", "package").tenant("b", ECHO);
    let enforcer = bundles.start_with(&[LAZY]);
    enforcer.decide("a", r#"{"input":{}}"#).assert_error(503, "tenant_unavailable");
    assert_eq!(enforcer.tenant("a")["state"], "rejected");
    let response = enforcer.decide("b", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}
