//! References to types: names, lists of them, and nullability.

use regorus::Value;

use super::tree::{flag, part, text};

/// The name within all lists.
pub(super) fn name(of: &Value) -> &str {
    let mut of = of;
    while let Some(element) = element(of).filter(|_| text(of, "NamedType").is_empty()) {
        of = element;
    }
    text(of, "NamedType")
}

pub(super) fn element(of: &Value) -> Option<&Value> {
    part(of, "Elem")
}

pub(super) fn is_required(of: &Value) -> bool {
    flag(of, "NonNull")
}

/// The original text.
pub(super) fn show(of: &Value) -> String {
    let mark = if is_required(of) { "!" } else { "" };
    match (text(of, "NamedType"), element(of)) {
        ("", Some(element)) => format!("[{}]{mark}", show(element)),
        (name, _) => format!("{name}{mark}"),
    }
}

/// Whether a value of a type fits an expected type, which may be treated as nullable.
pub(super) fn fits(of: &Value, expected: &Value, may_be_null: bool) -> bool {
    if text(of, "NamedType") != text(expected, "NamedType") {
        return false;
    }
    match (element(of), element(expected)) {
        (Some(_), None) => return false,
        (Some(of), Some(expected)) if !fits(of, expected, false) => return false,
        _ => {}
    }
    may_be_null || !is_required(expected) || is_required(of)
}
