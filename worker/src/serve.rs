//! The loop: read frames, evaluate, write frames.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use enforcer_protocol::{
    EncodeError, FRAME_FROM_WORKER_MARGIN, Findings, FrameBuffer, FromWorker,
    MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER, Mask, Outcome, PROTOCOL_VERSION, Query,
    RateLimiter, ToWorker, append_frame, decode,
};

use enforcer_rego::Value;

use crate::answer::{Answer, Reply, answer};
use crate::bundle::Assembly;
use crate::clock::monotonic_micros;
use crate::diagnostics::{evaluation_failed, shortened};
use crate::engine::Policy;
use crate::error::WorkerError;
use crate::inspect::inspect;
use crate::mask::Masker;
use crate::sandbox::{Report, Sealed};

/// Bytes of answers that are collected for one write. Beyond it they are written before the next
/// request is evaluated.
const WRITE_BATCH: usize = 64 * 1024;

/// How long an evaluation may delay the answers that wait to be written with its own. An evaluation
/// that takes longer is stopped, the answers are written, and it begins again.
const BATCH_PATIENCE_MICROS: u64 = 2000;

/// Lines that a policy may print in a second; more are left out, and one line says so.
const PRINTED_LINES: u32 = 16;

/// Which frames the worker accepts next.
enum State {
    Loading(Assembly),
    Serving(Box<Policy>),
    /// The bundle was refused, or inspected; the worker waits for the socket to be closed.
    Done,
}

/// Sends only the frame that says which layers are in force.
pub(crate) fn introduce(report: &Report, socket: File) -> Result<(), WorkerError> {
    Answers::new(socket).introduce(report)
}

/// Serves the supervisor until it closes the socket. The socket is a `File`, because a `File` uses
/// `read(2)` and `write(2)`, which the seccomp filter allows.
pub(crate) fn serve(sealed: &Sealed, socket: File) -> Result<(), WorkerError> {
    let mut frames = FrameBuffer::new(MAX_FRAME_TO_WORKER);
    let mut answers = Answers::new(socket);
    let mut printer = Printer::default();
    answers.introduce(sealed.report())?;

    let mut state = State::Loading(Assembly::default());
    loop {
        match frames.fill(&mut *answers.socket) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        // All requests that have arrived are answered with one write: under load, that is one
        // context switch to the supervisor for many answers.
        while let Some(payload) = frames.next_frame()? {
            state = take(state, &decode(payload)?, &mut answers)?;
            if let State::Serving(policy) = &mut state {
                printer.print(policy.take_prints());
            }
            if answers.waiting.len() >= WRITE_BATCH {
                answers.write()?;
            }
        }
        answers.write()?;
    }
}

fn take(state: State, frame: &ToWorker<'_>, answers: &mut Answers) -> Result<State, WorkerError> {
    match (state, frame) {
        (State::Loading(mut assembly), frame) => {
            let Some(bundle) = assembly.take(frame).map_err(WorkerError::OutOfOrder)? else {
                return Ok(State::Loading(assembly));
            };
            if let ToWorker::Inspect { inspection, deadline_micros, body } = frame {
                answers.limit = MAX_FRAME_FROM_WORKER;
                let findings = inspect(bundle, inspection, body, *deadline_micros);
                answers.append_findings(findings)?;
                return Ok(State::Done);
            }
            answers.limit = bundle.max_result + FRAME_FROM_WORKER_MARGIN;
            match Policy::load(bundle) {
                Ok(policy) => {
                    let (version, bundle_revision) = (policy.version(), policy.bundle_revision());
                    let (evaluator, warnings) = (policy.evaluator(), policy.warnings());
                    answers.append(&FromWorker::Loaded {
                        version,
                        bundle_revision,
                        evaluator,
                        warnings,
                        has_mask: policy.has_mask(),
                    })?;
                    Ok(State::Serving(Box::new(policy)))
                }
                Err(diagnostics) => {
                    answers.append(&FromWorker::LoadFailed { diagnostics })?;
                    Ok(State::Done)
                }
            }
        }
        (
            State::Serving(mut policy),
            ToWorker::Evaluate { id, query, deadline_micros, wants_mask, body },
        ) => {
            let start = monotonic_micros();
            // A request that comes too late is not even parsed: that costs time too, and would
            // delay the requests behind it.
            if start >= *deadline_micros {
                let late = Reply::One(Outcome::TimedOut);
                answers.append_reply(*id, late, Mask::Absent, 0, false)?;
                return Ok(State::Serving(policy));
            }
            let Answer { mut reply, inputs } =
                evaluate(&mut policy, query, body, *deadline_micros, answers)?;
            let micros = monotonic_micros().saturating_sub(start);
            let mask = if *wants_mask && policy.has_mask() {
                let masker = Masker::new(&mut policy, query, *deadline_micros);
                mask(masker, &mut reply, &inputs, answers)?
            } else {
                Mask::Absent
            };
            answers.append_reply(*id, reply, mask, micros, policy.take_has_differed())?;
            Ok(State::Serving(policy))
        }
        (State::Serving(_), _) => Err(WorkerError::OutOfOrder("the bundle is loaded")),
        (State::Done, _) => Err(WorkerError::OutOfOrder("the worker has nothing more to do")),
    }
}

/// Evaluates, without a long delay for the answers that wait to be written.
fn evaluate(
    policy: &mut Policy,
    query: &Query,
    body: &[u8],
    deadline_micros: u64,
    answers: &mut Answers,
) -> io::Result<Answer> {
    if answers.waiting.is_empty() {
        return Ok(answer(policy, query, body, deadline_micros));
    }
    let patience = monotonic_micros().saturating_add(BATCH_PATIENCE_MICROS);
    // A batch that is stopped in the middle would begin again from its first input.
    if patience < deadline_micros && !matches!(query, Query::Batch(..)) {
        let reply = answer(policy, query, body, patience);
        if !reply.is_timed_out() {
            return Ok(reply);
        }
    }
    // An evaluation changes nothing, so it can be done again from its beginning.
    answers.write()?;
    Ok(answer(policy, query, body, deadline_micros))
}

/// Masks the decisions of a reply, without a long delay for the answers that wait to be written.
fn mask(
    mut masker: Masker<'_>,
    reply: &mut Reply,
    inputs: &[Option<Value>],
    answers: &mut Answers,
) -> io::Result<Mask> {
    match reply {
        Reply::One(outcome) => {
            let input = inputs.first().and_then(Option::as_ref);
            if !answers.waiting.is_empty() {
                let patience = Duration::from_micros(BATCH_PATIENCE_MICROS);
                if let Some(mask) = masker.try_mask(outcome, input, patience) {
                    return Ok(mask);
                }
                answers.write()?;
            }
            Ok(masker.mask(outcome, input))
        }
        Reply::Batch(items) => {
            answers.write()?;
            for (item, input) in items.iter_mut().zip(inputs) {
                item.mask = masker.mask(&item.outcome, input.as_ref());
            }
            Ok(Mask::Absent)
        }
    }
}

/// The answers to the supervisor.
struct Answers {
    /// Closed only by the end of the process: the filter does not allow `close(2)`.
    socket: ManuallyDrop<File>,
    /// Whole frames that are not written yet.
    waiting: Vec<u8>,
    /// Largest frame, in bytes.
    limit: usize,
}

impl Answers {
    fn new(socket: File) -> Self {
        Self {
            socket: ManuallyDrop::new(socket),
            waiting: Vec::new(),
            limit: FRAME_FROM_WORKER_MARGIN,
        }
    }

    fn introduce(&mut self, Report { layers, missing }: &Report) -> Result<(), WorkerError> {
        let (layers, missing) = (layers.clone(), missing.clone());
        self.append(&FromWorker::Hello { version: PROTOCOL_VERSION, layers, missing })?;
        Ok(self.write()?)
    }

    fn append(&mut self, frame: &FromWorker) -> Result<(), EncodeError> {
        append_frame(&mut self.waiting, frame, self.limit)
    }

    fn append_findings(&mut self, findings: Findings) -> Result<(), EncodeError> {
        match self.append(&FromWorker::Inspected(findings)) {
            Err(EncodeError::TooLong(too_long)) => {
                let message = format!("the report is too long: {too_long}");
                let outcome = Outcome::Failed(evaluation_failed(&message));
                self.append(&FromWorker::Inspected(Findings::Failed(outcome)))
            }
            result => result,
        }
    }

    fn append_reply(
        &mut self,
        id: u64,
        reply: Reply,
        mask: Mask,
        micros: u64,
        differed: bool,
    ) -> Result<(), EncodeError> {
        let mut frame = match reply {
            Reply::One(outcome) => FromWorker::Evaluated { id, outcome, micros, mask, differed },
            Reply::Batch(items) => FromWorker::BatchEvaluated { id, items, micros, differed },
        };
        let mut appended = self.append(&frame);
        if matches!(appended, Err(EncodeError::TooLong(_))) && leave_masks_out(&mut frame) {
            appended = self.append(&frame);
        }
        match appended {
            Err(EncodeError::TooLong(too_long)) => {
                let message = format!(
                    "the answer is too long for the tenant's limit (max_result_bytes): {too_long}"
                );
                let outcome = Outcome::Failed(evaluation_failed(&message));
                let mask = Mask::Absent;
                self.append(&FromWorker::Evaluated { id, outcome, micros, mask, differed })
            }
            result => result,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.waiting)?;
        self.waiting.clear();
        self.waiting.shrink_to(WRITE_BATCH);
        Ok(())
    }
}

/// Leaves the masks of an answer out: they never cost the answer. Returns whether it had any.
fn leave_masks_out(frame: &mut FromWorker) -> bool {
    let leave_out = |mask: &mut Mask| {
        let is_applied = matches!(mask, Mask::Applied(_));
        if is_applied {
            *mask = Mask::TooLarge;
        }
        is_applied
    };
    match frame {
        FromWorker::Evaluated { mask, .. } => leave_out(mask),
        FromWorker::BatchEvaluated { items, .. } => {
            let left_out =
                items.iter_mut().filter_map(|item| leave_out(&mut item.mask).then_some(()));
            left_out.count() > 0
        }
        _ => false,
    }
}

/// Writes what a policy prints to standard error, which the supervisor logs: a few lines a second,
/// so that a policy that prints a lot is neither slowed by its log nor floods it.
struct Printer {
    limiter: RateLimiter,
    /// Whether it was said that lines are left out.
    gap: Gap,
}

/// Lines that were left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Closed,
    Told,
}

impl Default for Printer {
    fn default() -> Self {
        Self { limiter: RateLimiter::new(PRINTED_LINES, PRINTED_LINES), gap: Gap::Closed }
    }
}

impl Printer {
    fn print(&mut self, lines: Vec<String>) {
        for line in lines {
            // A failed write means that nobody reads standard error, so it is ignored.
            let mut stderr = io::stderr().lock();
            if self.limiter.try_take(1, Instant::now()) {
                self.gap = Gap::Closed;
                // Always one line, even where the policy prints a newline.
                let line = line.replace('\n', "\\n");
                let _ = writeln!(stderr, "{}", shortened(&line));
            } else if self.gap == Gap::Closed {
                self.gap = Gap::Told;
                let _ = writeln!(stderr, "the policy prints more than is shown");
            }
        }
    }
}

#[cfg(test)]
mod tests;
