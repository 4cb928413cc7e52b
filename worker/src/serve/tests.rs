use super::*;

use enforcer_protocol::{Evaluator, LoadSettings, Namespace, TestGate};

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

const MODULE: &[u8] = b"package tenants.a
allow if {
    input.loop
    some x in numbers.range(1, 10000)
    some y in numbers.range(1, 10000)
    x + y < 0
}
allow if input.allow
mask contains \"/input/secret\"
mask contains \"/input\" if {
    input.input.slow
    some x in numbers.range(1, 10000)
    some y in numbers.range(1, 10000)
    x + y < 0
}";

/// A worker's frames, one after the other.
struct Received {
    socket: UnixStream,
    frames: FrameBuffer,
}

impl Received {
    fn next(&mut self) -> FromWorker {
        loop {
            if let Some(payload) = self.frames.next_frame().unwrap() {
                return decode(payload).unwrap();
            }
            assert_ne!(self.frames.fill(&mut self.socket).unwrap(), 0, "the worker ended");
        }
    }
}

/// Starts a worker that has loaded `MODULE`.
fn start() -> (UnixStream, Received, JoinHandle<Result<(), WorkerError>>) {
    let (mut socket, worker) = UnixStream::pair().unwrap();
    let worker = File::from(OwnedFd::from(worker));
    let serving = thread::spawn(move || serve(&Sealed::not_at_all(), worker));
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = u64::try_from(MODULE.len()).unwrap();
    send(
        &mut socket,
        &[
            ToWorker::LoadBundle(LoadSettings {
                tenant_id: "a",
                namespace: Namespace::Strict,
                entrypoint: vec!["tenants", "a", "allow"],
                evaluation_timeout_micros: 1_000_000,
                bytecode: true,
                strict_builtin_errors: false,
                max_result: 1024 * 1024,
                tests: TestGate::Ignored,
            }),
            ToWorker::BundleFile { path: "policy.rego", length },
            ToWorker::BundleChunk(MODULE),
            ToWorker::BundleEnd,
        ],
    );
    let frames = FrameBuffer::new(MAX_FRAME_FROM_WORKER);
    let mut received = Received { socket: socket.try_clone().unwrap(), frames };
    assert!(matches!(received.next(), FromWorker::Hello { .. }));
    let (evaluator, warnings) = (Evaluator::Bytecode, Vec::new());
    let loaded = FromWorker::Loaded {
        version: None,
        bundle_revision: None,
        evaluator,
        warnings,
        has_mask: true,
    };
    assert_eq!(received.next(), loaded);
    (socket, received, serving)
}

/// Sends all of them at once, so that the worker finds them together.
fn send(socket: &mut UnixStream, frames: &[ToWorker<'_>]) {
    let mut bytes = Vec::new();
    for frame in frames {
        append_frame(&mut bytes, frame, MAX_FRAME_TO_WORKER).unwrap();
    }
    socket.write_all(&bytes).unwrap();
}

fn ask(id: u64, deadline_micros: u64, body: &[u8]) -> ToWorker<'_> {
    let query = Query::Decision;
    ToWorker::Evaluate { id, query, deadline_micros, wants_mask: true, body }
}

#[test]
fn an_answer_does_not_wait_for_a_slow_evaluation_behind_it() {
    let (mut socket, mut received, _serving) = start();
    let deadline = monotonic_micros() + 3_000_000;
    let requests = [
        ask(0, deadline, br#"{"input":{"allow":true}}"#),
        ask(1, deadline, br#"{"input":{"loop":true}}"#),
        ask(2, deadline + 10_000_000, br#"{"input":{"allow":true}}"#),
    ];
    send(&mut socket, &requests);
    let mut answer = || match received.next() {
        FromWorker::Evaluated { id, outcome, .. } => (id, outcome, monotonic_micros()),
        other => panic!("{other:?}"),
    };
    let (first, second, third) = (answer(), answer(), answer());
    assert!(matches!(first, (0, Outcome::Decision(_), at) if at < deadline), "{first:?}");
    assert!(matches!(second, (1, Outcome::TimedOut, at) if at >= deadline), "{second:?}");
    assert!(matches!(third, (2, Outcome::Decision(_), _)), "{third:?}");
}

#[test]
fn answers_that_arrive_together_are_masked_each_where_it_is_wanted() {
    let (mut socket, mut received, _serving) = start();
    let deadline = monotonic_micros() + 20_000_000;
    let body = br#"{"input":{"allow":true,"secret":1}}"#;
    let unwanted = ToWorker::Evaluate {
        id: 1,
        query: Query::Decision,
        deadline_micros: deadline,
        wants_mask: false,
        body,
    };
    let slow = br#"{"input":{"allow":true,"slow":true}}"#;
    send(
        &mut socket,
        &[ask(0, deadline, body), unwanted, ask(2, deadline, body), ask(3, deadline, slow)],
    );
    let mut answer = || match received.next() {
        FromWorker::Evaluated { outcome: Outcome::Decision(decision), mask, .. } => {
            assert!(decision.allow);
            mask
        }
        other => panic!("{other:?}"),
    };
    let shown = |mask: Mask| match mask {
        Mask::Applied(masked) => masked.input.unwrap().as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(answer()), r#"{"allow":true}"#);
    assert_eq!(answer(), Mask::Absent);
    assert_eq!(shown(answer()), r#"{"allow":true}"#);
    assert!(matches!(answer(), Mask::Failed(_)), "and its decision is answered");
}

#[test]
fn masks_that_do_not_fit_are_left_out_and_never_the_answer() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut answers = Answers::new(File::from(OwnedFd::from(ours)));
    let masked = enforcer_protocol::MaskedDecision {
        input: Some(enforcer_protocol::JsonText::new("1".repeat(200))),
        decision: enforcer_protocol::Decision::default(),
        erased: Vec::new(),
        masked: Vec::new(),
    };
    answers.limit = 100;
    let outcome = Outcome::Decision(enforcer_protocol::Decision::default());
    let mask = Mask::Applied(Box::new(masked));
    answers.append_reply(0, Reply::One(outcome.clone()), mask, 1, false).unwrap();
    let payload = answers.waiting.get(enforcer_protocol::FRAME_HEADER_LENGTH..).unwrap();
    let (mask, differed) = (Mask::TooLarge, false);
    let expected = FromWorker::Evaluated { id: 0, outcome, micros: 1, mask, differed };
    assert_eq!(decode::<FromWorker>(payload).unwrap(), expected);
}

#[test]
fn a_request_that_comes_too_late_is_not_read() {
    let (mut socket, mut received, _serving) = start();
    // If it were parsed, it would be refused.
    send(&mut socket, &[ask(0, monotonic_micros(), b"no JSON")]);
    let FromWorker::Evaluated { outcome, .. } = received.next() else { panic!() };
    assert_eq!(outcome, Outcome::TimedOut);
}

#[test]
fn a_frame_that_has_no_place_ends_the_worker() {
    let (mut socket, _received, serving) = start();
    send(&mut socket, &[ToWorker::BundleEnd]);
    assert!(matches!(serving.join().unwrap(), Err(WorkerError::OutOfOrder(_))));
}
