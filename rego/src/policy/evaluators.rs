//! What evaluates a policy: the machine, the interpreter, or both against each other.

use regorus::Value;

use super::sampler::CrossCheckSampler;
use super::{Evaluator, Moment};
use crate::builtins::Context;
use crate::core::{Program, RuleId};
use crate::emit::{self, Refusal};
use crate::machine::{self, Machine, Strictness};
use crate::source::Sources;

/// Why the interpreter evaluates where the operator wants that.
const SWITCHED_OFF: &str = "ENFORCER_EVALUATOR is interpreter";

/// What may evaluate a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Bytecode, where the policy is not too large for it.
    Auto,
    /// The interpreter.
    Interpreter,
}

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Fault {
    /// The evaluation failed.
    Evaluation(machine::EvaluationError),
    /// Both evaluated, and they disagree.
    Differed,
}

/// What came of an evaluation.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) result: Result<Value, Fault>,
    pub(super) prints: Vec<String>,
}

/// A policy's evaluators.
#[derive(Debug)]
pub(super) struct Evaluators {
    machine: Machine,
    sampler: CrossCheckSampler,
}

impl Evaluators {
    /// Makes what the choice asks for.
    ///
    /// # Errors
    /// Says why the policy cannot be evaluated at all.
    pub(super) fn new(
        program: Program,
        data: &Value,
        choice: Choice,
        sources: &Sources,
    ) -> Result<Self, String> {
        let emitted = emit::emit(&program).map_err(|refusal| told(&refusal, sources))?;
        let _ = choice;
        Ok(Self {
            machine: Machine::new(emitted, data.clone()),
            sampler: CrossCheckSampler::default(),
        })
    }

    /// What evaluates requests.
    pub(super) fn serving(&self) -> Evaluator {
        Evaluator::Bytecode
    }

    /// Evaluates a rule that is no function.
    pub(super) fn evaluate(
        &mut self,
        rule: RuleId,
        input: Option<Value>,
        moment: Moment,
        strictness: Strictness,
    ) -> Evaluation {
        let machine::Evaluation { result, prints, errors: _ } =
            self.machine.evaluate(rule, input, context(moment), strictness);
        let _ = self.sampler.is_due();
        Evaluation { result: result.map_err(Fault::Evaluation), prints }
    }
}

fn context(moment: Moment) -> Context {
    Context {
        now_ns: moment.now_ns,
        deadline: moment.deadline,
        stable: std::collections::HashMap::new(),
        prints: Vec::new(),
        errors: Vec::new(),
    }
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
