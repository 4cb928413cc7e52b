//! The results of questions.

use bincode::{Decode, Encode};

use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::json::JsonText;
use crate::limits::{MAX_DECISION_STRING, MAX_DIAGNOSTIC_STRING};
use crate::mask::Mask;

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

/// The result for one input of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BatchItem {
    /// The input's name.
    pub key: String,
    /// The result.
    pub outcome: Outcome,
    /// How long the worker took for it, in microseconds.
    pub micros: u64,
    /// What the policy's mask leaves of the input and the result.
    pub mask: Mask,
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The policy was evaluated and gave a decision.
    Decision(Decision),
    /// The policy was evaluated, and this is the document's value.
    Document(DocumentAnswer),
    /// The body is not valid for the query, with the fault and its place.
    InvalidRequest(String),
    /// A batch has this many inputs, which is more than its question allows; the policy was not
    /// evaluated.
    TooManyInputs(u32),
    /// `input.subject.tenant_id` names another tenant; the policy was not evaluated.
    TenantMismatch,
    /// By the types of the policy's rules, the document can never have a value: OPA's message.
    PathRefused(String),
    /// The policy was evaluated and failed.
    Failed(Diagnostic),
    /// The deadline passed before there was an answer.
    TimedOut,
}

impl Outcome {
    pub(crate) fn is_within_limits(&self) -> bool {
        match self {
            Self::Decision(decision) => decision.is_within_limits(),
            Self::Document(document) => document.is_within_limits(),
            Self::InvalidRequest(message) => message.len() <= MAX_DIAGNOSTIC_STRING,
            Self::PathRefused(message) => message.len() <= MAX_DECISION_STRING,
            Self::Failed(diagnostic) => diagnostic.is_within_limits(),
            Self::TooManyInputs(_) | Self::TenantMismatch | Self::TimedOut => true,
        }
    }
}

/// A document's value, and what is told about its evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DocumentAnswer {
    /// `None` if the document is undefined.
    pub value: Option<JsonText>,
    /// Whether a rule defines the document, or one that it is in.
    pub has_rules: bool,
    /// Whether the request had an input.
    pub input: Given,
    /// The decision that the value is, where the document is the tenant's entrypoint.
    pub decision: Option<Decision>,
    /// How long it took to read the input, in nanoseconds.
    pub parse_nanos: u64,
    /// How long the evaluation took, in nanoseconds.
    pub evaluation_nanos: u64,
}

impl DocumentAnswer {
    pub(crate) fn is_within_limits(&self) -> bool {
        self.value.as_ref().is_none_or(JsonText::is_valid)
            && self.decision.as_ref().is_none_or(Decision::is_within_limits)
    }
}

/// Whether a request had an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Given {
    /// It had.
    Input,
    /// It had no input; one that is null counts as none.
    Nothing,
}
