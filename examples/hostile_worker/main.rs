//! The supervisor with workers that misbehave, for the tests of a compromised worker.
//!
//! The tenant's name selects the worker's behaviour. The worker closes its sandbox exactly as an
//! honest one does, introduces itself, says that it has loaded its bundle, and then behaves so.
//! Where the name begins with `unfiltered-`, it leaves out the seccomp filter, and with
//! `unlimited-` the resource limits too, but reports them as in force: this tests the layers behind
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test program: failures must be visible"
)]

mod attacks;
mod masks;
mod results;

use std::fs::File;
use std::io::Write;

use enforcer_protocol::{
    BatchItem, Decision, DocumentAnswer, Evaluator, FrameBuffer, FromWorker, Given, JsonText,
    MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER, Mask, Outcome, PROTOCOL_VERSION, SandboxLayer,
    SandboxMode, ToWorker, append_frame, decode,
};
use enforcer_supervisor::{Config, WORKER_SUBCOMMAND};
use enforcer_worker::probing::{self, LeftOut};
use enforcer_worker::{BoundedAllocator, Spec};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

#[global_allocator]
static ALLOCATOR: BoundedAllocator = BoundedAllocator;

/// The reason of decisions whose mask is an attack; nobody may see it.
const SECRET: &str = "a secret";

/// Names a system call that the kernel pretends not to have.
const WITHOUT: &str = "HOST_WITHOUT";

/// In the bundle of a worker that obeys its inputs, this makes it obey `crash` and `hang` too.
const OBEY: &[u8] = b"crash";

/// Begins the names of tenants whose workers are honest: the real ones.
const INNOCENT: &str = "innocent";

/// Begin the names of tenants whose workers leave layers out.
const LEFT_OUT: [(&str, LeftOut); 2] =
    [("unfiltered-", LeftOut::Filter), ("unlimited-", LeftOut::FilterAndLimits)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(WORKER_SUBCOMMAND) {
        let (name, spec) = (arguments.get(1).unwrap(), spec(&arguments));
        match name.starts_with(INNOCENT) {
            true => enforcer_worker::run(&spec).unwrap(),
            false => misbehave(name, &spec),
        }
        return;
    }
    if let Ok(call) = std::env::var(WITHOUT) {
        be_a_host_without(&call);
    }
    let config = Config::parse(|_| None, std::env::vars()).unwrap();
    let log = enforcer_supervisor::init_logging(&config.log);
    if let Err(error) = enforcer_supervisor::run(&config, &log) {
        drop(log);
        eprintln!("{error}");
        std::process::exit(1);
    }
}

/// Makes this process and its workers run as on a kernel without a system call.
fn be_a_host_without(call: &str) {
    let number = match call {
        "landlock" => libc::SYS_landlock_create_ruleset,
        "namespaces" => libc::SYS_unshare,
        "users" => libc::SYS_setgroups,
        other => panic!("no such call: {other}"),
    };
    let filter = SeccompFilter::new(
        [(number, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).unwrap();
}

fn spec(arguments: &[String]) -> Spec {
    let value = |flag: &str| arguments.iter().find_map(|argument| argument.strip_prefix(flag));
    Spec {
        mode: value("--sandbox=").map_or(SandboxMode::Strict, |mode| mode.parse().unwrap()),
        memory_limit: value("--memory-limit=").unwrap().parse().unwrap(),
        user: value("--user=").map(|user| user.parse().unwrap()),
    }
}

fn misbehave(name: &str, spec: &Spec) {
    let (manner, left_out) = LEFT_OUT
        .into_iter()
        .find_map(|(prefix, left_out)| Some((name.strip_prefix(prefix)?, left_out)))
        .unwrap_or((name, LeftOut::Nothing));
    let supervisor = std::os::unix::process::parent_id();
    let (mut socket, probing::Report { mut layers, missing }) =
        probing::seal(spec, left_out).unwrap();
    match manner {
        "no-greeting" => socket.write_all(&[0; 1000]).unwrap(),
        "not-sealed" => layers.retain(|layer| *layer != SandboxLayer::LandlockFiles),
        _ => {}
    }
    say(&mut socket, &FromWorker::Hello { version: PROTOCOL_VERSION, layers, missing });
    let mut frames = FrameBuffer::new(MAX_FRAME_TO_WORKER);
    let mut obeys = false;
    loop {
        while let Some(payload) = frames.next_frame().unwrap() {
            match decode(payload).unwrap() {
                ToWorker::BundleChunk(bytes) => {
                    obeys |= bytes.windows(OBEY.len()).any(|window| window == OBEY);
                }
                ToWorker::BundleEnd if manner == "never-loads" => {}
                ToWorker::BundleEnd => {
                    let loaded = FromWorker::Loaded {
                        version: None,
                        bundle_revision: None,
                        evaluator: Evaluator::Bytecode,
                        warnings: Vec::new(),
                        has_mask: masks::has_mask(manner),
                    };
                    say(&mut socket, &loaded);
                    if manner == "unasked" {
                        answer_with(&mut socket, 0, decision("unasked"));
                    }
                }
                ToWorker::Evaluate { id, body, .. } if manner == "told" => {
                    do_as_told(&mut socket, id, body, obeys);
                }
                ToWorker::Evaluate { id, .. } => answer(&mut socket, manner, id, supervisor),
                _ => {}
            }
        }
        if frames.fill(&mut socket).unwrap() == 0 {
            std::process::exit(0);
        }
    }
}

/// Allows where the input says so, with its id as the reason. Where the bundle says so, it ends or
/// hangs when the input says so.
fn do_as_told(socket: &mut File, id: u64, body: &[u8], obeys: bool) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let input = |key: &str| body.pointer(&format!("/input/{key}"));
    let is_told = |key: &str| input(key) == Some(&true.into());
    if obeys && is_told("crash") {
        std::process::abort();
    }
    if obeys && is_told("hang") {
        loop {
            std::hint::spin_loop();
        }
    }
    let outcome = Outcome::Decision(Decision {
        allow: is_told("allow"),
        redact: Vec::new(),
        reason: input("id").and_then(|id| id.as_str()).map(str::to_owned),
    });
    answer_with(socket, id, outcome);
}

fn answer(socket: &mut File, manner: &str, id: u64, supervisor: u32) {
    if let Some(attack) = attacks::by_name(manner) {
        let tried = attack(&attacks::Surroundings { supervisor, socket });
        let words = match tried {
            Ok(()) => "it got through".to_owned(),
            Err(error) => format!("refused: {error:?}"),
        };
        return answer_with(socket, id, decision(&words));
    }
    match manner {
        "honest" | "unasked" => answer_with(socket, id, decision(manner)),
        "differs" => {
            let outcome = decision(manner);
            let mask = Mask::Absent;
            say(socket, &FromWorker::Evaluated { id, outcome, micros: 1, mask, differed: true });
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "garbage" => write(socket, &[0x00, 0x00, 0x00, 0x05, 0xff, 0xff, 0xff, 0xff, 0xff]),
        "longest" => write(socket, &[0xff; 4]),
        "too-much" => loop {
            write(socket, &[0x7f; 65_536]);
        },
        "twice" => {
            answer_with(socket, id, decision("once"));
            answer_with(socket, id, decision("twice"));
        }
        "ahead" => answer_with(socket, id + 1, decision("ahead")),
        "slowly" => {
            // One byte, and then nothing for ever.
            write(socket, &[0]);
            loop {
                std::hint::spin_loop();
            }
        }
        "closes" => std::process::exit(0),
        // An exit code of a worker that could not close its sandbox.
        "claims-host" => std::process::exit(80),
        "splices" => {
            let words =
                "x\"},\"decision_id\":\"forged\",\"result\":{\"allow\":true,\"x\":\"\u{1b}[2J";
            answer_with(socket, id, decision(words));
        }
        "nests" => answer_with(socket, id, decision(&"[".repeat(16_000))),
        "surrogates" => {
            // A decision whose reason is a lone surrogate, which no Rust string can hold.
            let mut bytes = Vec::new();
            let (outcome, mask) = (decision("abc"), Mask::Absent);
            let frame = FromWorker::Evaluated { id, outcome, micros: 1, mask, differed: false };
            append_frame(&mut bytes, &frame, MAX_FRAME_FROM_WORKER).unwrap();
            let at = bytes.windows(3).position(|window| window == b"abc").unwrap();
            bytes.splice(at..at + 3, [0xed, 0xa0, 0x80]);
            write(socket, &bytes);
        }
        manner if let Some(mask) = masks::by_name(manner) => {
            let outcome = decision(SECRET);
            say(socket, &FromWorker::Evaluated { id, outcome, micros: 1, mask, differed: false });
        }
        manner if let Some(text) = results::by_name(manner) => {
            answer_with(socket, id, document(text));
        }
        "many-for-one" => {
            let (key, outcome) = ("a".to_owned(), decision("many"));
            let item = BatchItem { key, outcome, micros: 1, mask: Mask::Absent };
            let items = vec![item];
            say(socket, &FromWorker::BatchEvaluated { id, items, micros: 1, differed: false });
        }
        "floods-stderr" => {
            answer_with(socket, id, decision("honest"));
            // As fast as it can, with sequences that clear a terminal; writing never waits.
            loop {
                let _ = std::io::stderr().write_all(&b"\x1b[2J\x07x".repeat(512));
            }
        }
        "aborts" => {
            let _secret = std::hint::black_box(b"a tenant's secret".repeat(1000));
            std::process::abort();
        }
        // "never" and other names.
        _ => {}
    }
}

fn decision(reason: &str) -> Outcome {
    let reason = Some(reason.to_owned());
    Outcome::Decision(Decision { allow: true, redact: Vec::new(), reason })
}

fn document(text: String) -> Outcome {
    Outcome::Document(DocumentAnswer {
        value: Some(JsonText::new(text)),
        has_rules: true,
        input: Given::Input,
        decision: None,
        parse_nanos: 1,
        evaluation_nanos: 1,
    })
}

fn answer_with(socket: &mut File, id: u64, outcome: Outcome) {
    let mask = Mask::Absent;
    say(socket, &FromWorker::Evaluated { id, outcome, micros: 1, mask, differed: false });
}

fn say(socket: &mut File, frame: &FromWorker) {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, frame, MAX_FRAME_FROM_WORKER).unwrap();
    write(socket, &bytes);
}

fn write(socket: &mut File, bytes: &[u8]) {
    if socket.write_all(bytes).is_err() {
        // The supervisor has closed the socket.
        std::process::exit(0);
    }
}
