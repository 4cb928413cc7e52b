//! The operator of a call.

use crate::ast::{Term, TermValue};

/// Built-ins that are defined for all arguments.
pub(super) const HARMLESS: [&str; 7] =
    ["equal", "neq", "lt", "lte", "gt", "gte", "internal.member_2"];

/// Whether a call's operator is `=`.
pub(super) fn is_equality(operator: &Term) -> bool {
    match &operator.value {
        TermValue::Ref(terms) => match terms.as_slice() {
            [Term { value: TermValue::Var(name), .. }] => &**name == "eq",
            _ => false,
        },
        TermValue::Var(name) => &**name == "eq",
        _ => false,
    }
}

/// Whether an operator is a built-in of this name.
pub(super) fn is_named(operator: &Term, name: &str) -> bool {
    let TermValue::Ref(terms) = &operator.value else { return false };
    let mut parts = name.split('.');
    let alike = terms.iter().all(|term| match &term.value {
        TermValue::Var(part) | TermValue::String(part) => parts.next() == Some(&**part),
        _ => false,
    });
    alike && parts.next().is_none()
}
