//! References into documents whose types are known: every key must fit.

use std::rc::Rc;

use crate::ast::{Body, Expr, ExprKind, Name, Term, TermValue};
use crate::compile::visit::is_scalar;

use super::constant::Constant;
use super::env::{Env, Head, Scope, is_root};
use super::fault::{Fault, Wanted};
use super::infer::Inference;
use super::model::{Known, Type};
use super::tree::Node;
use super::unify::unifies;

impl Env<'_> {
    /// Checks the references of a statement except for those in comprehensions, whose bodies are
    /// checked separately. OPA checks the targets and values of `with` only beside `every`, `and`,
    /// `or`.
    pub(super) fn check_references(&self, expr: &Expr, faults: &mut Vec<Fault>) {
        match &expr.kind {
            ExprKind::Term(term) => return self.references_of_term(term, faults),
            ExprKind::Call(terms) => {
                return terms.iter().skip(1).for_each(|term| self.references_of_term(term, faults));
            }
            ExprKind::Not(not) => return self.references_of_body(&not.body, faults),
            ExprKind::Some(terms) => {
                terms.iter().for_each(|term| self.references_of_term(term, faults));
            }
            ExprKind::Every(every) => {
                for term in every.key.iter().chain([&every.value, &every.domain]) {
                    self.references_of_term(term, faults);
                }
                self.references_of_body(&every.body, faults);
            }
            ExprKind::And(both) | ExprKind::Or(both) => {
                self.references_of_body(&both.left, faults);
                self.references_of_body(&both.right, faults);
            }
        }
        for with in &expr.with {
            self.references_of_term(&with.target, faults);
            self.references_of_term(&with.value, faults);
        }
    }

    fn references_of_body(&self, body: &Body, faults: &mut Vec<Fault>) {
        body.iter().for_each(|expr| self.check_references(expr, faults));
    }

    fn references_of_term(&self, term: &Term, faults: &mut Vec<Fault>) {
        match &term.value {
            TermValue::Ref(reference) => {
                if let Some(function @ Type::Function(_)) = &self.of_ref(reference) {
                    // Functions are not values, except as replacements.
                    return faults.push(self.checker.no_collection(reference, Some(function)));
                }
                if let Err(fault) = self.check_reference(reference) {
                    faults.push(fault);
                }
                reference.iter().for_each(|term| self.references_of_term(term, faults));
            }
            TermValue::Array(terms) | TermValue::Set(terms) | TermValue::Call(terms) => {
                terms.iter().for_each(|term| self.references_of_term(term, faults));
            }
            TermValue::Object(pairs) => {
                for (key, value) in pairs {
                    self.references_of_term(key, faults);
                    self.references_of_term(value, faults);
                }
            }
            // Template strings have become calls.
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::TemplateString { .. } => {}
        }
    }

    fn check_reference(&self, reference: &[Term]) -> Result<(), Fault> {
        let mut scope = Some(&self.scope);
        while let Some(current) = scope {
            if let Some(outcome) = self.check_in_scope(current, reference) {
                return outcome;
            }
            scope = current.next.as_ref();
        }
        match reference.split_first() {
            Some((Term { value: TermValue::Var(head), .. }, _)) if is_root(head) => {
                self.check_keys(Some(Type::Any), reference, 1)
            }
            // A variable of unknown type.
            _ => self.check_keys(Some(Type::Any), reference, 0),
        }
    }

    /// Checks a reference by the documents and variables of one scope. Where these do not have it,
    /// the next scope is searched, from its beginning.
    fn check_in_scope(&self, scope: &Rc<Scope>, reference: &[Term]) -> Option<Result<(), Fault>> {
        let Some(Term { value: TermValue::Var(head), .. }) = reference.first() else {
            return None;
        };
        let mut node = match scope.head(head)? {
            Head::Local(Some(of)) => return Some(self.check_keys(Some(of), reference, 1)),
            Head::Local(None) => &self.checker.nothing,
            Head::Node(node) => node,
        };
        for (position, key) in reference.iter().enumerate().skip(1) {
            if let Some(value) = node.value() {
                return Some(self.check_keys(Some(value.clone()), reference, position));
            }
            if let Err(fault) = self.check_key_of_node(node, reference, position, key) {
                return Some(Err(fault));
            }
            node = node.child(&key.value)?;
        }
        Some(Ok(()))
    }

    fn check_key_of_node(
        &self,
        node: &Node,
        reference: &[Term],
        position: usize,
        key: &Term,
    ) -> Result<(), Fault> {
        // Every rule is in a package, and names of packages and rules are strings.
        let is_name = matches!(key.value, TermValue::Var(_) | TermValue::String(_));
        if position <= 2 && !is_name {
            let have = self.of(&key.value);
            let want = Wanted::Type(Some(&Type::String));
            return Err(self.checker.invalid_key(reference, position, have.as_ref(), &want));
        }
        let TermValue::Var(var) = &key.value else { return Ok(()) };
        let extent = node.extent();
        let keys = extent.keys();
        self.check_var_key(reference, position, var, &keys, &Wanted::KeyOf(&extent))
    }

    /// A variable as a key gets the keys' type, or must unify with it.
    fn check_var_key(
        &self,
        reference: &[Term],
        position: usize,
        var: &Name,
        keys: &Known,
        wanted: &Wanted<'_>,
    ) -> Result<(), Fault> {
        match self.of_var(var) {
            Some(known) if unifies(&self.checker.work, Some(&known), keys.as_ref()) => Ok(()),
            Some(known) => Err(self.checker.invalid_key(reference, position, Some(&known), wanted)),
            None => {
                self.infer(var, keys.clone());
                Ok(())
            }
        }
    }

    /// Checks the keys from a position on, in a value of a type.
    fn check_keys(&self, mut of: Known, reference: &[Term], position: usize) -> Result<(), Fault> {
        for (position, key) in reference.iter().enumerate().skip(position) {
            if let Some(empty) = of.as_ref().filter(|of| of.is_empty_collection()) {
                return self.check_key_of_nothing(empty, reference, position, key);
            }
            let Some((within, keys)) = of.as_ref().and_then(|of| Some((of, of.keys()?))) else {
                return Err(self.checker.no_collection(reference, of.as_ref()));
            };
            let wanted = Wanted::KeyOf(within);
            match &key.value {
                TermValue::Var(var) => {
                    self.check_var_key(reference, position, var, &Some(keys), &wanted)?;
                }
                TermValue::Ref(inner) => {
                    if let Some(known) = self.of_ref(inner)
                        && !unifies(&self.checker.work, Some(&known), Some(&keys))
                    {
                        let have = Some(&known);
                        return Err(self.checker.invalid_key(reference, position, have, &wanted));
                    }
                }
                TermValue::Array(_) | TermValue::Object(_) | TermValue::Set(_) => {
                    if !self.unify_term(key, Some(&keys), Inference::Exact) {
                        let have = self.of(&key.value);
                        let wanted = Wanted::Type(Some(&keys));
                        let have = have.as_ref();
                        return Err(self.checker.invalid_key(reference, position, have, &wanted));
                    }
                }
                value => {
                    let child = Constant::of(value).and_then(|key| within.select(&key));
                    if child.is_none() {
                        return Err(self.checker.invalid_key(reference, position, None, &wanted));
                    }
                    of = child;
                    continue;
                }
            }
            of = within.values();
        }
        Ok(())
    }

    /// A constant is never a key of an empty collection. An iteration is valid, and finds nothing.
    fn check_key_of_nothing(
        &self,
        of: &Type,
        reference: &[Term],
        position: usize,
        key: &Term,
    ) -> Result<(), Fault> {
        match &key.value {
            value if is_scalar(value) => {
                Err(self.checker.invalid_key(reference, position, None, &Wanted::Nothing))
            }
            TermValue::Var(var) => match (self.of_var(var), of.keys()) {
                (None, _) => {
                    self.infer(var, Some(Type::Any));
                    Ok(())
                }
                // Only arrays determine their keys.
                (Some(known), Some(keys))
                    if !unifies(&self.checker.work, Some(&known), Some(&keys)) =>
                {
                    let wanted = Wanted::Type(Some(&keys));
                    Err(self.checker.invalid_key(reference, position, Some(&known), &wanted))
                }
                (Some(_), _) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
