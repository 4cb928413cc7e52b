//! Bundles change while the supervisor runs: a valid bundle takes over, a broken one changes
//! nothing, and no request is lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, is_running, send_signal, wait_for};

/// A policy that names its revision.
fn saying(reason: &str) -> String {
    format!("package tenants[TENANT]\nallow := true\nreason := \"{reason}\"")
}

fn assert_serves(enforcer: &Enforcer, tenant_id: &str) {
    let response = enforcer.decide(tenant_id, r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn a_changed_bundle_is_served_by_a_new_process() {
    let bundles = Bundles::new().tenant("a", &saying("1")).tenant("innocent", ECHO);
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "ready");
    let innocent = enforcer.wait_for_state("innocent", "ready");
    assert_eq!(enforcer.reason("a"), "1");

    bundles.write("a", "policy.rego", &saying("2"));
    enforcer.wait_for_reason("a", "2");
    let after = enforcer.tenant("a");
    assert_ne!(after["pid"], before["pid"]);
    assert_ne!(after["revision"], before["revision"]);
    assert_eq!((&after["restarts"], &after["reloads"]), (&0.into(), &1.into()), "{after}");
    wait_for("the old worker to end", || (enforcer.workers().len() == 2).then_some(()));

    // As editors write: a new file, renamed into place.
    bundles.write("a", ".policy.rego.new", &saying("3"));
    let directory = bundles.path().join("a");
    fs::rename(directory.join(".policy.rego.new"), directory.join("policy.rego")).unwrap();
    enforcer.wait_for_reason("a", "3");
    assert_eq!(enforcer.tenant("innocent")["pid"], innocent["pid"]);
}

#[test]
fn the_same_content_starts_nobody() {
    let bundles = Bundles::new().tenant("a", &saying("1")).tenant("b", &saying("1"));
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "ready");
    enforcer.wait_for_state("b", "ready");
    bundles.write("a", "policy.rego", &saying("1"));
    // When a later change has taken effect, this one was examined too.
    bundles.write("b", "policy.rego", &saying("2"));
    enforcer.wait_for_reason("b", "2");
    enforcer.signal(Signal::SIGHUP);
    bundles.write("b", "policy.rego", &saying("3"));
    enforcer.wait_for_reason("b", "3");
    assert_eq!(enforcer.tenant("a")["pid"], before["pid"]);
}

#[test]
fn a_broken_bundle_changes_nothing_but_what_is_said_of_it() {
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "ready");
    for (path, content, message) in [
        ("policy.rego", "package tenants[TENANT]\nallow if {", "unexpected eof token"),
        ("policy.rego", "package tenants.b", "every package"),
        ("data.json", "[]", "must hold an object"),
    ] {
        bundles.write("a", path, content);
        let tenant = wait_for(message, || {
            let tenant = enforcer.tenant("a");
            let said = tenant["last_error"]["message"].as_str()?.contains(message);
            said.then_some(tenant)
        });
        assert_eq!((&tenant["state"], &tenant["pid"]), (&"ready".into(), &before["pid"]));
        assert_eq!(tenant["revision"], before["revision"]);
        assert!(tenant["last_error"]["errors"][0]["location"]["row"].is_u64(), "{tenant}");
        assert_eq!(enforcer.reason("a"), "1");
    }
    let metric = r#"enforcer_bundle_loads_total{tenant="a",result="rejected"}"#;
    assert_eq!(enforcer.metric(metric), 3.0);
    assert_eq!(enforcer.get("/health?bundles").status, 200);

    fs::remove_file(bundles.path().join("a/data.json")).unwrap();
    bundles.write("a", "policy.rego", &saying("2"));
    enforcer.wait_for_reason("a", "2");
    assert_eq!(enforcer.tenant("a")["last_error"], Value::Null);
}

#[test]
fn what_was_good_again_is_no_longer_said_to_be_broken() {
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "ready");
    bundles.write("a", "policy.rego", "package");
    let is_wrong = || Some(()).filter(|()| !enforcer.tenant("a")["last_error"].is_null());
    wait_for("the rejection", is_wrong);
    bundles.write("a", "policy.rego", &saying("1"));
    wait_for("the rejection to be taken back", || {
        enforcer.tenant("a")["last_error"].is_null().then_some(())
    });
    assert_eq!(enforcer.tenant("a")["pid"], before["pid"]);
}

#[test]
fn a_bundle_that_was_rejected_at_first_is_taken_up_once_it_is_good() {
    let bundles = Bundles::new().tenant("a", "package");
    let enforcer = bundles.start();
    enforcer.wait_for_state("a", "rejected");
    bundles.write("a", "policy.rego", &saying("1"));
    enforcer.wait_for_reason("a", "1");
}

#[test]
fn tenants_come_and_go() {
    let bundles = Bundles::new().tenant("innocent", ECHO);
    let enforcer = bundles.start();
    enforcer.decide("new", r#"{"input":{}}"#).assert_error(404, "resource_not_found");
    bundles.write("new", "policy.rego", &saying("1"));
    enforcer.wait_for_reason("new", "1");
    let pid = enforcer.workers()["new"];

    // Replaced, which takes a moment: no client is told that the tenant does not exist.
    let directory = bundles.path().join("new");
    bundles.write("..next", "policy.rego", &saying("2").replace("TENANT", "\"new\""));
    fs::rename(&directory, bundles.path().join("..before")).unwrap();
    fs::rename(bundles.path().join("..next"), &directory).unwrap();
    wait_for("the second", || {
        let response = enforcer.decide("new", r#"{"input":{}}"#);
        assert_eq!(response.status, 200, "{response:?}");
        (response.json()["result"]["reason"] == "2").then_some(())
    });

    fs::remove_dir_all(&directory).unwrap();
    wait_for("the tenant to be gone", || {
        let response = enforcer.decide("new", r#"{"input":{}}"#);
        assert!(matches!(response.status, 200 | 404), "{response:?}");
        (response.status == 404).then_some(())
    });
    wait_for("its worker to end", || (!enforcer.workers().contains_key("new")).then_some(()));
    assert!(!is_running(pid));
    wait_for("its metrics to be gone", || {
        (!enforcer.get("/metrics").text.contains("tenant=\"new\"")).then_some(())
    });
    bundles.write("new", "policy.rego", &saying("3"));
    enforcer.wait_for_reason("new", "3");
    assert_serves(&enforcer, "innocent");
}

#[test]
fn a_config_map_s_swap_is_taken_up() {
    let bundles = Bundles::new();
    let directory = bundles.path().join("a");
    let swap = |version: &str| {
        let data = directory.join(format!("..{version}"));
        fs::create_dir_all(&data).unwrap();
        let policy = saying(version).replace("TENANT", "\"a\"");
        fs::write(data.join("policy.rego"), policy).unwrap();
        symlink(format!("..{version}"), directory.join("..next")).unwrap();
        fs::rename(directory.join("..next"), directory.join("..data")).unwrap();
    };
    swap("1");
    symlink("..data/policy.rego", directory.join("policy.rego")).unwrap();
    let enforcer = bundles.start();
    enforcer.wait_for_reason("a", "1");
    for version in ["2", "3"] {
        swap(version);
        enforcer.wait_for_reason("a", version);
    }
}

#[test]
fn without_hot_reload_sighup_takes_changes_up_and_nothing_else_does() {
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let watching = bundles.start();
    let enforcer = bundles.start_with(&[("ENABLE_HOT_RELOAD", "false")]);
    enforcer.wait_for_reason("a", "1");
    bundles.write("a", "policy.rego", &saying("2"));
    bundles.write("b", "policy.rego", &saying("1"));
    // When another supervisor has picked up the change, this one had the time for it.
    watching.wait_for_reason("a", "2");
    watching.wait_for_reason("b", "1");
    assert_eq!(enforcer.reason("a"), "1");
    enforcer.decide("b", r#"{"input":{}}"#).assert_error(404, "resource_not_found");
    enforcer.signal(Signal::SIGHUP);
    enforcer.wait_for_reason("a", "2");
    enforcer.wait_for_reason("b", "1");
}

#[test]
fn what_the_file_system_does_not_tell_is_found_by_looking() {
    // The link that changes is in a directory that is not watched, so there are no events.
    let versions = Bundles::new().tenant("1", &saying("1")).tenant("2", &saying("2"));
    for version in ["1", "2"] {
        versions.write(version, "policy.rego", &saying(version).replace("TENANT", "\"a\""));
    }
    let current = versions.path().join("current");
    symlink("1", &current).unwrap();
    let bundles = Bundles::new();
    symlink(&current, bundles.path().join("a")).unwrap();
    let enforcer = bundles.start();
    enforcer.wait_for_reason("a", "1");
    symlink("2", versions.path().join("next")).unwrap();
    fs::rename(versions.path().join("next"), &current).unwrap();
    enforcer.wait_for_reason("a", "2");
}

#[test]
fn a_directory_that_is_gone_for_a_moment_is_still_a_tenant() {
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let enforcer = bundles.start();
    enforcer.wait_for_reason("a", "1");
    let directory = bundles.path().join("a");
    let gone = Instant::now();
    fs::rename(&directory, bundles.path().join("..away")).unwrap();
    // When a later change has taken effect, its absence was seen too.
    bundles.write("b", "policy.rego", &saying("1"));
    enforcer.wait_for_reason("b", "1");
    let response = enforcer.decide("a", r#"{"input":{}}"#);
    // On a machine that is very slow it may have been gone for long enough by now.
    if gone.elapsed() < Duration::from_secs(1) {
        assert_eq!(response.status, 200, "{response:?}");
    }
    fs::rename(bundles.path().join("..away"), &directory).unwrap();
    enforcer.wait_for_reason("a", "1");
}

#[test]
fn a_hundred_tenants_that_change_at_once_are_all_taken_up() {
    let tenants: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
    let bundles =
        tenants.iter().fold(Bundles::new(), |bundles, id| bundles.tenant(id, &saying("1")));
    let enforcer = bundles.start_with(&[("ENFORCER_LOAD_TIMEOUT_MS", "60000")]);
    for tenant_id in &tenants {
        enforcer.wait_for_reason(tenant_id, "1");
    }
    for tenant_id in &tenants {
        bundles.write(tenant_id, "policy.rego", &saying("2"));
    }
    for tenant_id in &tenants {
        enforcer.wait_for_reason(tenant_id, "2");
        assert_eq!(enforcer.tenant(tenant_id)["restarts"], 0);
    }
}

#[test]
fn without_its_bundles_directory_every_tenant_keeps_what_it_has() {
    let bundles = Bundles::new();
    let directory = bundles.path().join("bundles");
    fs::create_dir(&directory).unwrap();
    let write = |tenant_id: &str, reason: &str| {
        fs::create_dir_all(directory.join(tenant_id)).unwrap();
        let policy = saying(reason).replace("TENANT", &format!("{tenant_id:?}"));
        fs::write(directory.join(tenant_id).join("policy.rego"), policy).unwrap();
    };
    write("a", "1");
    let enforcer = Enforcer::start(&directory, &[]);
    let pid = enforcer.wait_for_state("a", "ready")["pid"].as_u64().unwrap();
    let away = bundles.path().join("away");
    fs::rename(&directory, &away).unwrap();
    enforcer.wait_for_log("the loss", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("tenants keep what they have"))
    });
    assert_eq!(enforcer.metric("enforcer_bundles_dir_readable"), 0.0);
    assert_eq!(enforcer.reason("a"), "1");
    // Also a worker that must be started again.
    send_signal(u32::try_from(pid).unwrap(), Signal::SIGKILL);
    wait_for("another worker", || {
        let tenant = enforcer.tenant("a");
        (tenant["state"] == "ready" && tenant["pid"] != pid).then_some(())
    });
    assert_eq!(enforcer.reason("a"), "1");
    fs::rename(&away, &directory).unwrap();
    wait_for("its return", || {
        (enforcer.metric("enforcer_bundles_dir_readable") == 1.0).then_some(())
    });
    write("a", "2");
    write("b", "1");
    enforcer.wait_for_reason("a", "2");
    enforcer.wait_for_reason("b", "1");
}

#[test]
fn a_bundle_of_thousands_of_files_that_is_being_copied_ends_as_what_it_is() {
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let enforcer = bundles.start_with(&[("ENFORCER_LOAD_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_reason("a", "1");
    let files = 3000;
    for number in 0..files {
        let module = format!("package tenants[TENANT]\nparts contains {number}");
        bundles.write("a", &format!("parts/{number}.rego"), &module);
    }
    bundles.write(
        "a",
        "policy.rego",
        "package tenants[TENANT]\nallow := true\nreason := sprintf(\"%d\", [count(parts)])",
    );
    enforcer.wait_for_reason("a", &files.to_string());
}

#[test]
fn links_of_one_tenant_keep_nobody_from_being_reloaded() {
    let bundles = Bundles::new().tenant("innocent", &saying("1")).tenant("evil", &saying("1"));
    // Directories that link to each other: paths through them never end.
    for from in 0..12 {
        let directory = bundles.path().join(format!("evil/d{from}"));
        fs::create_dir(&directory).unwrap();
        for to in (0..12).filter(|to| *to != from) {
            symlink(format!("../d{to}"), directory.join(format!("l{to}"))).unwrap();
        }
    }
    symlink("/", bundles.path().join("evil/root")).unwrap();
    symlink("../innocent", bundles.path().join("evil/other")).unwrap();
    let mut enforcer = bundles.start();
    enforcer.wait_for_state("evil", "rejected");
    for version in ["2", "3"] {
        bundles.write("innocent", "policy.rego", &saying(version));
        enforcer.wait_for_reason("innocent", version);
        bundles.write(
            &format!("new{version}"),
            "policy.rego",
            &saying("1").replace("TENANT", &format!("\"new{version}\"")),
        );
        enforcer.wait_for_reason(&format!("new{version}"), "1");
        // And after the links are removed.
        let _ = fs::remove_file(bundles.path().join("evil/other"));
    }
    enforcer.signal(Signal::SIGTERM);
    assert_eq!(enforcer.wait().code(), Some(0));
}

#[test]
fn a_bundle_that_comes_back_while_another_is_loaded_is_taken_up_again() {
    // Slow to load, and then refused.
    let broken =
        format!("package tenants[TENANT]\n{}\nallow if x == 1", "# a comment\n".repeat(200_000));
    let bundles = Bundles::new().tenant("a", &saying("1"));
    let enforcer = bundles.start_with(&[("ENFORCER_LOAD_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_reason("a", "1");
    for round in 2..6 {
        bundles.write("a", "policy.rego", &broken);
        enforcer.signal(Signal::SIGHUP);
        enforcer.signal(Signal::SIGHUP);
        bundles.write("a", "policy.rego", &saying("1"));
        enforcer.signal(Signal::SIGHUP);
        bundles.write("a", "policy.rego", &saying(&round.to_string()));
        enforcer.wait_for_reason("a", &round.to_string());
    }
}

#[test]
fn a_directory_within_a_bundle_is_watched_too() {
    let bundles = Bundles::new()
        .tenant("a", "package tenants[TENANT]\nallow := true\nreason := data.tenants.a.lib.x")
        .file("a", "lib/deep/x.rego", "package tenants.a.lib\nx := \"1\"");
    let enforcer = bundles.start();
    enforcer.wait_for_reason("a", "1");
    for version in 2..5 {
        bundles.write(
            "a",
            "lib/deep/x.rego",
            &format!("package tenants.a.lib\nx := \"{version}\""),
        );
        enforcer.wait_for_reason("a", &version.to_string());
    }
}

#[test]
fn no_request_is_lost_while_bundles_change() {
    reload_under_load(4, 4_000, 30);
}

/// Every answer belongs to the revision that was current when its request was sent, or to a later
/// one.
pub(crate) fn reload_under_load(clients: usize, requests: usize, changes: u32) {
    let bundles = Bundles::new().tenant("a", &saying("0"));
    let enforcer = bundles.start();
    enforcer.wait_for_reason("a", "0");
    let seen = std::sync::atomic::AtomicU32::new(0);
    let done = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut connection = enforcer.connect();
                loop {
                    // A revision that another client saw before this request was sent is current.
                    let current = seen.load(std::sync::atomic::Ordering::SeqCst);
                    let response = connection.decide("a", br#"{"input":{}}"#);
                    assert_eq!(response.status, 200, "{response:?}");
                    let reason = response.json()["result"]["reason"].take();
                    let revision: u32 = reason.as_str().unwrap().parse().unwrap();
                    assert!(revision >= current, "{revision} after {current}");
                    seen.fetch_max(revision, std::sync::atomic::Ordering::SeqCst);
                    let done = done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if done >= requests && revision == changes {
                        return;
                    }
                }
            });
        }
        for change in 1..=changes {
            bundles.write("a", ".next", &saying(&change.to_string()));
            let directory = bundles.path().join("a");
            fs::rename(directory.join(".next"), directory.join("policy.rego")).unwrap();
            wait_for("the change to be taken up", || {
                (seen.load(std::sync::atomic::Ordering::SeqCst) == change).then_some(())
            });
        }
    });
    let tenant = enforcer.tenant("a");
    assert_eq!((&tenant["restarts"], &tenant["reloads"]), (&0.into(), &changes.into()), "{tenant}");
    assert!(done.into_inner() >= requests);
}

#[test]
fn a_worker_that_ends_while_its_successor_comes_up_is_replaced_by_what_is_known_to_load() {
    let says = saying;
    let bundles = Bundles::new().tenant("a", &says("old"));
    let enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "5000")]);
    enforcer.wait_for_reason("a", "old");
    let serving = enforcer.workers()["a"];
    // Its warm-up takes as long as an evaluation may.
    let slow = "
redact contains `field` if {
	some x in numbers.range(1, 100000)
	some y in numbers.range(1, 100000)
	x + y < 0
}";
    bundles.write("a", "policy.rego", &(says("new") + slow));
    wait_for("the successor", || (enforcer.workers()["a"] != serving).then_some(()));
    send_signal(serving, Signal::SIGKILL);
    wait_for("the worker's end", || (!is_running(serving)).then_some(()));
    let response = enforcer.decide("a", r#"{"input":{}}"#);
    assert_eq!(response.json()["result"]["reason"], "old", "{response:?}");
}

#[test]
fn a_bundle_that_is_put_right_is_not_spoken_ill_of() {
    let bundles = Bundles::new().tenant("a", "package tenants[TENANT]\nallow if {");
    let enforcer = bundles.start();
    let tenant = enforcer.wait_for_state("a", "rejected");
    assert!(tenant["last_error"]["errors"].is_array(), "{tenant}");
    bundles.write("a", "policy.rego", ECHO);
    let tenant = enforcer.wait_for_state("a", "ready");
    assert!(tenant["last_error"].is_null(), "{tenant}");
    let metric = r#"enforcer_bundle_loads_total{tenant="a",result="loaded"}"#;
    assert_eq!(enforcer.metric(metric), 1.0);
}
