//! Why a text is no regular expression.

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// In Go's words.
    Invalid(String),
    /// It is deeper than this crate takes.
    TooDeep,
}

/// An error in Go's words.
pub(super) fn invalid(what: &str, expression: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("error parsing regexp: {what}: `{expression}`"))
}

/// What of a text is before its rest.
pub(super) fn head<'a>(text: &'a str, rest: &str) -> &'a str {
    text.get(..text.len().saturating_sub(rest.len())).unwrap_or(text)
}
