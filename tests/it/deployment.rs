//! What a shell, a container or a small device hands down does not change what the service is: it
//! serves, or says what is missing.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, binary, send_signal, skipped, wait_for};
use crate::http_client::Connection;

/// A program that hands something down, and a library that turns the clock back.
struct Tools {
    directory: tempfile::TempDir,
}

impl Tools {
    fn get() -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deployment");
            let compile = |flags: &[&str], source: &str, target: &str| {
                let mut command = Command::new("cc");
                command.args(flags).arg("-o").arg(directory.path().join(target));
                let status = command.arg(sources.join(source)).status().unwrap();
                assert!(status.success(), "{source} does not compile");
            };
            compile(&["-O1"], "hand_down.c", "hand_down");
            compile(&["-O1", "-shared", "-fPIC"], "clock.c", "clock.so");
            Self { directory }
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The binary under test, to which `what` is handed down.
fn with(what: &[&str]) -> Command {
    let program = binary();
    let mut command = Command::new(Tools::get().path("hand_down"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command.args(what).arg("--").arg(program.get_program());
    command
}

fn assert_serves(enforcer: &Enforcer) {
    enforcer.wait_for_state("a", "ready");
    assert_eq!(enforcer.decide("a", r#"{"input":{"allow":true}}"#).status, 200);
}

/// How the supervisor ends that cannot start, and what it says.
fn refusal(what: &[&str]) -> (Option<i32>, String) {
    let bundles = Bundles::new().tenant("a", ECHO);
    let output = with(what)
        .env("BUNDLES_DIR", bundles.path())
        .env("ENFORCER_PORT", "0")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_is_handed_down_does_not_keep_the_service_from_serving_or_ending() {
    for what in [
        "blocked-signals",
        "ignored-signals",
        "inotify_init1=EMFILE",
        "pidfd_open=ENOSYS",
        "closed-input-and-output",
        "umask",
        "open-files=64",
    ] {
        let bundles = Bundles::new().tenant("a", ECHO);
        let mut enforcer = bundles.start_as(&mut with(&[what]), &[]);
        assert_serves(&enforcer);
        // How its workers end is known all the same.
        send_signal(enforcer.workers()["a"], Signal::SIGKILL);
        wait_for("the worker's end", || {
            (enforcer.tenant("a")["last_restart"]["cause"] == "killed").then_some(())
        });
        assert_serves(&enforcer);
        enforcer.signal(Signal::SIGTERM);
        assert_eq!(enforcer.wait().code(), Some(0), "{what}");
    }
}

#[test]
fn a_host_that_refuses_openat2_is_told_so_and_no_bundle_is_blamed() {
    for what in ["openat2=ENOSYS", "openat2=EPERM"] {
        let (code, text) = refusal(&[what]);
        assert_eq!(code, Some(5), "{what}: {text}");
        assert!(text.contains("openat2(2)") && text.contains("seccomp profile"), "{text}");
        assert!(!text.contains("bundle rejected"), "{text}");
    }
}

#[test]
fn a_host_without_proc_is_told_so() {
    let (code, text) = refusal(&["no-proc"]);
    if code == Some(120) {
        return skipped("a host without /proc", &text);
    }
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("/proc") && text.contains("mount -t proc"), "{text}");
}

/// A supervisor whose log goes to a file, on a port that was free a moment ago.
fn start_logging_to(command: &mut Command, log: File, bundles: &Bundles) -> (Child, Connect) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = command
        .env("ENFORCER_PORT", port.to_string())
        .env("BUNDLES_DIR", bundles.path())
        .stderr(log)
        .spawn()
        .unwrap();
    let connect = Connect(([127, 0, 0, 1], port).into());
    let child = Child(child);
    wait_for("the supervisor to serve", || connect.is_ready().then_some(()));
    (child, connect)
}

/// Killed when it is dropped.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Connect(std::net::SocketAddr);

impl Connect {
    fn is_ready(&self) -> bool {
        std::net::TcpStream::connect(self.0).is_ok() && self.get("/health?bundles").status == 200
    }

    fn get(&self, target: &str) -> crate::http_client::Response {
        Connection::open(self.0).request("GET", target, b"")
    }

    fn lost_lines(&self) -> f64 {
        let text = self.get("/metrics").text;
        let line =
            text.lines().find_map(|line| line.strip_prefix("enforcer_dropped_log_lines_total "));
        line.unwrap().parse().unwrap()
    }
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted_and_cost_no_decision() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let (_child, service) = start_logging_to(&mut binary(), full(), &bundles);
    for _ in 0..3 {
        let response = Connection::open(service.0).decide("a", br#"{"input":{}}"#);
        assert_eq!(response.status, 200);
    }
    // The lines of the start, and of three decisions.
    wait_for("the lost lines", || (service.lost_lines() >= 5.0).then_some(()));
}

#[test]
fn a_limit_of_file_sizes_ends_the_log_and_not_the_service() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let directory = tempfile::tempdir().unwrap();
    let log = File::create(directory.path().join("log")).unwrap();
    let (_child, service) = start_logging_to(&mut with(&["file-size=300"]), log, &bundles);
    let response = Connection::open(service.0).decide("a", br#"{"input":{}}"#);
    assert_eq!(response.status, 200);
    wait_for("the lost lines", || (service.lost_lines() >= 1.0).then_some(()));
}

#[test]
fn a_clock_before_1970_is_told_at_the_start_and_costs_no_answer_later() {
    let library = Tools::get().path("clock.so");
    let bundles = Bundles::new().tenant("a", ECHO);
    let output = binary()
        .env("LD_PRELOAD", &library)
        .env("BUNDLES_DIR", bundles.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("before 1970: set it"), "{text}");

    let turned = Tools::get().path("turned");
    let mut command = binary();
    command.env("LD_PRELOAD", &library).env("CLOCK_FILE", &turned);
    let mut enforcer = bundles.start_as(&mut command, &[]);
    let mut connection = enforcer.connect();
    assert_serves(&enforcer);
    fs::write(&turned, "").unwrap();
    // Also on connections that are new, whichever thread they come to.
    for _ in 0..50 {
        let response = enforcer.decide("a", r#"{"input":{"allow":true}}"#);
        assert_eq!((response.status, response.header("date")), (200, None), "{response:?}");
    }
    assert_eq!(connection.decide("a", br#"{"input":{"allow":true}}"#).status, 200);
    for target in ["/metrics", "/v1/history", "/v1/tenants/a", "/v1/overview", "/dashboard"] {
        assert_eq!(enforcer.get(target).status, 200, "{target}");
    }
    enforcer.signal(Signal::SIGTERM);
    assert_eq!(enforcer.wait().code(), Some(0));
}

#[test]
fn descriptors_are_kept_for_tenants_that_are_awake_and_for_clients() {
    let mut bundles = Bundles::new();
    for number in 0..20 {
        bundles = bundles.tenant(&format!("t{number}"), ECHO);
    }
    let enforcer =
        bundles.start_as(&mut with(&["open-files=128"]), &[("ENFORCER_ACTIVATION", "lazy")]);
    // Clients that connect and say nothing take no place from those that ask.
    let idle: Vec<Connection> = (0..80).map(|_| enforcer.connect()).collect();
    assert_eq!(enforcer.get("/health").status, 200);
    assert_eq!(enforcer.decide("t7", r#"{"input":{}}"#).status, 200);
    let overview: Value = enforcer.get("/v1/overview").json()["result"].take();
    assert!(overview["max_connections"].as_u64().unwrap() >= 32, "{overview}");
    drop(idle);
}

#[test]
fn an_idle_connection_makes_room_and_one_with_a_request_in_flight_does_not() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_MAX_CONNECTIONS", "2")]);
    assert_serves(&enforcer);
    let mut busy = enforcer.connect();
    busy.send(
        b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n{",
    )
    .unwrap();
    let mut idle = enforcer.connect();
    assert_eq!(idle.request("GET", "/health", b"").status, 200);
    // Both permits are taken; the third client is served once the idle one is gone.
    assert_eq!(enforcer.get("/health").status, 200);
    busy.send(br#""input":{}}"#).unwrap();
    assert_eq!(busy.response().unwrap().status, 200);
    let metric = r#"enforcer_host_limit_reached_total{limit="connections"}"#;
    assert!(enforcer.metric(metric) >= 1.0);
}
