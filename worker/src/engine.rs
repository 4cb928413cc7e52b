//! The tenant's policy, as the serving loop queries it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use enforcer_protocol::{Decision, Diagnostic, Evaluator, MAX_DIAGNOSTICS, Outcome};
use enforcer_rego::{
    DocumentQuery, Evaluation, EvaluationError, Moment, Policy as RegoPolicy, Tests, Value,
};

use crate::bundle::Bundle;
use crate::clock::{now_ns, time_left};
use crate::decision::{RuleValues, decide};
use crate::diagnostics::{evaluation_failed, of_report, of_reports, outcome_of, shortened};
use crate::gate;
use crate::settings::settings_of;
use crate::value::member;

/// Lines that are kept of what the evaluations for one answer print; the log shows few of them.
pub(crate) const MOST_PRINTS: usize = 64;

/// A tenant's policies and data, compiled and ready for requests.
#[derive(Debug)]
pub(crate) struct Policy {
    policy: RegoPolicy,
    tenant_id: Value,
    /// The keys below `data` of the rule that decides.
    entrypoint: Vec<Value>,
    /// The keys below `data` of the policy's mask, if it has one.
    mask: Option<Vec<Value>>,
    /// Largest result, in bytes of its JSON.
    max_result: usize,
    /// A warning about the bundle that is not the engine's.
    warning: Option<Diagnostic>,
    /// The lines that the last evaluation printed.
    prints: Vec<String>,
    /// Whether the two evaluators disagreed and the supervisor has not been told yet.
    has_differed: bool,
}

impl Policy {
    /// Loads a bundle and evaluates it once, so that the first request finds everything in place.
    ///
    /// # Errors
    /// The faults of the bundle: at least one diagnostic, at most the first [`MAX_DIAGNOSTICS`].
    pub(crate) fn load(bundle: Bundle) -> Result<Self, Vec<Diagnostic>> {
        let warning = gate::pass(&bundle)?;
        let settings = settings_of(&bundle, Tests::Excluded);
        let mask = keys_of(&settings.mask);
        let Bundle { tenant_id, entrypoint, evaluation_timeout, max_result, files, .. } = bundle;
        let loaded = caught(|| RegoPolicy::load(files, &settings)).unwrap_or_else(|Panicked| {
            let message = "the engine failed on this bundle: please report it";
            Err(vec![enforcer_rego::Report::of_bundle(message)])
        });
        let policy = loaded.map_err(of_reports)?;
        let tenant_id = Value::from(tenant_id.as_str());
        let mut policy = Self {
            policy,
            tenant_id,
            entrypoint: keys_of(&entrypoint),
            mask: Some(mask),
            max_result,
            warning,
            prints: Vec::new(),
            has_differed: false,
        };
        // A policy that fails on an empty input does not make the bundle faulty.
        let _ = policy.ask(Value::new_object(), evaluation_timeout);
        policy.keep_mask_if_any(evaluation_timeout);
        policy.prints.clear();
        Ok(policy)
    }

    /// `version` of the bundle's `metadata.json`.
    pub(crate) fn version(&self) -> Option<String> {
        self.policy.version().map(shortened)
    }

    /// `revision` of the bundle's manifest.
    pub(crate) fn bundle_revision(&self) -> Option<String> {
        self.policy.bundle_revision().map(shortened)
    }

    /// Suspicious places in the bundle that are not errors; at most the first [`MAX_DIAGNOSTICS`].
    pub(crate) fn warnings(&self) -> Vec<Diagnostic> {
        let of_engine = self.policy.warnings().iter().cloned().map(of_report);
        self.warning.iter().cloned().chain(of_engine).take(MAX_DIAGNOSTICS).collect()
    }

    /// Decides about an input, until `deadline_micros` of [`monotonic_micros`]. OPA's Data API
    /// takes a null input for a missing one; here both are an error.
    pub(crate) fn decide(&mut self, input: &Value, deadline_micros: u64) -> Outcome {
        if matches!(input, Value::Undefined | Value::Null) {
            return Outcome::InvalidRequest(
                "the request body must be a JSON object with an \"input\" that is not null".into(),
            );
        }
        let subject_tenant = member(member(input, "subject"), "tenant_id");
        if *subject_tenant != Value::Undefined && *subject_tenant != self.tenant_id {
            return Outcome::TenantMismatch;
        }
        let Some(left) = time_left(deadline_micros) else { return Outcome::TimedOut };
        match self.ask(input.clone(), left) {
            Ok(decision) => Outcome::Decision(decision),
            Err(outcome) => outcome,
        }
    }

    fn ask(&mut self, input: Value, limit: Duration) -> Result<Decision, Outcome> {
        let values = self.evaluate(limit, |policy, moment| policy.decide(input, moment))?;
        decision(values).map_err(Outcome::Failed)
    }

    /// Keeps the mask only if the bundle has one: rules, or data. One that cannot be evaluated is
    /// one too.
    fn keep_mask_if_any(&mut self, limit: Duration) {
        let has_rules = self.mask.as_ref().is_some_and(|path| self.policy.has_rules(path));
        // Evaluated in any case, so that the first request finds everything in place.
        let found = self.mask_rules(Value::new_object(), limit);
        if !has_rules && matches!(found, Ok(Value::Undefined)) {
            self.mask = None;
        }
    }

    /// Whether the bundle has a mask.
    pub(crate) const fn has_mask(&self) -> bool {
        self.mask.is_some()
    }

    /// The value of the mask about an event, [`Value::Undefined`] where no rule of it applies. The
    /// lines that it prints come after those of the last evaluation.
    ///
    /// # Errors
    /// Why there is no value: the mask failed, or its time is over.
    pub(crate) fn mask_rules(&mut self, event: Value, limit: Duration) -> Result<Value, Outcome> {
        let Some(path) = self.mask.clone() else { return Ok(Value::Undefined) };
        let query = DocumentQuery { path: &path, strict_builtin_errors: false };
        let mut prints = self.take_prints();
        let rules =
            self.evaluate(limit, |policy, moment| policy.evaluate(query, Some(event), moment));
        let room = MOST_PRINTS.saturating_sub(prints.len());
        prints.extend(self.take_prints().into_iter().take(room));
        self.prints = prints;
        rules
    }

    /// A document's value, [`Value::Undefined`] where it has none.
    ///
    /// # Errors
    /// Why there is no value: the policy failed, or its time is over.
    pub(crate) fn document(
        &mut self,
        query: DocumentQuery<'_>,
        input: Option<Value>,
        deadline_micros: u64,
    ) -> Result<Value, Outcome> {
        let left = time_left(deadline_micros).ok_or(Outcome::TimedOut)?;
        self.evaluate(left, |policy, moment| policy.evaluate(query, input, moment))
    }

    fn evaluate<T>(
        &mut self,
        limit: Duration,
        evaluate: impl FnOnce(&mut RegoPolicy, Moment) -> Evaluation<T>,
    ) -> Result<T, Outcome> {
        let moment = Moment { now_ns: now_ns(), deadline: Instant::now() + limit };
        // Prints that were not taken are from an evaluation that was stopped and now begins again.
        self.prints.clear();
        let evaluated = caught(|| evaluate(&mut self.policy, moment));
        let Ok(Evaluation { result, prints }) = evaluated else {
            let message = "the engine failed on this input: please report it with the policy";
            return Err(Outcome::Failed(evaluation_failed(message)));
        };
        self.prints = prints;
        self.has_differed |= matches!(result, Err(EvaluationError::Differed));
        result.map_err(outcome_of)
    }

    /// Checks that the types of the policy's rules allow a path.
    pub(crate) fn check_path(&self, path: &[Value]) -> Result<(), String> {
        self.policy.check_path(path)
    }

    /// Whether a rule defines the document at a path, or one that it is in.
    pub(crate) fn has_rules(&self, path: &[Value]) -> bool {
        self.policy.has_rules(path)
    }

    /// The keys below `data` of the rule that decides.
    pub(crate) fn entrypoint(&self) -> &[Value] {
        &self.entrypoint
    }

    /// Largest result, in bytes of its JSON.
    pub(crate) const fn max_result(&self) -> usize {
        self.max_result
    }

    /// The evaluator that answers requests.
    pub(crate) fn evaluator(&self) -> Evaluator {
        match self.policy.evaluator() {
            enforcer_rego::Evaluator::Bytecode => Evaluator::Bytecode,
            enforcer_rego::Evaluator::Interpreter(reason) => {
                Evaluator::Interpreter(shortened(&reason))
            }
        }
    }

    /// Whether the bytecode and the interpreter have disagreed since the last call.
    pub(crate) fn take_has_differed(&mut self) -> bool {
        std::mem::take(&mut self.has_differed)
    }

    /// Lines to be taken as those of the last evaluation.
    pub(crate) fn keep_prints(&mut self, prints: Vec<String>) {
        self.prints = prints;
    }

    /// The lines that the policy printed in the last evaluation, unless they were taken already.
    pub(crate) fn take_prints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.prints)
    }
}

fn keys_of(path: &[String]) -> Vec<Value> {
    path.iter().map(|key| Value::from(key.as_str())).collect()
}

fn decision(values: Vec<Value>) -> Result<Decision, Diagnostic> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Undefined);
    decide(RuleValues { allow: next(), redact: next(), reason: next() })
}

/// The engine panicked.
struct Panicked;

/// Runs `work` of the engine and catches a panic: a client must not be able to end its tenant's
/// worker with a value that the engine panics on. The standard library writes the panic's place to
/// standard error.
///
/// The engine discards state that a panic may have left incomplete.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests;
