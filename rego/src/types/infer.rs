//! Unification of terms with types: known types are compared, and unknown types of variables are
//! inferred.

use crate::ast::{Name, Term, TermValue};
use crate::compile::order::compare;

use super::constant::Constant;
use super::env::Env;
use super::model::{Array, Known, Object, Type};
use super::unify::unifies;
use super::union;

/// The update of variables' types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inference {
    /// A variable gets the type, or must unify with the type that it has.
    Exact,
    /// A variable may also be of the type: one of several is tried.
    Union,
}

impl Env<'_> {
    /// Whether a term's value can be of a type; variables of unknown type get it. Recurses to the
    /// term's depth.
    pub(super) fn unify_term(&self, term: &Term, of: Option<&Type>, how: Inference) -> bool {
        match (&term.value, of) {
            (TermValue::Array(terms), Some(Type::Array(array))) => {
                self.unify_array(terms, array, how)
            }
            (TermValue::Object(pairs), Some(Type::Object(object))) => {
                self.unify_object(pairs, object, how)
            }
            (TermValue::Set(terms), Some(Type::Set(set))) => {
                terms.iter().all(|term| self.unify_term(term, set.of.as_ref(), how))
            }
            (TermValue::Array(terms) | TermValue::Set(terms), Some(Type::Any)) => {
                terms.iter().for_each(|term| self.may_be_anything(term));
                true
            }
            (TermValue::Object(pairs), Some(Type::Any)) => {
                for (key, value) in pairs {
                    self.may_be_anything(key);
                    self.may_be_anything(value);
                }
                true
            }
            (
                TermValue::Array(_) | TermValue::Object(_) | TermValue::Set(_),
                Some(Type::OneOf(one_of)),
            ) => {
                // All are tried: each may infer types of variables.
                let mut unified = false;
                for one in &one_of.types {
                    unified |= self.unify_term(term, Some(one), Inference::Union);
                }
                unified
            }
            (TermValue::Array(_) | TermValue::Object(_) | TermValue::Set(_), _) => false,
            (TermValue::Var(name), of) => self.unify_var(name, of, how),
            (value, of) => unifies(&self.checker.work, self.of(value).as_ref(), of),
        }
    }

    fn may_be_anything(&self, term: &Term) {
        self.unify_term(term, Some(&Type::Any), Inference::Union);
    }

    fn unify_var(&self, name: &Name, of: Option<&Type>, how: Inference) -> bool {
        match (how, self.of_var(name)) {
            (Inference::Exact, Some(known)) => unifies(&self.checker.work, Some(&known), of),
            (Inference::Exact, None) => {
                self.infer(name, of.cloned());
                true
            }
            (Inference::Union, known) => {
                self.infer(name, union::of(known, of.cloned()));
                true
            }
        }
    }

    fn unify_array(&self, terms: &[Term], of: &Array, how: Inference) -> bool {
        (terms.len() == of.items.len() || of.rest.is_some())
            && terms
                .iter()
                .enumerate()
                .all(|(position, term)| self.unify_term(term, of.select(position).as_ref(), how))
    }

    fn unify_object(&self, pairs: &[(Term, Term)], of: &Object, how: Inference) -> bool {
        if pairs.len() != of.fields.len() && of.rest_value().is_none() {
            return false;
        }
        pairs.iter().all(|(key, value)| match Constant::of(&key.value) {
            Some(key) => {
                of.select(&key).is_some_and(|field| self.unify_term(value, Some(&field), how))
            }
            None => {
                // It could be the value of any key.
                self.unify_term(value, Some(&Type::Any), how);
                true
            }
        })
    }

    /// Whether two terms can have the same value.
    pub(super) fn unify_terms(&self, left: &Term, right: &Term) -> bool {
        self.unify_known(left, self.of(&left.value), right, self.of(&right.value))
    }

    /// The same with their types.
    pub(super) fn unify_known(
        &self,
        left: &Term,
        of_left: Known,
        right: &Term,
        of_right: Known,
    ) -> bool {
        let is_complete = |known: &Known| known.as_ref().is_some_and(Type::is_complete);
        match (is_complete(&of_left), is_complete(&of_right)) {
            (false, true) => return self.unify_term(left, of_right.as_ref(), Inference::Exact),
            (true, false) => return self.unify_term(right, of_left.as_ref(), Inference::Exact),
            (true, true) => {
                return unifies(&self.checker.work, of_left.as_ref(), of_right.as_ref());
            }
            (false, false) => {}
        }
        match (&left.value, &right.value) {
            (TermValue::Array(left), TermValue::Array(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| self.unify_terms(left, right))
            }
            (TermValue::Object(left), TermValue::Object(right)) => {
                // Both are sorted by key.
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|((left_key, _), (right_key, _))| compare(left_key, right_key).is_eq())
                    && left
                        .iter()
                        .zip(right)
                        .all(|((_, left), (_, right))| self.unify_terms(left, right))
            }
            (TermValue::Var(_), TermValue::Var(_))
            | (TermValue::Array(_) | TermValue::Object(_), TermValue::Var(_)) => {
                self.unify_with_any(left, right)
            }
            (TermValue::Var(_), TermValue::Array(_) | TermValue::Object(_)) => {
                self.unify_with_any(right, left)
            }
            (TermValue::Var(_), TermValue::Ref(_)) => {
                self.unify_term(left, Some(&Type::Any), Inference::Exact)
            }
            (TermValue::Ref(_), TermValue::Var(_)) => {
                self.unify_term(right, Some(&Type::Any), Inference::Exact)
            }
            // The type of one side applies to the other, such as that it is an array.
            (TermValue::Var(_), _) if of_left.is_none() && of_right.is_some() => {
                self.unify_term(left, of_right.as_ref(), Inference::Exact)
            }
            (_, TermValue::Var(_)) if of_right.is_none() && of_left.is_some() => {
                self.unify_term(right, of_left.as_ref(), Inference::Exact)
            }
            _ => false,
        }
    }

    /// One side can be anything, so it gets the type of the other.
    fn unify_with_any(&self, one: &Term, other: &Term) -> bool {
        self.unify_term(one, Some(&Type::Any), Inference::Exact)
            && self.unify_term(other, self.of(&one.value).as_ref(), Inference::Exact)
    }
}
