//! References as the policy's author wrote them, for messages.

use std::collections::BTreeMap;

use crate::ast::{Name, Term, TermValue};
use crate::source::{Sources, Span};

use super::text;
use super::visit::{Flow, NodeMut, walk_mut};

/// A reference as text, generated variables under their names in the policy.
pub(crate) fn written(names: &BTreeMap<Name, Name>, reference: &[Term]) -> String {
    text::of_ref(&rewritten(names, reference))
}

/// A reference with generated variables under their names in the policy.
pub(crate) fn rewritten(names: &BTreeMap<Name, Name>, reference: &[Term]) -> Vec<Term> {
    let mut reference = reference.to_vec();
    for term in &mut reference {
        walk_mut(NodeMut::Term(term), &mut |node| {
            if let NodeMut::Term(Term { value: TermValue::Var(name), .. }) = node
                && let Some(original) = names.get(name)
            {
                *name = Name::clone(original);
            }
            Flow::Into
        });
    }
    reference
}

/// A place as OPA writes it within messages: `policy.rego:3`.
pub(crate) fn place(sources: &Sources, span: Span) -> String {
    let location = sources.location(span);
    format!("{}:{}", location.file, location.row)
}
