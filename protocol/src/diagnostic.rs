//! Faults, for the authors of policies.

use std::fmt;

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::limits::MAX_DIAGNOSTIC_STRING;

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

    pub(crate) fn is_within_limits(&self) -> bool {
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
