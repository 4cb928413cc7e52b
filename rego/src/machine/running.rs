//! The evaluation that runs on this thread.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::rvm::vm::VmError;
use regorus::{LimitError, Value};

use super::{ErrorKind, EvaluationError, Loaded, Strictness};
use crate::builtins::{Context, Failure, Function};
use crate::emit::Conflict;

/// How many errors of built-ins an evaluation records.
pub(crate) const ERRORS: usize = 16;

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// The state of an evaluation.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) context: Context,
    pub(crate) strictness: Strictness,
    /// Why it ends without a value.
    pub(crate) ended: Option<EvaluationError>,
    /// The conflict that it ends with, until its place is known.
    conflict: Option<Conflict>,
    /// Blocks of the interpreter that have begun, by number: whether each has its first solution.
    pub(crate) solved: Vec<bool>,
    /// The machine's state, where a machine evaluates.
    pub(crate) program: Option<Box<Loaded>>,
}

/// The engine panicked, with this message.
#[derive(Debug)]
pub(crate) struct Panicked(String);

impl Panicked {
    fn of(payload: &(dyn Any + Send)) -> Self {
        let said = payload.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| payload.downcast_ref::<&str>().copied());
        Self(said.unwrap_or("no message").to_owned())
    }

    /// The error of the evaluation that it ended.
    pub(crate) fn error(&self) -> EvaluationError {
        super::internal(&format!(
            "the engine failed on this input, please report it with the policy: {}",
            self.0
        ))
    }
}

impl Running {
    pub(crate) const fn new(
        context: Context,
        strictness: Strictness,
        program: Option<Box<Loaded>>,
    ) -> Self {
        Self { context, strictness, ended: None, conflict: None, solved: Vec::new(), program }
    }

    /// Evaluates with this as the value of [`with`], and returns it. It is still there, because
    /// `evaluate` never takes it out.
    ///
    /// Panics are caught here, because the program is here and the next evaluation needs it. The
    /// caller discards the evaluator. This state is consistent: functions change it only after they
    /// have computed their results.
    pub(crate) fn during<T>(
        self,
        evaluate: impl FnOnce() -> T,
    ) -> (Result<T, Panicked>, Option<Self>) {
        let before = RUNNING.replace(Some(self));
        let result = catch_unwind(AssertUnwindSafe(evaluate))
            .map_err(|payload| Panicked::of(payload.as_ref()));
        (result, RUNNING.replace(before))
    }

    /// Records where a VM ended, and why, unless one of our functions ended it.
    pub(crate) fn note(&mut self, error: &VmError, pc: usize) -> EvaluationError {
        let place = self.program.as_ref().and_then(|program| program.tables.places.of(pc));
        let ended = self.ended.get_or_insert_with(|| match super::kind_of(error) {
            ErrorKind::Deadline => super::deadline(),
            kind => EvaluationError { kind, message: error.to_string(), place: None },
        });
        if let (Some(conflict), Some(place)) = (self.conflict.take(), place) {
            let name =
                self.program.as_ref().and_then(|program| program.tables.names.get(&place.rule));
            ended.message = conflict.message(name.map_or("", |name| name));
        }
        ended.place = ended.place.or(place);
        ended.clone()
    }

    /// Calls a built-in: a value, undefined, or the end of the evaluation.
    pub(crate) fn call(
        &mut self,
        name: &str,
        function: Function,
        args: &[Value],
    ) -> anyhow::Result<Value> {
        match function(&mut self.context, args) {
            Ok(value) => Ok(value),
            Err(failure) => self.failed(name, failure),
        }
    }

    /// Handles a failing built-in.
    #[cold]
    fn failed(&mut self, name: &str, failure: Failure) -> anyhow::Result<Value> {
        match failure {
            Failure::Conflict(message) => Err(self.end(ErrorKind::Conflict, message)),
            Failure::Halt(message) => {
                let is_late = std::time::Instant::now() >= self.context.deadline;
                let kind = if is_late { ErrorKind::Deadline } else { ErrorKind::Limit };
                Err(self.end(kind, message))
            }
            Failure::Builtin(message) => {
                let message = format!("{name}: {message}");
                self.fail(ErrorKind::Builtin, Failure::Builtin(message))
            }
            Failure::Type(message) => {
                let message = format!("{name}: {message}");
                self.fail(ErrorKind::Type, Failure::Type(message))
            }
        }
    }

    fn fail(&mut self, kind: ErrorKind, failure: Failure) -> anyhow::Result<Value> {
        if self.strictness == Strictness::Strict {
            return Err(self.end(kind, failure.to_string()));
        }
        if self.context.errors.len() < ERRORS {
            self.context.errors.push(failure);
        }
        Ok(Value::Undefined)
    }

    /// Ends the evaluation with a conflict. The rule is that of the place where the VM ends.
    pub(crate) fn conflict(&mut self, conflict: Conflict) -> anyhow::Error {
        self.conflict = self.conflict.or(Some(conflict));
        self.end(ErrorKind::Conflict, String::new())
    }

    /// Ends the evaluation because of a value that is nested too deeply.
    pub(crate) fn too_high(&mut self) -> anyhow::Error {
        let message =
            "the value of a function that replaces another is nested too deeply".to_owned();
        self.end(ErrorKind::Limit, message)
    }

    /// Ends the evaluation: the VM does not take the returned error for an undefined value.
    pub(crate) fn end(&mut self, kind: ErrorKind, message: String) -> anyhow::Error {
        self.end_with(EvaluationError { kind, message, place: None })
    }

    /// The same with a place.
    pub(crate) fn end_with(&mut self, error: EvaluationError) -> anyhow::Error {
        self.ended.get_or_insert(error);
        fatal()
    }
}

/// Calls back with the evaluation that runs on this thread.
pub(crate) fn with<T>(found: impl FnOnce(&mut Running) -> anyhow::Result<T>) -> anyhow::Result<T> {
    RUNNING.with_borrow_mut(|running| match running {
        Some(running) => found(running),
        // Only a running evaluation calls functions of the bytecode.
        None => Err(fatal()),
    })
}

/// An error that the VM passes on: others make a call undefined. Its text is not used.
pub(crate) fn fatal() -> anyhow::Error {
    LimitError::RegexSizeLimitExceeded { limit: 0 }.into()
}
