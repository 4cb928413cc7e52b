//! This product with workers that answer without evaluating: it measures the part of a decision's
//! time that is not evaluation. The supervisor is the real one, and workers are sealed as the real
//! ones are.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::mem::ManuallyDrop;

use enforcer_protocol::{
    Decision, Evaluator, FrameBuffer, FromWorker, MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER, Mask,
    Outcome, PROTOCOL_VERSION, SandboxMode, ToWorker, append_frame, decode,
};
use enforcer_supervisor::{Config, ConfigErrors, SupervisorError};
use enforcer_worker::probing::{self, LeftOut, Report};
use enforcer_worker::{BoundedAllocator, Spec, WorkerError};

/// A worker seals itself only with this allocator. In other processes it behaves like the system's.
#[global_allocator]
static ALLOCATOR: BoundedAllocator = BoundedAllocator;

/// As in `worker/src/serve.rs`.
const WRITE_BATCH: usize = 64 * 1024;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EchoError {
    /// The settings are not valid.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The supervisor cannot start.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// A worker cannot start or go on.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The operating system refused something.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Runs the supervisor, with settings from the environment. It starts its workers from its own
/// program, which must call [`work`] for the supervisor's hidden subcommand.
///
/// # Errors
/// When it cannot start.
pub(crate) fn supervise() -> Result<(), EchoError> {
    enforcer_supervisor::protect_supervisor()?;
    enforcer_worker::give_back_large_memory();
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let config = Config::parse(|_| None, variables)?;
    let log = enforcer_supervisor::init_logging(&config.log);
    Ok(enforcer_supervisor::run(&config, &log)?)
}

/// Runs a worker on the socket that is its standard input, until the supervisor closes it.
///
/// # Errors
/// When it cannot start or cannot go on.
pub(crate) fn work(spec: &Spec) -> Result<(), EchoError> {
    let (socket, Report { layers, missing }) = probing::seal(spec, LeftOut::Nothing)?;
    // The seccomp filter does not allow `close(2)`; the end of the process closes it.
    let mut socket = ManuallyDrop::new(socket);
    let mut answers = Vec::new();
    let hello = FromWorker::Hello { version: PROTOCOL_VERSION, layers, missing };
    append(&mut answers, &hello)?;
    write(&mut socket, &mut answers)?;
    // A supervisor that only asks what the host offers needs no more.
    if spec.mode == SandboxMode::Report {
        return Ok(());
    }

    let mut frames = FrameBuffer::new(MAX_FRAME_TO_WORKER);
    loop {
        match frames.fill(&mut *socket) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        while let Some(payload) = frames.next_frame().map_err(WorkerError::from)? {
            match decode(payload).map_err(WorkerError::from)? {
                ToWorker::BundleEnd => {
                    append(
                        &mut answers,
                        &FromWorker::Loaded {
                            version: None,
                            bundle_revision: None,
                            evaluator: Evaluator::Bytecode,
                            warnings: Vec::new(),
                            has_mask: false,
                        },
                    )?;
                }
                ToWorker::Evaluate { id, .. } => {
                    let outcome = Outcome::Decision(decision());
                    append(
                        &mut answers,
                        &FromWorker::Evaluated {
                            id,
                            outcome,
                            micros: 0,
                            mask: Mask::Absent,
                            differed: false,
                        },
                    )?;
                }
                // The bundle is ignored.
                _ => {}
            }
            if answers.len() >= WRITE_BATCH {
                write(&mut socket, &mut answers)?;
            }
        }
        write(&mut socket, &mut answers)?;
    }
}

/// The decision of the README's question, built again for every answer as an evaluation would.
fn decision() -> Decision {
    Decision {
        allow: true,
        redact: vec!["pii.email".to_owned()],
        reason: Some("Allowed by data residency policy".to_owned()),
    }
}

fn append(answers: &mut Vec<u8>, frame: &FromWorker) -> Result<(), EchoError> {
    Ok(append_frame(answers, frame, MAX_FRAME_FROM_WORKER).map_err(WorkerError::from)?)
}

/// Writes all waiting answers with one call.
fn write(socket: &mut File, answers: &mut Vec<u8>) -> Result<(), EchoError> {
    socket.write_all(answers)?;
    answers.clear();
    answers.shrink_to(WRITE_BATCH);
    Ok(())
}
