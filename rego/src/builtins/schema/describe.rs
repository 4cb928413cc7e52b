//! The library's messages for an invalid schema.

use crate::builtins::Failure;

/// The types of JSON, in the order in which they are named.
pub(super) const TYPES: [&str; 7] =
    ["array", "boolean", "integer", "number", "null", "object", "string"];

pub(super) fn failed(what: String) -> Failure {
    Failure::Builtin(what)
}

/// A keyword's value has the wrong type.
pub(super) fn invalid_type(expected: &str, given: &str) -> Failure {
    failed(format!("Invalid type. Expected: {expected}, given: {given}"))
}

pub(super) fn must_be_of_a(key: &str, what: &str) -> Failure {
    failed(format!("{key} must be of a {what}"))
}

pub(super) fn must_be_of_an(key: &str, what: &str) -> Failure {
    failed(format!("{key} must be of an {what}"))
}

pub(super) fn must_be_of_type(key: &str, what: &str) -> Failure {
    failed(format!("{key} must be of type {what}"))
}

pub(super) fn items_must_be_unique(key: &str) -> Failure {
    failed(format!("{key} items must be unique"))
}

pub(super) fn cannot_be_greater(low: &str, high: &str) -> Failure {
    failed(format!("{low} cannot be greater than {high}"))
}
