//! A loaded policy, for the worker, the commands and the comparisons.

mod entry;
mod evaluators;
pub(crate) mod front_end;
mod prints;
mod sampler;
mod unused;

use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use regorus::Value;

use crate::bundle::{File, Tests};
use crate::compile::PathTypes;
use crate::core::{Document, Found, RuleId};
use crate::diagnostic::Diagnostic;
use crate::lower;
use crate::machine::{self, ErrorKind, Strictness};
use crate::report::Report;
use crate::source::{Location, Sources};
use evaluators::{Asked, Choice, Evaluators, Fault};
use front_end::Parsed;
use sampler::CrossCheckSampler;

/// The packages that a bundle may define.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespace {
    /// `tenants.<id>` and packages below it. Data may not define anything under `tenants`.
    Tenant(String),
    /// Any package.
    #[default]
    Open,
}

/// The settings for loading and evaluating a policy.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The packages that it may define.
    pub namespace: Namespace,
    /// Whether its tests are loaded.
    pub tests: Tests,
    /// Whether only the interpreter may evaluate it.
    pub interpreter_only: bool,
    /// Whether a built-in that fails is the evaluation's error.
    pub strict_builtin_errors: bool,
    /// The documents of a decision, as keys below `data`.
    pub decision: Vec<Vec<String>>,
    /// The document that masks decisions, as keys below `data`; without keys there is none. Its
    /// rules are used although no decision uses them.
    pub mask: Vec<String>,
}

/// The evaluator of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluator {
    /// Bytecode for regorus' VM.
    Bytecode,
    /// regorus' interpreter, with the reason.
    Interpreter(String),
}

/// The time of an evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The value of `time.now_ns`: nanoseconds since 1970.
    pub now_ns: i64,
    /// Its deadline.
    pub deadline: Instant,
}

/// The result of an evaluation.
#[derive(Debug)]
pub struct Evaluation<T> {
    /// The value or values.
    pub result: Result<T, EvaluationError>,
    /// The lines that the policy printed, each after its file and row: `policy.rego:4: text`.
    pub prints: Vec<String>,
}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The deadline passed.
    #[error("the evaluation did not end in time")]
    TimedOut,
    /// The policy failed.
    #[error("{}: {message}", kind.as_str())]
    Failed {
        /// Its kind.
        kind: FailureKind,
        /// The message: OPA's where OPA has one.
        message: String,
        /// Its place, if it has one.
        location: Option<Location>,
    },
    /// The bytecode and the interpreter disagree, so neither is believed.
    #[error("the bytecode and the interpreter disagree about this input, so there is no answer")]
    Differed,
}

/// Kinds of failure, with OPA's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// `eval_conflict_error`
    Conflict,
    /// `eval_builtin_error`
    Builtin,
    /// `eval_type_error`
    Type,
    /// `eval_internal_error`
    Internal,
}

impl FailureKind {
    /// OPA's code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "eval_conflict_error",
            Self::Builtin => "eval_builtin_error",
            Self::Type => "eval_type_error",
            Self::Internal => "eval_internal_error",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A bundle's policies and data, compiled and ready to be asked.
#[derive(Debug)]
pub struct Policy {
    evaluators: Evaluators,
    /// The virtual documents, by path.
    documents: Document,
    /// The types of its documents.
    path_types: Option<Box<dyn PathTypes>>,
    /// The rule for each function of a document's keys.
    keyed: HashMap<RuleId, RuleId>,
    /// Queries of base data.
    data: Value,
    sources: Sources,
    decision: Option<RuleId>,
    decision_length: usize,
    version: Option<String>,
    bundle_revision: Option<String>,
    warnings: Vec<Report>,
    ignored_files: Vec<String>,
    /// Whether a built-in that fails ends the evaluation, by the policy's settings.
    strictness: Strictness,
}

/// A question about a document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentQuery<'a> {
    /// The keys below `data`.
    pub path: &'a [Value],
    /// Whether a built-in that fails is this evaluation's error, even if the policy's settings say
    /// otherwise.
    pub strict_builtin_errors: bool,
}

impl Policy {
    /// Loads a bundle's files.
    ///
    /// # Errors
    /// The faults of the first stage with any, up to a bound.
    pub fn load(files: Vec<File>, settings: &Settings) -> Result<Self, Vec<Report>> {
        let Parsed { sources, modules, data, version, bundle_revision, ignored_files } =
            front_end::parse(files, settings)?;
        let mut compiled = front_end::compile(&sources, modules, settings.tests)?;
        prints::locate(&sources, &mut compiled.modules);
        let mut program =
            lower::lower(&sources, &compiled).map_err(|faults| reports(faults, &sources))?;
        compiled.warnings.extend(unused::warnings(&sources, &compiled, settings));
        let mut warnings = reports(compiled.warnings, &sources);
        warnings.extend(entry::missing(&program, &settings.decision));
        let decision = (!settings.decision.is_empty())
            .then(|| entry::add_decision(&mut program, &settings.decision));
        let keyed = entry::add_keyed(&mut program);
        let documents = std::mem::take(&mut program.documents);
        let choice = if settings.interpreter_only { Choice::Interpreter } else { Choice::Auto };
        let sampler = match &settings.namespace {
            Namespace::Tenant(id) => CrossCheckSampler::for_tenant(id),
            Namespace::Open => CrossCheckSampler::from_the_first(),
        };
        let evaluators = Evaluators::new(program, &data, choice, sampler, &sources)
            .map_err(|message| vec![Report::of_bundle(message)])?;
        Ok(Self {
            evaluators,
            documents,
            path_types: compiled.path_types,
            keyed,
            data,
            decision,
            decision_length: settings.decision.len(),
            version,
            bundle_revision,
            warnings,
            ignored_files,
            sources,
            strictness: if settings.strict_builtin_errors {
                Strictness::Strict
            } else {
                Strictness::Lenient
            },
        })
    }

    /// `version` of the bundle's `metadata.json`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// `revision` of the bundle's `.manifest`.
    #[must_use]
    pub fn bundle_revision(&self) -> Option<&str> {
        self.bundle_revision.as_deref()
    }

    /// The warnings.
    #[must_use]
    pub fn warnings(&self) -> &[Report] {
        &self.warnings
    }

    /// The first ignored files of the bundle.
    #[must_use]
    pub fn ignored_files(&self) -> &[String] {
        &self.ignored_files
    }

    /// Its evaluator.
    #[must_use]
    pub fn evaluator(&self) -> Evaluator {
        self.evaluators.serving()
    }

    /// The values of the decision's documents, [`Value::Undefined`] for undefined ones. They are
    /// evaluated together.
    pub fn decide(&mut self, input: Value, moment: Moment) -> Evaluation<Vec<Value>> {
        let Some(decision) = self.decision else {
            return Evaluation { result: Ok(Vec::new()), prints: Vec::new() };
        };
        let strictness = self.strictness;
        let Evaluation { result, prints } =
            self.ask(decision, &[], Some(input), moment, strictness);
        let result = result.map(|values| {
            let optional = |index| entry::element(&entry::element(&values, index), 0);
            (0..self.decision_length).map(optional).collect()
        });
        Evaluation { result, prints }
    }

    /// The value of `data` at a path, or [`Value::Undefined`].
    pub fn evaluate(
        &mut self,
        query: DocumentQuery<'_>,
        input: Option<Value>,
        moment: Moment,
    ) -> Evaluation<Value> {
        let DocumentQuery { path, strict_builtin_errors } = query;
        let strictness = if strict_builtin_errors { Strictness::Strict } else { self.strictness };
        match self.documents.find(path) {
            Found::Rule(rule, rest) => {
                let Evaluation { result, prints } = self.ask(rule, &[], input, moment, strictness);
                let result = result.map(|value| entry::at(&value, rest));
                Evaluation { result, prints }
            }
            Found::Keyed { rule, function, keys, rest } => {
                let keyed = self.keyed.get(&function);
                let (rule, below) = keyed.map_or((rule, 0), |rule| (*rule, 1));
                let Evaluation { result, prints } = self.ask(rule, keys, input, moment, strictness);
                let rest = rest.get(below..).unwrap_or_default();
                let result = result.map(|value| entry::at(&value, rest));
                Evaluation { result, prints }
            }
            Found::Nothing => Evaluation { result: Ok(Value::Undefined), prints: Vec::new() },
            Found::Base => {
                let value = crate::core::data::Data::new(self.data.clone());
                let value = value.find(path).cloned().unwrap_or(Value::Undefined);
                Evaluation { result: Ok(value), prints: Vec::new() }
            }
        }
    }

    /// Checks that the types of the policy's rules allow a path, as OPA checks it.
    ///
    /// # Errors
    /// OPA's message, where the document at the path can never have a value.
    pub fn check_path(&self, path: &[Value]) -> Result<(), String> {
        self.path_types.as_ref().map_or(Ok(()), |types| types.check(path))
    }

    /// Whether a rule defines the document at a path, or one that it is in.
    #[must_use]
    pub fn has_rules(&self, path: &[Value]) -> bool {
        self.documents.is_of_rules(path)
    }

    fn ask(
        &mut self,
        rule: RuleId,
        keys: &[Value],
        input: Option<Value>,
        moment: Moment,
        strictness: Strictness,
    ) -> Evaluation<Value> {
        let asked = Asked { rule, keys, input, moment };
        let evaluation = self.evaluators.evaluate(asked, &self.data, strictness);
        let result = evaluation.result.map_err(|fault| match fault {
            Fault::Evaluation(error) => self.error(error),
            Fault::Differed => EvaluationError::Differed,
        });
        Evaluation { result, prints: evaluation.prints }
    }

    fn error(&self, error: machine::EvaluationError) -> EvaluationError {
        let kind = match error.kind {
            ErrorKind::Deadline => return EvaluationError::TimedOut,
            ErrorKind::Conflict => FailureKind::Conflict,
            ErrorKind::Builtin => FailureKind::Builtin,
            ErrorKind::Type => FailureKind::Type,
            ErrorKind::Limit | ErrorKind::Internal => FailureKind::Internal,
        };
        let span = error.place.and_then(|place| place.span);
        let location = span.map(|span| self.sources.location(span));
        EvaluationError::Failed { kind, message: error.message, location }
    }
}

pub(crate) fn reports(diagnostics: Vec<Diagnostic>, sources: &Sources) -> Vec<Report> {
    diagnostics.into_iter().map(|diagnostic| Report::of(diagnostic, sources)).collect()
}

#[cfg(test)]
mod tests;
