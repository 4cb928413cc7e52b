//! Evaluates core with regorus' interpreter: for programs that are too large for bytecode, and as
//! an independent check of the bytecode's answers.
//!
//! The interpreter gets core as text ([`crate::core::print`]). It only calls rules and functions,
//! iterates over arrays and collects arrays. Every other operation is a call of a function of this
//! module, with the built-ins, comparisons and errors of the machine. Its speed does not matter; a
//! different answer would.

mod calls;
mod environment;

use std::collections::HashSet;
use std::sync::Arc;

use regorus::utils::limits::PolicyLengthConfig;
use regorus::{Engine, Value};

use crate::builtins::Context;
use crate::core::data::Data;
use crate::core::depth::{self, Costs};
use crate::core::print::{self, PACKAGE, Printed};
use crate::core::walk::TooDeep;
use crate::core::{Program, RuleId, RuleKind, Slot};
use crate::machine::running::Running;
use crate::machine::{
    ErrorKind, Evaluation, EvaluationError, Strictness, deadline, internal, remaining, timer,
};

/// The interpreter's levels on the stack, of 4 KiB each; half of a worker's stack holds these. A
/// function of the text takes up to 8 KiB in a debug build: a rule is three of them, a block in
/// another one or two. A loop takes 2.3 KiB.
const COSTS: Costs = Costs { rule: 5, block: 4, each: 1, front: 2, environment: 1, limit: 1_000 };

/// The limits of a line's length, of the text's length, and of the number of lines. The text is
/// generated, and grows with the policy, which is bounded where it is read.
const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: std::num::NonZeroU32::MAX,
    max_file_bytes: std::num::NonZeroUsize::MAX,
    max_lines: std::num::NonZeroUsize::MAX,
};

/// A program in the interpreter.
#[derive(Debug)]
pub struct Interpreter {
    engine: Engine,
    tables: Arc<Tables>,
}

/// The tables that the text refers to by number.
#[derive(Debug)]
struct Tables {
    printed: Printed,
    slots: Vec<Slot>,
    rules: Vec<RuleFacts>,
    data: Data,
}

#[derive(Debug)]
struct RuleFacts {
    /// Its name in the text.
    text: String,
    /// Its path in messages.
    name: String,
    kind: RuleKind,
    default: Option<Value>,
}

/// Why the interpreter cannot evaluate a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unprintable {
    /// It would overflow the stack.
    #[error("a chain of rules is too long, or rules are nested too deeply")]
    Depth,
    /// regorus refuses the text, which is a fault of this crate.
    #[error("the interpreter refuses core: {0}")]
    Refused(String),
}

impl From<depth::Fault> for Unprintable {
    fn from(_: depth::Fault) -> Self {
        Self::Depth
    }
}

impl Interpreter {
    /// Prints a program and gives it to the interpreter.
    ///
    /// # Errors
    /// When it is too deep for the interpreter.
    pub fn new(program: &Program, data: Value) -> Result<Self, Unprintable> {
        // regorus' interpreter does not cache values of functions.
        depth::check(program, &depth::order(program)?, &COSTS, &HashSet::new())?;
        let mut printed = print::print(program).map_err(|TooDeep| Unprintable::Depth)?;
        let text = std::mem::take(&mut printed.text);
        let rules = (0..).map(RuleId).zip(&program.rules);
        let rules = rules.map(|(id, rule)| RuleFacts {
            text: print::name(id, rule),
            name: rule.name.clone(),
            kind: rule.kind,
            default: rule.default.clone(),
        });
        let tables = Arc::new(Tables {
            printed,
            slots: program.slots.clone(),
            rules: rules.collect(),
            data: Data::new(data),
        });
        let mut engine = Engine::new();
        engine.set_policy_length_config(LENGTHS);
        engine.set_strict_builtin_errors(true);
        let refused = |error: anyhow::Error| Unprintable::Refused(error.to_string());
        calls::register(&mut engine, &tables).map_err(refused)?;
        engine.add_policy(PACKAGE.to_owned(), text).map_err(refused)?;
        Ok(Self { engine, tables })
    }

    /// Evaluates a rule that is not a function, as [`Machine::evaluate`](crate::machine::Machine)
    /// does.
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
        let facts = self.tables.rules.get(rule.index());
        let path = match facts {
            Some(RuleFacts {
                text,
                kind: RuleKind::Complete | RuleKind::Set | RuleKind::Object,
                ..
            }) => {
                format!("data.{PACKAGE}.{text}")
            }
            _ => return Err(internal("only rules can be evaluated")),
        };
        let limit = remaining(&context).ok_or_else(deadline)?;
        self.engine.set_execution_timer_config(timer(limit));
        self.engine.set_input(environment::outermost(input));
        let running = Running::new(context, strictness, None);
        let engine = &mut self.engine;
        let (result, running) = running.during(|| engine.eval_rule(path));
        let running = running.ok_or_else(|| internal("the evaluation lost its state"))?;
        self.engine.set_input(Value::Undefined);
        // The interpreter takes some errors for undefined values, so the recorded error counts.
        let result = match (running.ended, result) {
            // The engine clears incomplete state of a panic before the next evaluation.
            (_, Err(panicked)) => Err(panicked.error()),
            (Some(ended), Ok(_)) => Err(ended),
            (None, Ok(Ok(value))) => Ok(value),
            (None, Ok(Err(error))) => Err(error_of(&error)),
        };
        let Context { prints, errors, .. } = running.context;
        Ok(Evaluation { result, prints, errors })
    }
}

fn error_of(error: &anyhow::Error) -> EvaluationError {
    match error.downcast_ref::<regorus::LimitError>() {
        Some(regorus::LimitError::TimeLimitExceeded { .. }) => deadline(),
        Some(limit) => {
            EvaluationError { kind: ErrorKind::Limit, message: limit.to_string(), place: None }
        }
        None => internal(&error.to_string()),
    }
}
