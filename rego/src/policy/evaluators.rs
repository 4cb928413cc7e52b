//! The evaluators of a policy: the machine, compared with the interpreter now and then; or the
//! interpreter alone.

use std::time::{Duration, Instant};

use regorus::Value;

use super::sampler::CrossCheckSampler;
use super::{Evaluator, Moment};
use crate::builtins::Context;
use crate::core::walk::{self, TooDeep};
use crate::core::{Expr, Program, RuleId, StatementKind};
use crate::emit::{self, Refusal};
use crate::interpreter::Interpreter;
use crate::machine::{self, ErrorKind, EvaluationError, Machine, Strictness};
use crate::source::Sources;

/// Why the interpreter evaluates where the operator chose it.
const SWITCHED_OFF: &str = "ENFORCER_EVALUATOR is interpreter";

/// Built-ins whose values are random: two evaluations may differ by them.
const RANDOM: [&str; 4] =
    ["io.jwt.encode_sign", "io.jwt.encode_sign_raw", "rand.intn", "uuid.rfc4122"];

/// How long the interpreter may delay the answer. An evaluation that takes it longer is not
/// compared, and neither is one with less than twice this time left, which includes the time to
/// build the interpreter.
const COMPARISON_TIME: Duration = Duration::from_millis(10);

/// The evaluators that a policy may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Bytecode, where the policy is not too large for it.
    Auto,
    /// The interpreter.
    Interpreter,
}

/// Why an evaluation has no value.
#[derive(Debug)]
pub(super) enum Fault {
    /// The evaluation failed.
    Evaluation(EvaluationError),
    /// Both evaluated, and they disagree.
    Differed,
}

/// The rule to evaluate and its keys.
pub(super) struct Asked<'a> {
    /// A rule that is not a function.
    pub(super) rule: RuleId,
    /// The keys of `$asked`.
    pub(super) keys: &'a [Value],
    pub(super) input: Option<Value>,
    pub(super) moment: Moment,
}

impl Asked<'_> {
    fn context(&self, deadline: Instant) -> Context {
        let asked = self.keys.to_vec();
        Context { asked, ..Context::new(self.moment.now_ns, deadline) }
    }
}

/// The result of an evaluation.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) result: Result<Value, Fault>,
    pub(super) prints: Vec<String>,
}

/// A policy's evaluators.
#[derive(Debug)]
pub(super) enum Evaluators {
    /// Bytecode answers.
    Machine { machine: Box<Machine>, sampler: CrossCheckSampler, check: CrossCheck },
    /// The interpreter answers, with the reason.
    Interpreter { interpreter: Box<Interpreter>, because: String },
}

/// The reference for the machine's answers.
#[derive(Debug)]
pub(super) enum CrossCheck {
    /// An interpreter of this, which is made for each comparison: it takes as much memory as the
    /// rest of a small tenant's worker, and comparisons are rare.
    Possible(Box<Program>),
    /// Two evaluations of the policy may differ by chance, or the interpreter cannot evaluate it.
    Unavailable,
}

impl Evaluators {
    /// Makes the chosen evaluators.
    ///
    /// # Errors
    /// Why the policy cannot be evaluated.
    pub(super) fn new(
        program: Program,
        data: &Value,
        choice: Choice,
        sampler: CrossCheckSampler,
        sources: &Sources,
    ) -> Result<Self, String> {
        let because = match choice {
            Choice::Interpreter => SWITCHED_OFF.to_owned(),
            Choice::Auto => match emit::emit(&program) {
                Ok(emitted) => {
                    let check = if is_random(&program) {
                        CrossCheck::Unavailable
                    } else {
                        CrossCheck::Possible(Box::new(program))
                    };
                    return Ok(Self::Machine {
                        machine: Box::new(Machine::new(emitted, data.clone())),
                        sampler,
                        check,
                    });
                }
                Err(refusal) => told(&refusal, sources),
            },
        };
        match Interpreter::new(&program, data.clone()) {
            Ok(interpreter) => {
                Ok(Self::Interpreter { interpreter: Box::new(interpreter), because })
            }
            Err(error) => Err(format!("{error} ({because})")),
        }
    }

    /// The evaluator of requests.
    pub(super) fn serving(&self) -> Evaluator {
        match self {
            Self::Machine { .. } => Evaluator::Bytecode,
            Self::Interpreter { because, .. } => Evaluator::Interpreter(because.clone()),
        }
    }

    /// Evaluates a rule.
    pub(super) fn evaluate(
        &mut self,
        mut asked: Asked<'_>,
        data: &Value,
        strictness: Strictness,
    ) -> Evaluation {
        let (rule, deadline) = (asked.rule, asked.moment.deadline);
        let input = asked.input.take();
        match self {
            Self::Interpreter { interpreter, .. } => {
                let machine::Evaluation { result, prints, errors: _ } =
                    interpreter.evaluate(rule, input, asked.context(deadline), strictness);
                Evaluation { result: result.map_err(Fault::Evaluation), prints }
            }
            Self::Machine { machine, sampler, check } => {
                let is_due = sampler.is_due()
                    && deadline.saturating_duration_since(Instant::now()) > 2 * COMPARISON_TIME;
                let compared = if is_due { input.clone() } else { None };
                let machine::Evaluation { result, prints, errors: _ } =
                    machine.evaluate(rule, input, asked.context(deadline), strictness);
                let agrees = !is_due
                    || check.interpreter(data).is_none_or(|mut interpreter| {
                        let deadline = deadline.min(Instant::now() + COMPARISON_TIME);
                        let context = asked.context(deadline);
                        let other = interpreter.evaluate(rule, compared, context, strictness);
                        agree(&result, &other.result)
                    });
                let result =
                    if agrees { result.map_err(Fault::Evaluation) } else { Err(Fault::Differed) };
                Evaluation { result, prints }
            }
        }
    }
}

impl CrossCheck {
    /// The interpreter, where it can evaluate the policy.
    fn interpreter(&mut self, data: &Value) -> Option<Interpreter> {
        let Self::Possible(program) = self else { return None };
        let interpreter = Interpreter::new(program, data.clone()).ok();
        if interpreter.is_none() {
            *self = Self::Unavailable;
        }
        interpreter
    }
}

/// Whether two evaluations agree. An evaluation that ran out of time, or reached a limit that the
/// other does not have, proves nothing; nor does an internal fault of the interpreter. Where
/// several expressions fail, the two may reach different ones first.
fn agree(
    machine: &Result<Value, EvaluationError>,
    interpreter: &Result<Value, EvaluationError>,
) -> bool {
    let kind = |result: &Result<Value, EvaluationError>| result.as_ref().err().map(|e| e.kind);
    let is_limited =
        |kind: Option<ErrorKind>| matches!(kind, Some(ErrorKind::Deadline | ErrorKind::Limit));
    if is_limited(kind(machine))
        || is_limited(kind(interpreter))
        || kind(interpreter) == Some(ErrorKind::Internal)
    {
        return true;
    }
    match (machine, interpreter) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn is_random(program: &Program) -> bool {
    let mut is_random = false;
    for body in program.rules.iter().flat_map(|rule| walk::bodies(&rule.definitions)) {
        let walked = walk::statements(&body.block, &mut |statement| {
            if let StatementKind::Let(_, Expr::Builtin(name, _))
            | StatementKind::Test(Expr::Builtin(name, _)) = &statement.kind
            {
                is_random |= RANDOM.contains(name);
            }
        });
        if let Err(TooDeep) = walked {
            return true;
        }
    }
    is_random
}

fn told(refusal: &Refusal, sources: &Sources) -> String {
    let place = match refusal {
        Refusal::Ceiling { place, .. }
        | Refusal::Builtin { place, .. }
        | Refusal::Malformed { place, .. } => *place,
    };
    match place {
        Some(span) => format!("{}: {refusal}", sources.location(span)),
        None => refusal.to_string(),
    }
}
