//! The questions of an `Evaluate`.

use bincode::{Decode, Encode};

use crate::outcome::Outcome;

/// A question about the tenant's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Query {
    /// The tenant's decision: its rules `allow`, `redact` and `reason`.
    #[default]
    Decision,
    /// A document's value, as OPA's Data API has it.
    Document(DocumentQuery, InputSource),
    /// Many inputs in one body: `{"inputs": {…}, "common_input": {…}}`. All have the deadline of
    /// the `Evaluate`. The number is how many inputs there may be; of more, none is evaluated.
    Batch(BatchQuery, u32),
}

/// A document below `data`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DocumentQuery {
    /// The keys, as the segments of a request's path, decoded. A key that is a whole number is one
    /// in OPA too; the worker decides that.
    pub path: Vec<String>,
    /// Whether a built-in that fails is the request's error, even if the tenant's setting says
    /// otherwise.
    pub strict_builtin_errors: bool,
}

/// The place of the input in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum InputSource {
    /// There is no input (`GET` without `input`).
    Absent,
    /// The body is the text of the parameter `input`, which is JSON.
    Parameter,
    /// The body is an object with a member `input`, which may be missing (`POST /v1/data`).
    Member(TextFormat),
    /// The body is the input (`POST /v0/data`).
    Body(TextFormat),
}

/// The language of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TextFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// The question about each input of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BatchQuery {
    /// The tenant's decision.
    Decision,
    /// A document's value.
    Document(DocumentQuery),
}

impl Query {
    /// Whether an outcome is of the kind that an `Evaluated` may have for this question. A batch
    /// whose body cannot be read has no other answer than an error.
    #[must_use]
    pub const fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Decision(_) => matches!(self, Self::Decision),
            Outcome::Document(_) | Outcome::PathRefused(_) => matches!(self, Self::Document(..)),
            Outcome::TenantMismatch => matches!(self, Self::Decision),
            Outcome::TooManyInputs(_) => matches!(self, Self::Batch(..)),
            Outcome::InvalidRequest(_) | Outcome::Failed(_) | Outcome::TimedOut => true,
        }
    }
}

impl BatchQuery {
    /// Whether an outcome is of the kind that an input of this batch may have.
    #[must_use]
    pub const fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Decision(_) | Outcome::TenantMismatch => matches!(self, Self::Decision),
            Outcome::Document(_) | Outcome::PathRefused(_) => matches!(self, Self::Document(_)),
            Outcome::TooManyInputs(_) => false,
            Outcome::InvalidRequest(_) | Outcome::Failed(_) | Outcome::TimedOut => true,
        }
    }
}
