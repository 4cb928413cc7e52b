//! Syntax as OPA prints it, in messages.

use crate::ast::Term;
use crate::compile::order;
use crate::compile::text;
use crate::compile::visit::NodeMut;

/// A reference. OPA keeps objects and sets sorted, and prints them so.
pub(super) fn reference(keys: &[Term]) -> String {
    let mut keys = keys.to_vec();
    keys.iter_mut().for_each(|key| order::sort_in(NodeMut::Term(key)));
    text::of_ref(&keys)
}

/// A term, in the same way.
pub(super) fn term(term: &Term) -> String {
    let mut term = term.clone();
    order::sort_in(NodeMut::Term(&mut term));
    text::of_term(&term)
}
