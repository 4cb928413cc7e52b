//! Evaluates programs on regorus' VM.
//!
//! One VM serves one evaluation after the other. The state of an evaluation beside its registers
//! (the caller's [`Context`], environments, VMs for `with`) is in a thread-local variable while it
//! runs, because the VM calls plain functions ([`running`]). The next evaluation never sees it: it
//! is removed at the end, and a VM that ended in an error or a panic is discarded.

mod calls;
mod environment;
pub(crate) mod running;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regorus::Value;
use regorus::rvm::vm::VmError;
use regorus::rvm::{Instruction, Program as Bytecode, RegoVM};
use regorus::utils::limits::ExecutionTimerConfig;

use crate::builtins::{Context, Failure};
use crate::core::RuleId;
use crate::emit::{Emitted, Place};
use environment::Environment;
use running::Running;

/// The number of instructions, of some ten nanoseconds each, after which the VM reads the clock.
/// Built-ins that may take long read it themselves.
const INSTRUCTIONS_PER_CHECK: NonZeroU32 = NonZeroU32::new(128).unwrap();

/// The result of an evaluation.
#[derive(Debug)]
pub struct Evaluation {
    /// The value, or [`Value::Undefined`].
    pub result: Result<Value, EvaluationError>,
    /// The lines that the policy printed.
    pub prints: Vec<String>,
    /// Errors of built-ins that made a call undefined, the first ones.
    pub errors: Vec<Failure>,
}

impl Evaluation {
    /// The result of an evaluation that may not have begun.
    pub(crate) fn of(tried: Result<Self, EvaluationError>) -> Self {
        tried.unwrap_or_else(|error| Self {
            result: Err(error),
            prints: Vec::new(),
            errors: Vec::new(),
        })
    }
}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// Its kind.
    pub kind: ErrorKind,
    /// The message: OPA's where OPA has one.
    pub message: String,
    /// The place, if it is known.
    pub place: Option<Place>,
}

/// Kinds of evaluation errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Two values where one is allowed.
    Conflict,
    /// A built-in failed, and that ends an evaluation ([`Strictness::Strict`]).
    Builtin,
    /// The same for arguments of the wrong types.
    Type,
    /// The deadline passed.
    Deadline,
    /// A limit of this crate is reached.
    Limit,
    /// An internal fault of this crate.
    Internal,
}

/// The effect of a failing built-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The call is undefined.
    #[default]
    Lenient,
    /// The evaluation ends.
    Strict,
}

/// A program, its base data, and a VM that evaluates it.
#[derive(Debug)]
pub struct Machine {
    vm: Option<Box<RegoVM>>,
    /// Taken out during an evaluation.
    program: Option<Box<Loaded>>,
    data: Value,
}

/// A linked program, with its data for evaluations in environments.
#[derive(Debug)]
pub(crate) struct Loaded {
    bytecode: Arc<Bytecode>,
    /// Everything but the bytecode, which is empty here.
    tables: Emitted,
    /// The current environment is the last.
    environments: Vec<Environment>,
    /// VMs for `with` that are not in use.
    pool: Vec<RegoVM>,
}

impl Machine {
    /// Links a program.
    #[must_use]
    pub fn new(mut tables: Emitted, data: Value) -> Self {
        let mut bytecode = std::mem::take(&mut tables.bytecode);
        bytecode.resolved_builtins = calls::link(&tables.calls, &bytecode);
        let program = Loaded {
            bytecode: Arc::new(bytecode),
            tables,
            environments: vec![Environment::new(data.clone())],
            pool: Vec::new(),
        };
        Self { vm: None, program: Some(Box::new(program)), data }
    }

    /// Evaluates a rule that is not a function.
    pub fn evaluate(
        &mut self,
        rule: RuleId,
        input: Option<Value>,
        context: Context,
        strictness: Strictness,
    ) -> Evaluation {
        Evaluation::of(self.try_evaluate(rule, input, context, strictness))
    }

    fn try_evaluate(
        &mut self,
        rule: RuleId,
        input: Option<Value>,
        context: Context,
        strictness: Strictness,
    ) -> Result<Evaluation, EvaluationError> {
        let program =
            self.program.as_mut().ok_or_else(|| internal("the evaluation lost its program"))?;
        let entry = program.entry(rule, &mut self.vm)?;
        let limit = remaining(&context).ok_or_else(deadline)?;
        let mut vm = match self.vm.take() {
            Some(vm) => vm,
            None => Box::new(new_vm(&program.bytecode, &self.data)?),
        };
        let input = input.unwrap_or(Value::Undefined);
        vm.set_execution_timer_config(Some(timer(limit)));
        vm.set_input(input.clone());
        program.begin(input);
        let running = Running::new(context, strictness, self.program.take());
        let (result, running) = running.during(|| vm.execute_entry_point_by_index(entry));
        let mut running = running.ok_or_else(|| internal("the evaluation lost its state"))?;
        let result = match result {
            Ok(Ok(value)) => {
                vm.set_input(Value::Undefined);
                self.vm = Some(vm);
                Ok(value)
            }
            Ok(Err(error)) => Err(running.note(&error, vm.get_pc())),
            Err(panicked) => Err(panicked.error()),
        };
        self.program = running.program.map(Loaded::end);
        let Context { prints, errors, .. } = running.context;
        Ok(Evaluation { result, prints, errors })
    }

    /// Frees memory that the last evaluation left. The next one is slightly slower.
    pub fn release(&mut self) {
        self.vm = None;
        if let Some(program) = &mut self.program {
            program.pool = Vec::new();
        }
    }
}

impl Loaded {
    /// The entry point of a rule, made at the first request.
    fn entry(
        &mut self,
        rule: RuleId,
        vm: &mut Option<Box<RegoVM>>,
    ) -> Result<usize, EvaluationError> {
        if let Some(entry) = self.tables.entries.get(&rule) {
            return Ok(*entry);
        }
        let rule_index = u16::try_from(rule.0).map_err(|_| internal("there is no such rule"))?;
        match self.bytecode.rule_infos.get(usize::from(rule_index)) {
            Some(info) if info.function_info.is_none() => {}
            _ => return Err(internal("only rules can be evaluated")),
        }
        // VMs share the unchanged program.
        *vm = None;
        self.pool.clear();
        let bytecode = Arc::make_mut(&mut self.bytecode);
        let entry = bytecode.entry_points.len();
        // The VM copies the name each time. The first is empty, so its copy is free.
        let name = if entry == 0 { String::new() } else { entry.to_string() };
        let start = bytecode.instructions.len();
        bytecode.instructions.push(Instruction::CallRule { dest: 0, rule_index });
        bytecode.instructions.push(Instruction::Return { value: 0 });
        bytecode.entry_points.insert(name, start);
        self.tables.places.begin_rule(start, rule, None);
        self.tables.entries.insert(rule, entry);
        Ok(entry)
    }

    fn begin(&mut self, input: Value) {
        if let Some(outermost) = self.environments.first_mut() {
            outermost.input = input;
        }
    }

    fn end(mut self: Box<Self>) -> Box<Self> {
        self.environments.truncate(1);
        if let Some(outermost) = self.environments.first_mut() {
            outermost.known.clear();
        }
        self.begin(Value::Undefined);
        self
    }
}

fn new_vm(bytecode: &Arc<Bytecode>, data: &Value) -> Result<RegoVM, EvaluationError> {
    let mut vm = RegoVM::new();
    // The deadline bounds an evaluation, not the number of instructions.
    vm.set_max_instructions(usize::MAX);
    vm.load_program(Arc::clone(bytecode));
    vm.set_data(data.clone()).map_err(|error| internal(&error.to_string()))?;
    Ok(vm)
}

pub(crate) fn remaining(context: &Context) -> Option<Duration> {
    context.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

pub(crate) const fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit, check_interval: INSTRUCTIONS_PER_CHECK }
}

pub(crate) fn internal(message: &str) -> EvaluationError {
    EvaluationError { kind: ErrorKind::Internal, message: message.to_owned(), place: None }
}

pub(crate) fn deadline() -> EvaluationError {
    let message = "the evaluation did not end before its deadline".to_owned();
    EvaluationError { kind: ErrorKind::Deadline, message, place: None }
}

/// Converts an error of the VM that none of our functions has caused.
fn kind_of(error: &VmError) -> ErrorKind {
    match error {
        VmError::TimeLimitExceeded { .. } => ErrorKind::Deadline,
        VmError::InstructionLimitExceeded { .. }
        | VmError::MemoryLimitExceeded { .. }
        | VmError::MemoryBudgetExceeded { .. } => ErrorKind::Limit,
        _ => ErrorKind::Internal,
    }
}
