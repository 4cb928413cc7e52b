//! Inspections: one question about a bundle to a worker that serves no requests. It loads the bundle
//! in another way than a worker that serves, answers, and ends.

use bincode::{Decode, Encode};

use crate::diagnostic::Diagnostic;
use crate::json::JsonReport;
use crate::limits::{MAX_DIAGNOSTIC_STRING, MAX_DIAGNOSTICS, MAX_PRINTED_LINES};
use crate::outcome::{Evaluator, Outcome};
use crate::query::{DocumentQuery, InputSource};

/// A question about a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Inspection {
    /// What is wrong with the bundle, or suspicious, also in its tests.
    Check,
    /// A document's value as the evaluator that serves gives it, and the lines that it printed.
    Evaluate(DocumentQuery, InputSource),
    /// A document's value, and the events of its evaluation as OPA shows them.
    Document(DocumentQuery, InputSource, Explain),
    /// The solutions of a query that the request brings, as OPA's Query API has them.
    Query(QuerySource, Option<Explain>),
    /// Why a document has its value, for people.
    Why(DocumentQuery, InputSource),
    /// The modules, or the one of this path, as OPA's Policy API shows them.
    Policies(Option<String>),
    /// The bundle's tests.
    Tests(TestSettings),
}

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Explain {
    /// Which are shown.
    pub mode: ExplainMode,
    /// Their form.
    pub form: ExplainForm,
}

/// OPA's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ExplainMode {
    /// Notes, and the events that led to them.
    Notes,
    /// Failures, and the events that led to them.
    Fails,
    /// All but unifications.
    Full,
    /// All.
    Debug,
}

/// OPA's forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ExplainForm {
    /// An object an event.
    Events,
    /// A line an event.
    Lines,
}

/// The place of a query in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum QuerySource {
    /// The body is the text of the parameter `q`, and there is no input.
    Parameter,
    /// The body is an object with the members `query` and `input`.
    Body,
}

/// Which tests run, and how.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TestSettings {
    /// A regular expression of their names; `None` for all.
    pub run: Option<String>,
    /// Whether it is told which lines were evaluated.
    pub coverage: bool,
    /// How long one test may take, in microseconds.
    pub timeout_micros: u64,
}

/// The answer to an [`Inspection`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Findings {
    /// The bundle cannot be used: at least one diagnostic, at most
    /// [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
    Unusable(Vec<Diagnostic>),
    /// To `Check`: the bundle can be used.
    Usable {
        /// `version` of the bundle's `metadata.json`, where it has one.
        version: Option<String>,
        /// The evaluator that would answer requests.
        evaluator: Evaluator,
        /// Warnings, at most [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
        warnings: Vec<Diagnostic>,
    },
    /// To `Evaluate`: the result, and the printed lines, at most
    /// [`MAX_PRINTED_LINES`](crate::MAX_PRINTED_LINES).
    Evaluated(Outcome, Vec<String>),
    /// To `Document`: the result, and the events, where OPA shows some.
    Document(Outcome, Option<JsonReport>),
    /// To `Query`: the solutions, and the events.
    Solutions {
        /// A list of objects.
        result: JsonReport,
        /// The events, if they were asked for.
        explanation: Option<JsonReport>,
        /// How long it took to compile the query and to evaluate it, in nanoseconds.
        nanos: [u64; 2],
    },
    /// To `Query`: the query is refused, with OPA's message and the faults in it, at most
    /// [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
    Refused(String, Vec<Diagnostic>),
    /// To `Query`: it is no query that could be refused with places: OPA's message.
    Unanswerable(String),
    /// To `Why`, `Policies` and `Tests`: the report.
    Report(JsonReport),
    /// To `Policies`: there is no module of this path.
    NotFound,
    /// The question's evaluation has no result.
    Failed(Outcome),
}

impl Findings {
    pub(crate) fn is_within_limits(&self) -> bool {
        let are_few = |diagnostics: &[Diagnostic]| {
            diagnostics.len() <= MAX_DIAGNOSTICS
                && diagnostics.iter().all(Diagnostic::is_within_limits)
        };
        let is_short = |text: &str| text.len() <= MAX_DIAGNOSTIC_STRING;
        match self {
            Self::Unusable(diagnostics) => !diagnostics.is_empty() && are_few(diagnostics),
            Self::Usable { version, evaluator, warnings } => {
                let mut texts =
                    version.as_deref().into_iter().chain(evaluator.interpreted_because());
                texts.all(is_short) && are_few(warnings)
            }
            Self::Evaluated(outcome, printed) => {
                let are_short = printed.iter().all(|line| is_short(line));
                outcome.is_within_limits() && printed.len() <= MAX_PRINTED_LINES && are_short
            }
            Self::Document(outcome, explanation) => {
                outcome.is_within_limits() && explanation.as_ref().is_none_or(JsonReport::is_valid)
            }
            Self::Solutions { result, explanation, nanos: _ } => {
                result.is_valid() && explanation.as_ref().is_none_or(JsonReport::is_valid)
            }
            Self::Refused(message, diagnostics) => is_short(message) && are_few(diagnostics),
            Self::Unanswerable(message) => is_short(message),
            Self::Report(report) => report.is_valid(),
            Self::NotFound => true,
            Self::Failed(outcome) => outcome.is_within_limits(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::DiagnosticCode;

    #[test]
    fn every_text_of_the_findings_is_checked() {
        let report = |text: &str| JsonReport::new(text.to_owned());
        let many = |count| vec![Diagnostic::new(DiagnosticCode::Parse, ""); count];
        let long = || "x".repeat(MAX_DIAGNOSTIC_STRING + 1);
        let usable = |version, warnings| Findings::Usable {
            version,
            evaluator: Evaluator::Bytecode,
            warnings: many(warnings),
        };
        let solutions = |result: &str, explanation: &str| Findings::Solutions {
            result: report(result),
            explanation: Some(report(explanation)),
            nanos: [0; 2],
        };
        for (within, beyond) in [
            (Findings::Unusable(many(1)), Findings::Unusable(many(0))),
            (
                Findings::Unusable(many(MAX_DIAGNOSTICS)),
                Findings::Unusable(many(MAX_DIAGNOSTICS + 1)),
            ),
            (usable(None, MAX_DIAGNOSTICS), usable(None, MAX_DIAGNOSTICS + 1)),
            (usable(Some(String::new()), 0), usable(Some(long()), 0)),
            (
                Findings::Evaluated(Outcome::TimedOut, vec![String::new(); MAX_PRINTED_LINES]),
                Findings::Evaluated(Outcome::TimedOut, vec![String::new(); MAX_PRINTED_LINES + 1]),
            ),
            (
                Findings::Evaluated(Outcome::TimedOut, vec![String::new()]),
                Findings::Evaluated(Outcome::TimedOut, vec![long()]),
            ),
            (
                Findings::Document(Outcome::TimedOut, Some(report("[]"))),
                Findings::Document(Outcome::TimedOut, Some(report("[],"))),
            ),
            (solutions("[]", "[]"), solutions("[", "[]")),
            (solutions("[]", "[]"), solutions("[]", "")),
            (
                Findings::Refused(String::new(), many(MAX_DIAGNOSTICS)),
                Findings::Refused(String::new(), many(MAX_DIAGNOSTICS + 1)),
            ),
            (Findings::Refused(String::new(), Vec::new()), Findings::Refused(long(), Vec::new())),
            (Findings::Unanswerable(String::new()), Findings::Unanswerable(long())),
            (Findings::Report(report("{}")), Findings::Report(report("{},"))),
            (
                Findings::Failed(Outcome::InvalidRequest(String::new())),
                Findings::Failed(Outcome::InvalidRequest(long())),
            ),
        ] {
            assert!(within.is_within_limits(), "{within:?}");
            assert!(!beyond.is_within_limits(), "{beyond:?}");
        }
    }
}
