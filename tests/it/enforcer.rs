//! Starts the real binary over a directory of bundles, and watches its log and its processes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::http_client::{Connection, Response};

/// The deadline for every awaited event. It only bounds broken tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Between two checks of an awaited condition.
const INTERVAL: Duration = Duration::from_millis(5);

/// A policy that echoes the request's id, and allows where the request says so.
pub(crate) const ECHO: &str = "package tenants[TENANT]

default allow := false

allow if input.allow == true

reason := input.id
";

/// Waits until `found` returns a value; `what` names it in the failure.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(INTERVAL); // the interval between two checks
    }
}

/// Reports a skipped check, past the test runner, which captures the output of passing tests.
pub(crate) fn skipped(what: &str, why: &str) {
    let words = format!("SKIPPED: {what}, because {why}\n");
    std::io::stderr().write_all(words.as_bytes()).unwrap();
}

/// Bundles in their own directory. `TENANT` in a policy stands for the tenant's id as a string.
#[derive(Debug)]
pub(crate) struct Bundles(Arc<TempDir>);

impl Bundles {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds a tenant whose bundle is this policy.
    pub(crate) fn tenant(self, tenant_id: &str, policy: &str) -> Self {
        self.file(tenant_id, "policy.rego", policy)
    }

    /// Adds a file to a tenant's bundle.
    pub(crate) fn file(self, tenant_id: &str, path: &str, content: &str) -> Self {
        self.write(tenant_id, path, content);
        self
    }

    /// Writes a file of a tenant's bundle, new or existing.
    pub(crate) fn write(&self, tenant_id: &str, path: &str, content: &str) {
        let path = self.path().join(tenant_id).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("TENANT", &format!("{tenant_id:?}"))).unwrap();
    }

    /// Starts the supervisor over these bundles, on its own port.
    pub(crate) fn start(&self) -> Enforcer {
        self.start_with(&[])
    }

    /// As `start`, with these environment variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Enforcer {
        self.start_as(&mut binary(), variables)
    }

    /// As `start_with`, with the given command.
    pub(crate) fn start_as(&self, command: &mut Command, variables: &[(&str, &str)]) -> Enforcer {
        let mut enforcer = Enforcer::start_as(command, self.path(), variables);
        enforcer.bundles = Some(Arc::clone(&self.0));
        enforcer
    }
}

/// The supervisor whose workers misbehave: see `examples/hostile_worker.rs`.
pub(crate) fn hostile_binary() -> Command {
    let directory = Path::new(env!("CARGO_BIN_EXE_edge-policy-enforcer")).parent().unwrap();
    let program = directory.join("examples/hostile_worker");
    assert!(program.exists(), "build it: cargo test --workspace does");
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The binary under test.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-policy-enforcer"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A running supervisor. It is killed when it is dropped, and its workers end with it.
#[derive(Debug)]
pub(crate) struct Enforcer {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    /// Kept as long as they may be read.
    bundles: Option<Arc<TempDir>>,
    pub(crate) address: SocketAddr,
}

impl Enforcer {
    pub(crate) fn start(bundles: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_as(&mut binary(), bundles, variables)
    }

    /// As `start`, with a command made from [`binary`]'s.
    pub(crate) fn start_as(
        command: &mut Command,
        bundles: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = command
            .env("ENFORCER_PORT", "0")
            .env("BUNDLES_DIR", bundles)
            // Other tests keep the machine busy; those that are about deadlines set their own.
            .env("ENFORCER_EVAL_TIMEOUT_MS", "20000")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let address = wait_for("the address to listen on", || {
            assert!(child.try_wait().unwrap().is_none(), "ended at once: {log:?}");
            let log = log.lock().unwrap();
            log.iter().find_map(address)
        });
        Self { child, log, bundles: None, address }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().request("GET", target, b"")
    }

    /// Asks for a decision on a new connection.
    pub(crate) fn decide(&self, tenant_id: &str, body: impl AsRef<[u8]>) -> Response {
        self.connect().decide(tenant_id, body.as_ref())
    }

    /// The answer to `GET /v1/tenants/{id}`.
    pub(crate) fn tenant(&self, tenant_id: &str) -> Value {
        let response = self.get(&format!("/v1/tenants/{tenant_id}"));
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["result"].take()
    }

    /// A tenant's decision as its policy's `reason`, where it allows.
    pub(crate) fn reason(&self, tenant_id: &str) -> Value {
        self.decide(tenant_id, r#"{"input":{}}"#).json()["result"]["reason"].take()
    }

    /// Waits until a tenant's policy gives this reason.
    pub(crate) fn wait_for_reason(&self, tenant_id: &str, reason: &str) {
        wait_for(&format!("{tenant_id} to say {reason}"), || {
            let response = self.decide(tenant_id, r#"{"input":{}}"#);
            (response.status == 200 && response.json()["result"]["reason"] == reason).then_some(())
        });
    }

    /// Waits until a tenant is in this state; returns its description then.
    pub(crate) fn wait_for_state(&self, tenant_id: &str, state: &str) -> Value {
        wait_for(&format!("{tenant_id} to be {state}"), || {
            Some(self.tenant(tenant_id)).filter(|tenant| tenant["state"] == state)
        })
    }

    /// A metric's value; 0 where it does not exist yet.
    pub(crate) fn metric(&self, name_and_labels: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text.lines().find_map(|line| line.strip_prefix(name_and_labels));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Waits for a line of the log, and returns it.
    pub(crate) fn wait_for_log(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.log.lock().unwrap().iter().find(|line| matches(line)).cloned())
    }

    /// All lines of the log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// The workers' process ids, by the tenant in their command line.
    pub(crate) fn workers(&self) -> BTreeMap<String, u32> {
        children(self.pid())
            .into_iter()
            .map(|pid| (command_line(pid).get(2).cloned().unwrap_or_default(), pid))
            .collect()
    }

    /// Waits for the supervisor to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the supervisor to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        // It may have ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that the server listens on, where this line of the log, JSON or text, has it.
fn address(line: &Value) -> Option<SocketAddr> {
    let in_text = || line.as_str()?.split("address=").nth(1)?.split(' ').next();
    line["address"].as_str().or_else(in_text)?.parse().ok()
}

fn collect(stderr: ChildStderr, log: Arc<Mutex<Vec<Value>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            log.lock().unwrap().push(line);
        }
    });
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Sends a signal to a process group, as a terminal does.
pub(crate) fn send_signal_to_group(leader: u32, signal: Signal) {
    killpg(Pid::from_raw(i32::try_from(leader).unwrap()), signal).unwrap();
}

/// Whether a process exists and has not ended. A zombie counts as ended.
pub(crate) fn is_running(pid: u32) -> bool {
    stat_fields(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

/// Milliseconds of CPU time that a process has used, at the usual 100 ticks a second.
pub(crate) fn cpu_millis(pid: u32) -> u64 {
    let ticks = |fields: Vec<String>| -> u64 {
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    stat_fields(pid).map_or(0, ticks) * 10
}

/// Private memory of a process, in KiB.
pub(crate) fn private_memory(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .map(|line| line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
        .sum()
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let fields = stat_fields(*pid);
            fields.is_some_and(|fields| fields[1] == parent.to_string() && fields[0] != "Z")
        })
        .collect()
}

/// The fields of `/proc/<pid>/stat` behind the program's name.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}
