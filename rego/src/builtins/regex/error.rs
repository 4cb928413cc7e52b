//! Why a text is not a regular expression.

/// Why a pattern is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// Go's message.
    Invalid(String),
    /// It is deeper than this crate's limit.
    TooDeep,
}

/// An error with Go's message.
pub(super) fn invalid(what: &str, expression: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("error parsing regexp: {what}: `{expression}`"))
}

/// The part of a text before its rest.
pub(super) fn head<'a>(text: &'a str, rest: &str) -> &'a str {
    text.get(..text.len().saturating_sub(rest.len())).unwrap_or(text)
}
