//! The frames, as plain data.

use std::fmt;

use bincode::{BorrowDecode, Decode, Encode};
use serde::Serialize;

use crate::codec::Frame;
use crate::limits::{
    MAX_DECISION_STRING, MAX_DIAGNOSTIC_STRING, MAX_DIAGNOSTICS, MAX_REDACTIONS, MAX_SANDBOX_LAYERS,
};
use crate::sandbox::{MissingLayer, SandboxLayer};

/// The supervisor's frames, in a fixed order: one `LoadBundle`, for every file one `BundleFile`
/// followed by its `BundleChunk`s, one `BundleEnd`; after the worker's `Loaded` any number of
/// `Evaluate`. Closing the socket tells the worker to end.
///
/// Bytes are borrowed from the frame that they came in: a request body is not copied to be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub enum ToWorker<'a> {
    /// Begins the one bundle of this worker's life.
    LoadBundle {
        /// The bundle's tenant; a [`TenantId`](crate::TenantId)'s text.
        tenant_id: &'a str,
        /// How long the evaluation that warms up may take, in microseconds.
        evaluation_timeout_micros: u64,
        /// Whether the bytecode may answer; otherwise the interpreter does.
        bytecode: bool,
        /// Whether an error in a built-in fails the request. Otherwise its call is undefined, as in
        /// OPA.
        strict_builtin_errors: bool,
    },
    /// Begins a file of the bundle.
    BundleFile {
        /// Its path below the bundle's root, `/` between the parts.
        path: &'a str,
        /// Its length in bytes, over all the chunks that follow.
        length: u64,
    },
    /// The next bytes of the file that was begun last.
    BundleChunk(&'a [u8]),
    /// The bundle is whole: load it and answer with `Loaded` or `LoadFailed`.
    BundleEnd,
    /// Answer a request.
    Evaluate {
        /// Names this request in the answer. Ids grow by one from 0.
        id: u64,
        /// The kind of question.
        kind: QueryKind,
        /// The deadline of the answer: microseconds of `CLOCK_MONOTONIC`, which all processes of a
        /// host share (`clock_gettime(2)`).
        deadline_micros: u64,
        /// The request's body as it came from the client: any bytes at all.
        body: &'a [u8],
    },
}

/// The kinds of question of an `Evaluate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum QueryKind {
    /// The tenant's decision: its rules `allow`, `redact` and `reason`.
    Decision,
}

/// The worker's frames. The supervisor treats every byte of them as hostile.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromWorker {
    /// The first frame, sent before any tenant byte was read.
    Hello {
        /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) of the worker.
        version: u16,
        /// The sandbox layers in force.
        layers: Vec<SandboxLayer>,
        /// The layers that are not in force, and why.
        missing: Vec<MissingLayer>,
    },
    /// The bundle was loaded, compiled and evaluated once.
    Loaded {
        /// `version` of the bundle's `metadata.json`, where it has one.
        version: Option<String>,
        /// `revision` of the bundle's `.manifest`, where it has one.
        bundle_revision: Option<String>,
        /// The evaluator that will answer requests.
        evaluator: Evaluator,
        /// Warnings about the bundle, at most
        /// [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
        warnings: Vec<Diagnostic>,
    },
    /// The bundle cannot be used.
    LoadFailed {
        /// Why: at least one, at most [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
        diagnostics: Vec<Diagnostic>,
    },
    /// The answer to an `Evaluate`.
    Evaluated {
        /// The id of the request.
        id: u64,
        /// The result.
        outcome: Outcome,
        /// How long the worker took, from the request's body to the outcome, in microseconds.
        micros: u64,
        /// Whether the bytecode and the interpreter had different answers. Then this is neither's
        /// but an error.
        differed: bool,
    },
}

/// The evaluator of a tenant's policy.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Evaluator {
    /// Bytecode for regorus' VM.
    Bytecode,
    /// regorus' interpreter. Says why it is not the bytecode, and where in the bundle.
    Interpreter(String),
}

impl Evaluator {
    /// Its name, as users see it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bytecode => "bytecode",
            Self::Interpreter(_) => "interpreter",
        }
    }

    /// Why it is the interpreter, where it is.
    #[must_use]
    pub fn interpreted_because(&self) -> Option<&str> {
        match self {
            Self::Bytecode => None,
            Self::Interpreter(reason) => Some(reason),
        }
    }
}

impl<'a> Frame<'a> for ToWorker<'a> {
    /// The supervisor is trusted; its frames have no limit but their length.
    fn is_within_limits(&self) -> bool {
        true
    }
}

impl Frame<'_> for FromWorker {
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Hello { layers, missing, .. } => {
                layers.len() + missing.len() <= MAX_SANDBOX_LAYERS
                    && missing.iter().all(|layer| layer.reason.len() <= MAX_DIAGNOSTIC_STRING)
            }
            Self::Loaded { version, bundle_revision, evaluator, warnings } => {
                let texts = [version.as_deref(), bundle_revision.as_deref()];
                let mut texts =
                    texts.into_iter().chain([evaluator.interpreted_because()]).flatten();
                texts.all(|text| text.len() <= MAX_DIAGNOSTIC_STRING)
                    && warnings.len() <= MAX_DIAGNOSTICS
                    && warnings.iter().all(Diagnostic::is_within_limits)
            }
            Self::LoadFailed { diagnostics } => {
                (1..=MAX_DIAGNOSTICS).contains(&diagnostics.len())
                    && diagnostics.iter().all(Diagnostic::is_within_limits)
            }
            Self::Evaluated { outcome, .. } => match outcome {
                Outcome::Decision(decision) => decision.is_within_limits(),
                Outcome::InvalidRequest(message) => message.len() <= MAX_DIAGNOSTIC_STRING,
                Outcome::Failed(diagnostic) => diagnostic.is_within_limits(),
                Outcome::TenantMismatch | Outcome::TimedOut => true,
            },
        }
    }
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The policy was evaluated and gave a decision.
    Decision(Decision),
    /// The body is not valid for the query, with the fault and its place.
    InvalidRequest(String),
    /// `input.subject.tenant_id` names another tenant; the policy was not evaluated.
    TenantMismatch,
    /// The policy was evaluated and failed.
    Failed(Diagnostic),
    /// The deadline passed before there was an answer.
    TimedOut,
}

/// A policy's answer. It travels as typed fields, never as JSON text that could be spliced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Decision {
    /// Whether the request is allowed.
    pub allow: bool,
    /// Paths that the gateway must remove from the data that it passes on.
    pub redact: Vec<String>,
    /// The policy's own explanation.
    pub reason: Option<String>,
}

impl Decision {
    fn is_within_limits(&self) -> bool {
        self.redact.len() <= MAX_REDACTIONS
            && self.redact.iter().chain(&self.reason).all(|text| text.len() <= MAX_DECISION_STRING)
    }
}

/// Something wrong in a bundle or in an evaluation, for the tenant's author to read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Diagnostic {
    /// The kind of fault.
    pub code: DiagnosticCode,
    /// The fault, in words.
    pub message: String,
    /// Its place, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The line at that place, as the tenant wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The remedy, if the cause is common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault without a place.
    #[must_use]
    pub fn new(code: DiagnosticCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), location: None, line: None, help: None }
    }

    fn is_within_limits(&self) -> bool {
        let Self { code: _, message, location, line, help } = self;
        let file = location.as_ref().map(|location| &location.file);
        [Some(message), file, line.as_ref(), help.as_ref()]
            .into_iter()
            .flatten()
            .all(|text| text.len() <= MAX_DIAGNOSTIC_STRING)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(formatter, "{location}: ")?;
        }
        write!(formatter, "{}: {}", self.code.as_str(), self.message)?;
        match &self.help {
            Some(help) => write!(formatter, " ({help})"),
            None => Ok(()),
        }
    }
}

/// A place in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Location {
    /// The file's path below the bundle's root.
    pub file: String,
    /// Line, from 1.
    pub row: u32,
    /// Column, from 1.
    pub col: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, row, col } = self;
        write!(formatter, "{file}:{row}:{col}")
    }
}

/// Kinds of fault. Where OPA has a code for one, it is OPA's
/// (<https://www.openpolicyagent.org/docs/rest-api#errors>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DiagnosticCode {
    /// A Rego module does not parse.
    Parse,
    /// The modules parse and do not compile together.
    Compile,
    /// An expression has a type that is wrong there for every input.
    StaticType,
    /// A variable is unsafe: no expression gives it a value.
    UnsafeVariable,
    /// A rule depends on itself.
    Recursion,
    /// A package, data document or file is outside what a bundle may hold.
    Bundle,
    /// Rules gave more than one value where one is allowed.
    Conflict,
    /// A built-in function failed.
    Builtin,
    /// A value has a type that is not allowed where it stands.
    Type,
    /// Anything else that stopped an evaluation.
    Internal,
}

impl DiagnosticCode {
    /// The code as users see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "rego_parse_error",
            Self::Compile => "rego_compile_error",
            Self::StaticType => "rego_type_error",
            Self::UnsafeVariable => "rego_unsafe_var_error",
            Self::Recursion => "rego_recursion_error",
            Self::Bundle => "bundle_error",
            Self::Conflict => "eval_conflict_error",
            Self::Builtin => "eval_builtin_error",
            Self::Type => "eval_type_error",
            Self::Internal => "eval_internal_error",
        }
    }
}

impl Serialize for DiagnosticCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(outcome: Outcome) -> FromWorker {
        FromWorker::Evaluated { id: 0, outcome, micros: 0, differed: false }
    }

    fn diagnostic(message: usize, file: usize) -> Diagnostic {
        let location = Some(Location { file: "x".repeat(file), row: 1, col: 1 });
        let whole = Diagnostic::new(DiagnosticCode::Parse, "x".repeat(message));
        Diagnostic { location, ..whole }
    }

    fn decision(redactions: usize, redaction: usize, reason: usize) -> FromWorker {
        evaluated(Outcome::Decision(Decision {
            allow: true,
            redact: vec!["x".repeat(redaction); redactions],
            reason: Some("x".repeat(reason)),
        }))
    }

    #[test]
    fn every_bound_is_kept_to_the_last_byte() {
        let hello = |layers, missing, reason: usize| FromWorker::Hello {
            version: 1,
            layers: vec![SandboxLayer::ResourceLimits; layers],
            missing: vec![
                MissingLayer {
                    layer: SandboxLayer::ResourceLimits,
                    reason: "x".repeat(reason)
                };
                missing
            ],
        };
        let text = MAX_DIAGNOSTIC_STRING;
        let loaded = |length| FromWorker::Loaded {
            version: Some("x".repeat(length)),
            bundle_revision: None,
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
        };
        let built = |length| FromWorker::Loaded {
            version: None,
            bundle_revision: Some("x".repeat(length)),
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
        };
        let warned = |count| FromWorker::Loaded {
            version: None,
            bundle_revision: None,
            evaluator: Evaluator::Bytecode,
            warnings: vec![diagnostic(1, 1); count],
        };
        let helped = |line: usize, help: usize| {
            let (line, help) = (Some("x".repeat(line)), Some("x".repeat(help)));
            evaluated(Outcome::Failed(Diagnostic { line, help, ..diagnostic(1, 1) }))
        };
        let interpreted = |length| FromWorker::Loaded {
            version: None,
            bundle_revision: None,
            evaluator: Evaluator::Interpreter("x".repeat(length)),
            warnings: Vec::new(),
        };
        let failed = |count| FromWorker::LoadFailed { diagnostics: vec![diagnostic(1, 1); count] };
        let broken = |message, file| evaluated(Outcome::Failed(diagnostic(message, file)));
        let invalid = |length| evaluated(Outcome::InvalidRequest("x".repeat(length)));
        for (within, beyond) in [
            (hello(MAX_SANDBOX_LAYERS, 0, 0), hello(MAX_SANDBOX_LAYERS + 1, 0, 0)),
            (hello(0, MAX_SANDBOX_LAYERS, 0), hello(1, MAX_SANDBOX_LAYERS, 0)),
            (hello(0, 1, text), hello(0, 1, text + 1)),
            (loaded(text), loaded(text + 1)),
            (built(text), built(text + 1)),
            (interpreted(text), interpreted(text + 1)),
            (failed(MAX_DIAGNOSTICS), failed(MAX_DIAGNOSTICS + 1)),
            (failed(1), failed(0)),
            (warned(0), warned(MAX_DIAGNOSTICS + 1)),
            (warned(MAX_DIAGNOSTICS), warned(MAX_DIAGNOSTICS + 1)),
            (helped(text, 1), helped(text + 1, 1)),
            (helped(1, text), helped(1, text + 1)),
            (broken(text, 1), broken(text + 1, 1)),
            (broken(1, text), broken(1, text + 1)),
            (invalid(text), invalid(text + 1)),
            (decision(MAX_REDACTIONS, 1, 1), decision(MAX_REDACTIONS + 1, 1, 1)),
            (decision(1, MAX_DECISION_STRING, 1), decision(1, MAX_DECISION_STRING + 1, 1)),
            (decision(1, 1, MAX_DECISION_STRING), decision(1, 1, MAX_DECISION_STRING + 1)),
        ] {
            assert!(within.is_within_limits(), "{within:?}");
            assert!(!beyond.is_within_limits(), "{beyond:?}");
        }
    }
}
