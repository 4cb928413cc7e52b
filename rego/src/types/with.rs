//! `with`: a statement is checked as if the target had either type.

use std::rc::Rc;

use crate::ast::{Expr, Term, TermValue};
use crate::compile::text;
use crate::compile::visit::{ground_prefix, is_ground};

use super::dependents::is_data;
use super::env::Env;
use super::fault::Fault;
use super::model::{Known, Type};
use super::tree::{Key, Roots};
use super::unify::unifies;
use super::union;

impl Env<'_> {
    /// The scope that a statement is checked in: documents that it replaces can also be of the
    /// replacement's type, and the types of rules that depend on them are unknown.
    pub(super) fn within(&self, expr: &Expr) -> Self {
        let mut env = self.clone();
        let mut targets = Roots::new();
        for with in &expr.with {
            let TermValue::Ref(target) = &with.target.value else { continue };
            let of = self.of_ref(target);
            let is_function = matches!(of, Some(Type::Function(_)));
            if let Some(documents) = self.relaxed(target, is_function) {
                env = env.with_documents(documents);
            }
            // A function keeps its type, by which that of the replacement is checked.
            if !is_function {
                let is_ground = target.iter().skip(1).all(|key| is_ground(&key.value));
                let value = self.of(&with.value.value);
                put(&mut targets, ground_prefix(target), replaced(of, is_ground, value));
            }
        }
        if targets.is_empty() { env } else { env.with_documents(Rc::new(targets)) }
    }

    /// The rules that depend on a document, each as a document of any type.
    fn relaxed(&self, target: &[Term], is_function: bool) -> Option<Rc<Roots>> {
        if !is_data(target) {
            return None;
        }
        let name = text::of_ref(target);
        let key = (is_function, name);
        if let Some(documents) = self.checker.relaxed.borrow().get(&key) {
            return documents.clone();
        }
        let mut documents = Roots::new();
        for reference in self.checker.users().dependents(target) {
            // A replaced function's own declaration stays.
            if !(is_function && text::of_ref(reference) == key.1) {
                put(&mut documents, reference, Type::Any);
            }
        }
        let documents = (!documents.is_empty()).then(|| Rc::new(documents));
        self.checker.relaxed.borrow_mut().insert(key, documents.clone());
        documents
    }

    /// A function may only be replaced by one with the same parameters.
    pub(super) fn check_with(&self, expr: &Expr) -> Option<Fault> {
        expr.with.iter().find_map(|with| {
            let (target, value) = (self.of(&with.target.value), self.of(&with.value.value));
            match (&target, &value, &with.target.value) {
                (
                    Some(Type::Function(wanted)),
                    Some(Type::Function(have)),
                    TermValue::Ref(reference),
                ) if !unifies(&self.checker.work, target.as_ref(), value.as_ref()) => {
                    let have = &have.parameters;
                    Some(Fault::arguments(with.span, reference, "arity mismatch", have, wanted))
                }
                _ => None,
            }
        })
    }
}

/// The type of a document that may be replaced.
fn replaced(of: Known, is_ground: bool, value: Known) -> Type {
    match (of, value) {
        (Some(of), Some(value)) if is_ground => {
            union::of(Some(of), Some(value)).unwrap_or(Type::Any)
        }
        _ => Type::Any,
    }
}

fn put(roots: &mut Roots, reference: &[Term], of: Type) {
    let Some((Term { value: TermValue::Var(head), .. }, keys)) = reference.split_first() else {
        return;
    };
    let path: Vec<Key> = keys.iter().map_while(|key| Key::of(&key.value)).collect();
    roots.entry(head.clone()).or_default().put(&path, of);
}
