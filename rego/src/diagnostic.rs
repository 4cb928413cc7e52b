//! Faults of a bundle, and warnings.

use std::fmt;

use crate::source::Span;

/// OPA's error codes for loading, and ours for files that are not Rego.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// `rego_parse_error`
    Parse,
    /// `rego_compile_error`
    Compile,
    /// `rego_type_error`
    Type,
    /// `rego_unsafe_var_error`
    UnsafeVar,
    /// `rego_recursion_error`
    Recursion,
    /// `bundle_error`: data, packages, limits; OPA does not have it.
    Bundle,
}

impl Code {
    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "rego_parse_error",
            Self::Compile => "rego_compile_error",
            Self::Type => "rego_type_error",
            Self::UnsafeVar => "rego_unsafe_var_error",
            Self::Recursion => "rego_recursion_error",
            Self::Bundle => "bundle_error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One fault, with OPA's code, message and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// The message: OPA's where OPA has one.
    pub message: String,
    /// The place; `None` for a fault of the whole bundle.
    pub span: Option<Span>,
    /// One line of advice, where the cause is common.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault at a place, without help.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, span: Span) -> Self {
        Self { code, message: message.into(), span: Some(span), help: None }
    }

    /// The same with a line of help.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
