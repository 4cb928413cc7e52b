//! A configuration is valid as a whole, or every fault in it is reported.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::enforcer::{Bundles, ECHO, Enforcer, binary, wait_for};

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.stderr(Stdio::piped()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn all_errors_are_reported_together_each_with_its_name_and_value() {
    let (code, text) = output(
        binary()
            .args(["--port", "eighty", "--host=nowhere"])
            .env("ENFORCER_HOST", "127.0.0.1")
            .env("BUNDLES_DIR", "/no/such/directory")
            .env("LOG_LEVEL", "loud")
            .env("ENABLE_HOT_RELOAD", "maybe")
            .env("ENFORCER_EVAL_TIMEOUT_MS", "0")
            .env("ENFORCER_MAX_BODY_BYTES", "-1"),
    );
    assert_eq!(code, Some(2), "{text}");
    for line in [
        r#"--port is "eighty": expected a whole number from 0 to 65535"#,
        r#"--host is "nowhere": expected an IP address"#,
        r#"BUNDLES_DIR is "/no/such/directory": expected a directory"#,
        r#"LOG_LEVEL is "loud": expected off"#,
        r#"ENABLE_HOT_RELOAD is "maybe": expected true or false"#,
        r#"ENFORCER_EVAL_TIMEOUT_MS is "0": expected a whole number from 1 to 60000"#,
        r#"ENFORCER_MAX_BODY_BYTES is "-1": expected a whole number from 1024 to 16777216"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn all_errors_of_the_configuration_file_are_reported_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enforcer.toml");
    let content = "port = 70000
hots = 1
queue_length = 0
[tenants.a]
eval_timeout_ms = 0
memory_limit_mib = \"much\"
port = 1
[tenants.\"not a tenant\"]
activation = \"eager\"
[tenants.b]
activation = \"sometimes\"
idle_timeout = \"1 day\"
";
    std::fs::write(&path, content).unwrap();
    let (code, text) = output(binary().arg("--config").arg(&path));
    assert_eq!(code, Some(2), "{text}");
    let path = path.to_str().unwrap();
    for (name, value, expected) in [
        ("port", "70000", "expected a whole number from 0 to 65535"),
        ("hots", "", "expected the name of a setting"),
        ("queue_length", "0", "expected a whole number from 1 to 65536"),
        ("tenants.a.eval_timeout_ms", "0", "expected a whole number from 1 to 60000"),
        ("tenants.a.memory_limit_mib", "much", "expected a whole number from 16 to 65536"),
        ("tenants.a.port", "", "expected one of eval_timeout_ms, "),
        ("tenants.not a tenant", "", "a tenant id is"),
        ("tenants.b.activation", "sometimes", "expected eager or lazy"),
        ("tenants.b.idle_timeout", "1 day", "expected a time from 100ms to 24h"),
    ] {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{name} in {path}")))
            .unwrap_or_else(|| panic!("{name} is not in {text}"));
        assert!(line.contains(value) && line.contains(expected), "{line}");
    }

    std::fs::write(directory.path().join("enforcer.toml"), "port = 1\n\n[tenants\n").unwrap();
    let (code, text) = output(binary().args(["--config", path]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("line 3"), "{text}");
    let (code, text) = output(binary().args(["--config", "/no/such/file"]));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(r#"--config is "/no/such/file": expected a TOML file"#), "{text}");
}

#[test]
fn a_tenant_s_own_limits_are_its_own() {
    let bundles = Bundles::new().tenant("own", ECHO).tenant("other", ECHO);
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "max_body_bytes = 4096
[tenants.own]
max_body_bytes = 1024
activation = \"lazy\"
[tenants.later]
queue_length = 1
";
    std::fs::write(file.path(), content).unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", file.path().to_str().unwrap())]);
    assert_eq!(enforcer.tenant("own")["activation"], "lazy");
    assert_eq!(enforcer.tenant("other")["activation"], "eager");
    let body = format!("{{\"input\":\"{}\"}}", "x".repeat(2000));
    enforcer.decide("own", &body).assert_error(413, "request_too_large");
    assert_eq!(enforcer.decide("other", &body).status, 200);
    let body = body.repeat(3);
    enforcer.decide("other", &body).assert_error(413, "request_too_large");
    enforcer.wait_for_log("the tenant that is not there", |line| {
        line["level"] == "WARN" && line["tenant_id"] == "later"
    });
}

#[test]
fn the_shipped_configuration_file_is_valid() {
    let file = ("ENFORCER_CONFIG", "config/enforcer.toml");
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[file]);
    assert_eq!(enforcer.tenant("tenant-c")["activation"], "lazy");
    assert_eq!(enforcer.wait_for_state("tenant_a", "ready")["activation"], "eager");
}

#[test]
fn a_port_in_use_is_reported_and_nothing_was_started() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port().to_string();
    let bundles = Bundles::new().tenant("a", ECHO);
    let (code, text) =
        output(binary().args(["--port", &port]).arg("--bundles-dir").arg(bundles.path()));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{text}");
    assert!(text.contains("ENFORCER_PORT"), "{text}");
    assert!(!text.contains("tenant is ready"), "{text}");
}

#[test]
fn an_unknown_flag_is_refused_with_a_hint() {
    let (code, text) = output(binary().arg("--prot=1"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--port"), "{text}");
}

#[test]
fn help_names_every_setting_and_no_worker() {
    let output = binary().arg("--help").stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["BUNDLES_DIR", "ENFORCER_PORT", "--log-level", "ENFORCER_EVAL_TIMEOUT_MS"] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert!(!text.contains("worker <tenant>"), "{text}");
}

#[test]
fn a_worker_that_is_started_by_hand_says_that_it_must_not_be() {
    let (code, text) = output(binary().args(["worker", "tenant_a"]));
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("started by the supervisor only"), "{text}");
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let enforcer = Bundles::new().start_with(&[("ENFORCER_PROT", "1")]);
    enforcer.wait_for_log("the warning", |line| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|text| text.contains("ENFORCER_PROT"))
    });
}

#[test]
fn no_tenants_at_all_is_a_service_that_knows_nobody() {
    let enforcer = Bundles::new().start();
    assert_eq!(enforcer.get("/health?bundles").status, 200);
    enforcer.decide("a", r#"{"input":{}}"#).assert_error(404, "resource_not_found");
}

#[test]
fn the_log_has_the_form_that_is_asked_for() {
    let bundles = Bundles::new().tenant("a", ECHO);
    // Standard error is not a terminal here.
    for (format, is_json) in [("text", false), ("json", true), ("auto", true)] {
        let enforcer = bundles.start_with(&[("ENFORCER_LOG_FORMAT", format)]);
        enforcer.wait_for_state("a", "ready");
        let ready = wait_for("the tenant's line", || {
            enforcer.log().into_iter().find(|line| line.to_string().contains("tenant is ready"))
        });
        assert_eq!(ready.is_object(), is_json, "{format}: {ready}");
        assert!(enforcer.log().iter().all(|line| line.is_object() == is_json), "{format}");
        if let Some(text) = ready.as_str() {
            assert!(text.contains("INFO") && text.contains("tenant_id=a"), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }
}
