//! The tenant's policy, as the serving loop queries it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use enforcer_protocol::{Decision, Diagnostic, Evaluator, MAX_DIAGNOSTICS, Outcome, TenantId};
use enforcer_rego::{
    Evaluation, EvaluationError, Moment, Namespace, Policy as RegoPolicy, Settings, Tests, Value,
};

use crate::bundle::Bundle;
use crate::clock::monotonic_micros;
use crate::decision::{RuleValues, decide};
use crate::diagnostics::{evaluation_failed, of_evaluation, of_report, shortened};
use crate::value::member;

/// The rules that make a decision, in the tenant's package.
const DECISION_RULES: [&str; 3] = ["allow", "redact", "reason"];

/// A tenant's policies and data, compiled and ready for requests.
#[derive(Debug)]
pub(crate) struct Policy {
    policy: RegoPolicy,
    tenant_id: Value,
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
        let Bundle { tenant_id, evaluation_timeout, bytecode, strict_builtin_errors, files } =
            bundle;
        let settings = Settings {
            namespace: Namespace::Tenant(tenant_id.as_str().to_owned()),
            tests: Tests::Excluded,
            interpreter_only: !bytecode,
            strict_builtin_errors,
            decision: decision_paths(&tenant_id),
        };
        let loaded = caught(|| RegoPolicy::load(files, &settings)).unwrap_or_else(|Panicked| {
            let message = "the engine failed on this bundle: please report it";
            Err(vec![enforcer_rego::Report::of_bundle(message)])
        });
        let policy = loaded.map_err(|reports| {
            reports.into_iter().take(MAX_DIAGNOSTICS).map(of_report).collect::<Vec<_>>()
        })?;
        let tenant_id = Value::from(tenant_id.as_str());
        let mut policy = Self { policy, tenant_id, prints: Vec::new(), has_differed: false };
        // A policy that fails on an empty input does not make the bundle faulty.
        let _ = policy.ask(Value::new_object(), evaluation_timeout);
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
        self.policy.warnings().iter().take(MAX_DIAGNOSTICS).cloned().map(of_report).collect()
    }

    /// Answers a decision request: a body of `{"input": …}`, until `deadline_micros` of
    /// [`monotonic_micros`].
    pub(crate) fn decide(&mut self, body: &[u8], deadline_micros: u64) -> Outcome {
        let document = match enforcer_rego::json::parse(body) {
            Ok(document) => document,
            Err(error) => {
                return Outcome::InvalidRequest(shortened(&format!(
                    "the request body cannot be read as JSON, at byte {}: {}",
                    error.offset, error.message
                )));
            }
        };
        // OPA's Data API takes a null input for a missing one.
        let input = member(&document, "input");
        if matches!(input, Value::Undefined | Value::Null) {
            return Outcome::InvalidRequest(
                "the request body must be a JSON object with an \"input\" that is not null".into(),
            );
        }
        let subject_tenant = member(member(input, "subject"), "tenant_id");
        if *subject_tenant != Value::Undefined && *subject_tenant != self.tenant_id {
            return Outcome::TenantMismatch;
        }
        let left = Duration::from_micros(deadline_micros.saturating_sub(monotonic_micros()));
        if left.is_zero() {
            return Outcome::TimedOut;
        }
        match self.ask(input.clone(), left) {
            Ok(decision) => Outcome::Decision(decision),
            Err(outcome) => outcome,
        }
    }

    fn ask(&mut self, input: Value, limit: Duration) -> Result<Decision, Outcome> {
        let moment = Moment { now_ns: now_ns(), deadline: Instant::now() + limit };
        // Prints that were not taken are from an evaluation that was stopped and now begins again.
        self.prints.clear();
        let evaluated = caught(|| self.policy.decide(input, moment));
        let Ok(Evaluation { result, prints }) = evaluated else {
            let message = "the engine failed on this input: please report it with the policy";
            return Err(Outcome::Failed(evaluation_failed(message)));
        };
        self.prints = prints;
        self.has_differed |= matches!(result, Err(EvaluationError::Differed));
        match result {
            Ok(values) => decision(values).map_err(Outcome::Failed),
            Err(EvaluationError::TimedOut) => Err(Outcome::TimedOut),
            Err(error) => Err(Outcome::Failed(of_evaluation(error))),
        }
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

    /// The lines that the policy printed in the last evaluation, unless they were taken already.
    pub(crate) fn take_prints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.prints)
    }
}

/// The paths of a decision's rules below `data`.
fn decision_paths(tenant_id: &TenantId) -> Vec<Vec<String>> {
    let path = |rule: &str| vec!["tenants".to_owned(), tenant_id.to_string(), rule.to_owned()];
    DECISION_RULES.into_iter().map(path).collect()
}

fn decision(values: Vec<Value>) -> Result<Decision, Diagnostic> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Value::Undefined);
    decide(RuleValues { allow: next(), redact: next(), reason: next() })
}

/// The time for `time.now_ns`. A clock outside the range of `i64` is clamped to it.
fn now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
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
