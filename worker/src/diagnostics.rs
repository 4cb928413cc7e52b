//! The engine's faults as the supervisor receives them: bounded texts in the protocol's types.

use enforcer_protocol::{
    Diagnostic, DiagnosticCode, Location, MAX_DIAGNOSTIC_STRING, MAX_DIAGNOSTICS, Outcome,
};
use enforcer_rego::diagnostic::Code;
use enforcer_rego::{EvaluationError, FailureKind, Report};

/// A fault or warning of a bundle.
pub(crate) fn of_report(report: Report) -> Diagnostic {
    let Report { code, message, location, line, help } = report;
    let code = match code {
        Code::Parse => DiagnosticCode::Parse,
        Code::Compile => DiagnosticCode::Compile,
        Code::Type => DiagnosticCode::StaticType,
        Code::UnsafeVar => DiagnosticCode::UnsafeVariable,
        Code::Recursion => DiagnosticCode::Recursion,
        Code::Bundle => DiagnosticCode::Bundle,
    };
    Diagnostic {
        code,
        message: shortened(&message),
        location: location.map(of_location),
        line: line.as_deref().map(shortened),
        help: help.as_deref().map(shortened),
    }
}

/// The faults or warnings of a bundle, as many as an answer may have.
pub(crate) fn of_reports(reports: Vec<Report>) -> Vec<Diagnostic> {
    reports.into_iter().take(MAX_DIAGNOSTICS).map(of_report).collect()
}

/// The outcome of an evaluation that has no value.
pub(crate) fn outcome_of(error: EvaluationError) -> Outcome {
    match error {
        EvaluationError::TimedOut => Outcome::TimedOut,
        error => Outcome::Failed(of_evaluation(error)),
    }
}

/// Why an evaluation failed.
fn of_evaluation(error: EvaluationError) -> Diagnostic {
    match error {
        EvaluationError::Failed { kind, message, location } => {
            let code = match kind {
                FailureKind::Conflict => DiagnosticCode::Conflict,
                FailureKind::Builtin => DiagnosticCode::Builtin,
                FailureKind::Type => DiagnosticCode::Type,
                FailureKind::Internal => DiagnosticCode::Internal,
            };
            let location = location.map(of_location);
            Diagnostic { location, ..Diagnostic::new(code, shortened(&message)) }
        }
        EvaluationError::TimedOut | EvaluationError::Differed => {
            evaluation_failed(&error.to_string())
        }
    }
}

/// An evaluation that failed for a reason outside the policy.
pub(crate) fn evaluation_failed(message: &str) -> Diagnostic {
    Diagnostic::new(DiagnosticCode::Internal, shortened(message))
}

fn of_location(location: enforcer_rego::source::Location) -> Location {
    Location { file: shortened(&location.file), row: location.row, col: location.col }
}

/// `text`, truncated to the length that a diagnostic may have.
pub(crate) fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_DIAGNOSTIC_STRING)).unwrap_or_default().to_owned()
}
