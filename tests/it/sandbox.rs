//! A worker that is fully compromised can do nothing but lie about its own tenant.
//!
//! `examples/hostile_worker` is the compromised worker: it closes its sandbox as an honest one does,
//! and then attacks. Where root runs these tests they are run twice, once as root and once as a user
//! without any privilege.
#![allow(clippy::print_stdout, reason = "the table of attacks is there to be read")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::enforcer::{
    Bundles, ECHO, Enforcer, binary, cpu_millis, hostile_binary, is_running, skipped, wait_for,
};

/// A user that owns nothing on the host.
const NOBODY: u32 = 65_534;

/// The defence that remains without the seccomp filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Another layer refuses.
    Layer,
    /// The same, also without the resource limits.
    Layers,
    /// Another layer refuses where every tenant has its own user.
    TenantUser,
    /// Nothing: the call reaches only the process itself and its own namespaces.
    Itself,
}

use Behind::{Itself, Layer, Layers, TenantUser};

/// Attacks by system calls: the number in the design's list, the name, and the defence behind the
/// filter. Under the filter each ends its process.
const FORBIDDEN: &[(u8, &str, Behind)] = &[
    (1, "open-file", Layers),
    (1, "list-root", Layers),
    (1, "make-file", Layers),
    (2, "open-own-memory", Layers),
    (2, "open-supervisors-memory", Layers),
    (3, "stat-file", Layers),
    (3, "chmod-file", Layers),
    (4, "tcp-connect", Layers),
    (5, "udp-send", Layers),
    (6, "unix-abstract", Layers),
    (6, "unix-path", Layers),
    (7, "kill-supervisor", Layers),
    (7, "kill-anybody", Layers),
    (7, "pidfd-kill-supervisor", Layers),
    (8, "ptrace", Layers),
    (8, "read-supervisors-memory", Layers),
    (8, "kcmp", Layers),
    (9, "limit-supervisor", TenantUser),
    (9, "pin-supervisor", TenantUser),
    (9, "slow-supervisor", TenantUser),
    (10, "fork", Layer),
    (10, "vfork", Layer),
    (10, "clone3", Layer),
    (11, "exec", Layers),
    (11, "exec-own-binary", Layers),
    (11, "exec-memory", Layers),
    (12, "map-executable", Layers),
    (12, "make-executable", Layers),
    (14, "map-growing", Itself),
    (14, "map-shared", Itself),
    (15, "page-tables-apart", Itself),
    (16, "io-uring", Layer),
    (16, "userfaultfd", Layer),
    (16, "bpf", Layers),
    (16, "keyring", Itself),
    (16, "perf", Layers),
    #[cfg(target_arch = "x86_64")]
    (17, "int-0x80", Itself),
    #[cfg(target_arch = "x86_64")]
    (17, "x32", Layers),
    (18, "send-descriptor", Itself),
    (18, "signal-on-input", Itself),
    (18, "dup-over-socket", Layer),
    (18, "shutdown-socket", Itself),
    (19, "second-filter", Itself),
    (19, "dumpable-again", Itself),
    (19, "outlive-supervisor", Itself),
    (19, "shared-memory", Itself),
    (19, "unshare", Layers),
    (19, "mount", Layers),
    (19, "change-user", Layers),
    (19, "raise-limits", Layer),
];

/// Attacks that the filter lets through and a limit refuses.
const LIMITED: &[(u8, &str)] = &[(13, "map-2-gib"), (15, "page-tables")];

/// Attacks by the protocol: how the request ends, and the cause of the worker's end.
const SAID: &[(u8, &str, u16, &str)] = &[
    (20, "spin", 504, "stuck"),
    (21, "longest", 503, "protocol_breach"),
    (21, "slowly", 504, "stuck"),
    (21, "garbage", 503, "protocol_breach"),
    (21, "no-greeting", 503, "protocol_breach"),
    (21, "too-much", 503, "protocol_breach"),
    (21, "not-sealed", 503, "protocol_breach"),
    (22, "ahead", 503, "protocol_breach"),
    (23, "surrogates", 503, "protocol_breach"),
    (24, "never", 504, "stuck"),
    (25, "aborts", 503, "crash"),
    (25, "claims-host", 503, "crash"),
];

/// A hostile supervisor over all attackers and one innocent tenant. Workers are lazy, so that they
/// do not all run at once.
fn hostile_enforcer(is_privileged: bool) -> Enforcer {
    let mut bundles = Bundles::new().tenant("innocent", ECHO);
    for (_, name, _) in FORBIDDEN {
        bundles = bundles.tenant(name, ECHO);
        for prefix in ["unfiltered", "unlimited"] {
            bundles = bundles.tenant(&format!("{prefix}-{name}"), ECHO);
        }
    }
    for name in LIMITED.iter().map(|(_, name)| name).chain(SAID.iter().map(|(_, name, ..)| name)) {
        bundles = bundles.tenant(name, ECHO);
    }
    for name in ["twice", "unasked", "splices", "nests", "floods-stderr"] {
        bundles = bundles.tenant(name, ECHO);
    }
    let mut command = hostile_binary();
    if !is_privileged {
        command = as_nobody(&bundles, &command);
    }
    let variables = [("ENFORCER_ACTIVATION", "lazy"), ("ENFORCER_EVAL_TIMEOUT_MS", "2000")];
    bundles.start_as(&mut command, &variables)
}

/// The same program, run by an unprivileged user: the one that runs the tests, unless that is root.
fn as_nobody(bundles: &Bundles, command: &Command) -> Command {
    // The copy lies beside the bundles, where this user can read it.
    let program = bundles.path().join("program");
    fs::copy(command.get_program(), &program).unwrap();
    for path in [bundles.path(), &program] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The users that the supervisor runs as: root where possible, and an unprivileged user.
fn privileges() -> &'static [bool] {
    if geteuid().is_root() {
        &[true, false]
    } else {
        skipped("a privileged supervisor", "these tests are not run by root");
        &[false]
    }
}

/// The result of a request to a hostile worker.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It answered: the kernel's answer to its attack, or another text.
    Said(String),
    /// It ended: the request's status, and the cause of the end.
    Ended(u16, String),
}

fn attack(enforcer: &Enforcer, tenant_id: &str) -> Outcome {
    let response = enforcer.decide(tenant_id, r#"{"input":{}}"#);
    if response.status == 200 {
        let reason = response.json()["result"]["reason"].take();
        return Outcome::Said(reason.as_str().unwrap().to_owned());
    }
    let tenant = wait_for("the worker's end", || {
        Some(enforcer.tenant(tenant_id)).filter(|tenant| tenant["restarts"] != 0)
    });
    let causes = tenant["restarts_by_cause"].as_object().unwrap();
    assert_eq!(causes.len(), 1, "{tenant_id}: {tenant}");
    Outcome::Ended(response.status, causes.keys().next().unwrap().clone())
}

/// Asks the innocent tenant this often, and asserts that it was not affected.
fn assert_innocent_serves(enforcer: &Enforcer, requests: u32) {
    let mut connection = enforcer.connect();
    for number in 0..requests {
        let body = format!(r#"{{"input":{{"allow":true,"id":"{number}"}}}}"#);
        let response = connection.decide("innocent", body.as_bytes());
        let result = response.json()["result"].take();
        assert_eq!(
            (&result["allow"], &result["reason"]),
            (&true.into(), &number.to_string().into())
        );
    }
    assert_eq!(enforcer.tenant("innocent")["restarts"], 0);
}

/// Every attack, with this many requests to another tenant after each.
fn all_attacks(requests: u32) {
    for is_privileged in privileges() {
        let user = if *is_privileged { "root" } else { "unprivileged" };
        let enforcer = hostile_enforcer(*is_privileged);
        enforcer.decide("innocent", r#"{"input":{}}"#);
        let layers = enforcer.tenant("innocent")["sandbox"].take();
        let has = |layer: &str| layers.as_array().unwrap().contains(&layer.into());
        println!("\nsupervisor: {user}; its workers' layers: {layers}");
        println!(
            "{:>2} {:<24} {:<22} {:<20} no limits either",
            "", "attack", "full stack", "without the filter"
        );
        let forbidden = Outcome::Ended(503, "forbidden_call".to_owned());
        for (number, name, behind) in FORBIDDEN {
            let filtered = attack(&enforcer, name);
            assert_eq!(filtered, forbidden, "{name}");
            assert_eq!(enforcer.tenant(name)["state"], "quarantined", "{name}");
            assert_innocent_serves(&enforcer, requests);
            let unfiltered = attack(&enforcer, &format!("unfiltered-{name}"));
            assert_innocent_serves(&enforcer, requests);
            let is_refused = match behind {
                Layer | Layers => true,
                TenantUser => has("tenant_user"),
                Itself => false,
            };
            assert!(!is_refused || was_refused(&unfiltered), "{name}: {unfiltered:?}");
            let mut unlimited = Outcome::Said(String::new());
            if *behind == Layers {
                unlimited = attack(&enforcer, &format!("unlimited-{name}"));
                assert_innocent_serves(&enforcer, requests);
                // Landlock does not restrict UDP, and abstract sockets only since Linux 6.12.
                if ["udp-send", "unix-abstract"].contains(name) && !has("network_namespace") {
                    skipped(name, "this host allows no network namespace to be behind");
                } else if *name == "exec-memory" && !has("landlock_files") {
                    skipped(name, "this host has no Landlock to be behind");
                } else {
                    assert!(was_refused(&unlimited), "{name}: {unlimited:?}");
                }
            }
            print_row(*number, name, [&filtered, &unfiltered, &unlimited]);
        }
        for (number, name) in LIMITED {
            let outcome = attack(&enforcer, name);
            assert_eq!(outcome, Outcome::Said("refused: ENOMEM".to_owned()), "{name}");
            assert_innocent_serves(&enforcer, requests);
            print_row(*number, name, [&outcome]);
        }
        for (number, name, status, cause) in SAID {
            let outcome = attack(&enforcer, name);
            assert_eq!(outcome, Outcome::Ended(*status, (*cause).to_owned()), "{name}");
            if *cause == "protocol_breach" {
                assert_eq!(enforcer.tenant(name)["state"], "quarantined", "{name}");
            }
            assert_innocent_serves(&enforcer, requests);
            print_row(*number, name, [&outcome]);
        }
        lies(&enforcer, requests);
    }
}

/// All that a worker can do: lie about its own tenant's decisions, in valid decisions.
fn lies(enforcer: &Enforcer, requests: u32) {
    // A surplus or early answer is either ignored or ends the worker.
    for (name, said) in [("twice", "once"), ("unasked", "unasked")] {
        let outcome = attack(enforcer, name);
        let breach = Outcome::Ended(503, "protocol_breach".to_owned());
        assert!(outcome == breach || outcome == Outcome::Said(said.to_owned()), "{outcome:?}");
        enforcer.wait_for_state(name, "quarantined");
        assert_innocent_serves(enforcer, requests);
        print_row(22, name, [&outcome]);
    }
    let response = enforcer.decide("splices", r#"{"input":{}}"#);
    let body = response.json();
    assert_eq!(
        body["result"]["reason"].as_str().map(|reason| reason.contains("forged")),
        Some(true)
    );
    assert_ne!(body["decision_id"], "forged", "{response:?}");
    assert!(body["decision_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok(), "{response:?}");
    assert_eq!(body.as_object().unwrap().len(), 3, "{response:?}");
    assert!(!response.text.contains('\u{1b}'), "a terminal's escape: {response:?}");
    let response = enforcer.decide("nests", r#"{"input":{}}"#);
    assert_eq!(response.json()["result"]["reason"].as_str().unwrap(), "[".repeat(16_000));
    assert_innocent_serves(enforcer, requests);
    // It floods until it is ended; its pipe is read only as fast as its rate limit allows.
    assert_eq!(attack(enforcer, "floods-stderr"), Outcome::Said("honest".to_owned()));
    assert_innocent_serves(enforcer, requests);
    let lines = enforcer.log();
    let flood = lines.iter().filter(|line| line["tenant_id"] == "floods-stderr");
    let words = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
    assert!(flood.clone().all(|line| !words(line).contains(['\u{1b}', '\u{7}'])));
    println!("{:>2} {:<24} a lie of its own tenant, and no more", 23, "splices, nests");
    println!("{:>2} {:<24} {} lines of the log", 24, "floods-stderr", flood.count());
}

fn was_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Said(words) if words.starts_with("refused: "))
}

fn print_row<const N: usize>(number: u8, name: &str, outcomes: [&Outcome; N]) {
    let cell = |outcome: &Outcome| match outcome {
        Outcome::Said(words) => words.chars().take(20).collect(),
        Outcome::Ended(status, cause) => format!("{status} {cause}"),
    };
    let cells: Vec<String> =
        outcomes.into_iter().map(|outcome| format!("{:<20}", cell(outcome))).collect();
    println!("{number:>2} {name:<24} {}", cells.join("   ").trim_end());
}

#[test]
fn a_compromised_worker_gets_nowhere() {
    all_attacks(20);
}

#[test]
#[ignore = "takes minutes: tests/sandbox/run"]
fn a_compromised_worker_gets_nowhere_and_costs_another_tenant_none_of_a_thousand_requests() {
    all_attacks(1000);
}

#[test]
fn a_hostile_worker_that_spins_ends_with_its_supervisor() {
    for is_privileged in privileges() {
        let mut enforcer = hostile_enforcer(*is_privileged);
        let mut connection = enforcer.connect();
        connection.begin_to_decide("spin", r#"{"input":{}}"#);
        let worker = wait_for("the worker", || enforcer.workers().get("spin").copied());
        wait_for("the worker to spin", || (cpu_millis(worker) > 50).then_some(()));
        enforcer.signal(Signal::SIGKILL);
        enforcer.wait();
        wait_for("the worker to end", || (!is_running(worker)).then_some(()));
    }
}

#[test]
fn a_crash_with_secrets_in_memory_leaves_no_core_and_soon_a_quarantine() {
    let enforcer = hostile_enforcer(geteuid().is_root());
    assert_innocent_serves(&enforcer, 1);
    // Where a core dump goes depends on the host; this limit does not.
    let worker = enforcer.workers()["innocent"];
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_ascii_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    wait_for("the quarantine", || {
        let round = enforcer.tenant("aborts")["restarts"].take();
        enforcer.decide("aborts", format!(r#"{{"input":{round}}}"#));
        (enforcer.tenant("aborts")["state"] == "quarantined").then_some(())
    });
    assert_innocent_serves(&enforcer, 20);
}

#[test]
fn every_tenant_has_a_user_of_its_own_where_the_supervisor_can_give_it_one() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
    let user = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("Uid:"), line("Gid:"));
        assert_eq!(line("Groups:"), [""; 0]);
        assert_eq!((line("NoNewPrivs:"), line("Seccomp:")), (vec!["1".into()], vec!["2".into()]));
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(line(set), ["0000000000000000"], "{set}");
        }
        line("Uid:")[0].parse::<u32>().unwrap()
    };
    if !geteuid().is_root() {
        skipped("users for tenants", "these tests are not run by root");
        return;
    }
    let range = ("ENFORCER_WORKER_USERS", "70000-70001");
    let enforcer = bundles.start_with(&[range]);
    for tenant_id in ["a", "b"] {
        enforcer.wait_for_state(tenant_id, "ready");
    }
    let mut users: Vec<u32> = enforcer.workers().values().map(|pid| user(*pid)).collect();
    users.sort_unstable();
    assert_eq!(users, [70_000, 70_001]);
    // A tenant without a user does not start: it would share another's.
    bundles.write("c", "policy.rego", ECHO);
    let tenant = wait_for("the third tenant", || {
        let response = enforcer.get("/v1/tenants/c");
        (response.status == 200)
            .then(|| response.json()["result"].take())
            .filter(|tenant| tenant["restarts_by_cause"]["host"].as_u64() > Some(0))
    });
    let message = tenant["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("ENFORCER_WORKER_USERS"), "{tenant}");
    // It then gets the user of a removed tenant.
    fs::remove_dir_all(bundles.path().join("a")).unwrap();
    enforcer.wait_for_state("c", "ready");
}

#[test]
fn nobody_else_can_look_into_the_supervisor_or_a_worker() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let mut command = as_nobody(&bundles, &binary());
    let enforcer = bundles.start_as(&mut command, &[("SECRET", "of the supervisor")]);
    let worker = enforcer.wait_for_state("a", "ready")["pid"].as_u64().unwrap();
    for pid in [u64::from(enforcer.pid()), worker] {
        // Root owns the `/proc` files of an undumpable process (`proc(5)`).
        let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
        assert_eq!(owner, 0, "{pid}");
    }
}

#[test]
fn the_command_says_layer_by_layer_what_this_host_offers() {
    let run = |arguments: &[&str]| {
        binary().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    };
    let report = run(&["sandbox", "--json"]);
    let json: Value = serde_json::from_slice(&report.stdout).unwrap();
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 20, "{json}");
    for layer in layers {
        let is_in_force = layer["is_in_force"].as_bool().unwrap();
        assert!(is_in_force || !layer["reason"].as_str().unwrap().is_empty(), "{layer}");
    }
    let is_strict = json["is_strict"].as_bool().unwrap();
    assert_eq!(report.status.code(), Some(if is_strict { 0 } else { 5 }), "{report:?}");
    // Workers then have exactly the layers that it reports.
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let tenant = enforcer.wait_for_state("a", "ready");
    let in_force: Vec<&Value> = layers
        .iter()
        .filter(|layer| layer["is_in_force"] == true)
        .map(|layer| &layer["layer"])
        .collect();
    assert_eq!(tenant["sandbox"].as_array().unwrap().iter().collect::<Vec<_>>(), in_force);
    assert_eq!(tenant["sandbox_mode"], "strict");
    // The text form has a line for each.
    let table = String::from_utf8(run(&["sandbox"]).stdout).unwrap();
    for layer in layers {
        let name = layer["layer"].as_str().unwrap();
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
    }
    let wrong = run(&["sandbox", "--port", "1"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_host_that_lacks_a_mandatory_layer_serves_nobody() {
    let bundles = Bundles::new().tenant("innocent", ECHO);
    let mut command = hostile_binary();
    command.env("HOST_WITHOUT", "landlock").env("ENFORCER_PORT", "0");
    command.env("BUNDLES_DIR", bundles.path()).stderr(Stdio::piped());
    let ended = command.output().unwrap();
    assert!(!ended.status.success());
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(words.contains("landlock_files (Landlock cannot"), "{words}");
}

#[test]
fn a_host_that_gives_out_no_users_is_served_without_unless_the_operator_insists() {
    if !geteuid().is_root() {
        skipped("a host that gives out no users", "these tests are not run by root");
        return;
    }
    let bundles = Bundles::new().tenant("innocent", ECHO);
    let mut command = hostile_binary();
    command.env("HOST_WITHOUT", "users");
    let enforcer = bundles.start_as(&mut command, &[]);
    let tenant = enforcer.wait_for_state("innocent", "ready");
    assert!(!tenant["sandbox"].as_array().unwrap().contains(&"tenant_user".into()), "{tenant}");
    enforcer.wait_for_log("what is missing", |line| line["layer"] == "tenant_user");
    let ended = command
        .env("ENFORCER_WORKER_USERS", "70000-70009")
        .env("BUNDLES_DIR", bundles.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(words.contains("tenant_user (it cannot run as user 70000"), "{words}");
}

#[test]
fn a_host_without_namespaces_keeps_a_worker_from_files_signals_and_the_network_all_the_same() {
    // An unprivileged user, because root can create the network and other namespaces without a user
    // namespace.
    let attacks = ["open-file", "list-root", "tcp-connect", "kill-supervisor", "ptrace", "exec"];
    let mut bundles = Bundles::new().tenant("innocent", ECHO);
    for name in attacks {
        bundles = bundles.tenant(name, ECHO).tenant(&format!("unlimited-{name}"), ECHO);
    }
    let mut command = as_nobody(&bundles, &hostile_binary());
    command.env("HOST_WITHOUT", "namespaces");
    let enforcer = bundles.start_as(&mut command, &[("ENFORCER_ACTIVATION", "lazy")]);
    assert_innocent_serves(&enforcer, 20);
    let layers = enforcer.tenant("innocent")["sandbox"].take();
    let layers = layers.as_array().unwrap();
    for (layer, is_in_force) in
        [("user_namespace", false), ("network_namespace", false), ("empty_root", false)]
            .into_iter()
            .chain([("landlock_files", true), ("seccomp", true)])
    {
        assert_eq!(layers.contains(&layer.into()), is_in_force, "{layer}: {layers:?}");
    }
    if !layers.contains(&"landlock_network".into()) {
        skipped("a host without namespaces", "its Landlock does not know the network either");
        return;
    }
    for name in attacks {
        let forbidden = Outcome::Ended(503, "forbidden_call".to_owned());
        assert_eq!(attack(&enforcer, name), forbidden, "{name}");
        let behind = attack(&enforcer, &format!("unlimited-{name}"));
        assert!(was_refused(&behind), "{name}: {behind:?}");
        assert_innocent_serves(&enforcer, 20);
    }
}

#[test]
fn a_sandbox_that_is_switched_off_is_said_everywhere() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_SANDBOX", "debug-off")]);
    let tenant = enforcer.wait_for_state("a", "ready");
    assert_eq!(tenant["sandbox_mode"], "debug-off");
    assert!(!tenant["sandbox"].as_array().unwrap().contains(&"seccomp".into()));
    assert_eq!(enforcer.get("/health").json()["sandbox"], "debug-off");
    assert_eq!(enforcer.metric("enforcer_sandbox_off"), 1.0);
    enforcer.wait_for_log("the warning", |line| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|text| text.contains("debug-off"))
    });
    assert_innocent(&enforcer);
    // Other hosts do not report this.
    let enforcer = bundles.start();
    assert_eq!(enforcer.get("/health").text, "{}\n");
    assert_eq!(enforcer.metric("enforcer_sandbox_off"), 0.0);
}

fn assert_innocent(enforcer: &Enforcer) {
    let response = enforcer.decide("a", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn every_built_in_function_runs_under_the_filter() {
    let policy = include_str!("sandbox/builtins.rego");
    let functions = policy.lines().filter(|line| line.starts_with("values[")).count();
    let enforcer = Bundles::new().tenant("calls", policy).start();
    for round in 0..20 {
        let expected = functions + 20_000;
        let input = format!(r#"{{"input":{{"seed":"{round}","expected":{expected}}}}}"#);
        let response = enforcer.decide("calls", input);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    }
    let tenant = enforcer.tenant("calls");
    assert!(tenant["sandbox"].as_array().unwrap().contains(&"seccomp".into()));
    assert_eq!(tenant["restarts"], 0, "{tenant}");
}

/// Prints the cost of the sandbox: the time until a worker serves, and the time of a request.
#[test]
#[ignore = "measures: tests/sandbox/run"]
fn what_the_sandbox_costs() {
    const ROUNDS: usize = 40;
    const REQUESTS: usize = 4000;
    println!(
        "\n{:<12} {:>34} {:>34}",
        "sandbox", "spawn to ready, ms: p50 min max", "one request, µs: p50 p99"
    );
    let modes = ["strict", "debug-off"];
    let bundles = modes.map(|_| Bundles::new().tenant("a", ECHO));
    let enforcers: Vec<Enforcer> = modes
        .iter()
        .zip(&bundles)
        .map(|(mode, bundles)| {
            let variables = [("ENFORCER_SANDBOX", *mode), ("ENFORCER_DECISION_LOG", "false")];
            bundles.start_with(&variables)
        })
        .collect();
    let mut starts = modes.map(|_| Vec::new());
    let mut requests = modes.map(|_| Vec::new());
    // Alternating, so that a machine that becomes slower affects both.
    for round in 0..ROUNDS {
        for (mode, enforcer) in enforcers.iter().enumerate() {
            bundles[mode].write("a", "policy.rego", &format!("{ECHO}# {round}"));
            let reloads = u64::try_from(round).unwrap() + 1;
            wait_for("the reload", || {
                (enforcer.tenant("a")["reloads"].as_u64() >= Some(reloads)).then_some(())
            });
            let mut connection = enforcer.connect();
            for _ in 0..REQUESTS / ROUNDS {
                let begin = std::time::Instant::now();
                connection.decide("a", br#"{"input":{"allow":true}}"#);
                requests[mode].push(begin.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    for (mode, enforcer) in enforcers.iter().enumerate() {
        let lines = enforcer.log();
        let served = lines.iter().filter(|line| line["message"] == "tenant is ready");
        starts[mode].extend(served.map(|line| line["milliseconds"].as_f64().unwrap()));
        let at = |values: &mut Vec<f64>, permille: usize| {
            values.sort_by(f64::total_cmp);
            values[(values.len() * permille / 1000).min(values.len() - 1)]
        };
        println!(
            "{:<12} {:>14.2} {:>9.2} {:>9.2} {:>23.0} {:>10.0}",
            modes[mode],
            at(&mut starts[mode], 500),
            at(&mut starts[mode], 0),
            at(&mut starts[mode], 1000),
            at(&mut requests[mode], 500),
            at(&mut requests[mode], 990)
        );
    }
}
