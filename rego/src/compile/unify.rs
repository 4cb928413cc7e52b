//! Which variables an equality binds.

use std::collections::BTreeMap;

use crate::ast::{Name, Term, TermValue};

use super::order::equal;
use super::vars::{Skip, VarSet, vars_of_term};

/// The variables that `left = right` binds where those of `safe` are bound.
pub(crate) fn unify(safe: &VarSet, left: &Term, right: &Term) -> VarSet {
    let mut unifier = Unifier { safe, unified: VarSet::default(), unknown: BTreeMap::new() };
    unifier.terms(left, right);
    unifier.unified
}

/// Whether a reference or call can be evaluated: the variables that it begins with, or of its
/// operands, are bound.
pub(crate) fn is_safe(term: &Term, safe: &VarSet) -> bool {
    let vars = match &term.value {
        TermValue::Ref(terms) => terms.first().map(|head| vars_of_term(head, Skip::SAFETY)),
        _ => Some(vars_of_term(term, Skip::SAFETY)),
    };
    vars.unwrap_or_default().is_subset(safe)
}

struct Unifier<'a> {
    safe: &'a VarSet,
    unified: VarSet,
    /// Variables that are bound once all of these are.
    unknown: BTreeMap<Name, VarSet>,
}

impl Unifier<'_> {
    fn is_bound(&self, var: &str) -> bool {
        self.safe.contains(var) || self.unified.contains(var)
    }

    // As deep as patterns are nested, which the parser bounds.
    fn terms(&mut self, left: &Term, right: &Term) {
        match (&left.value, &right.value) {
            (TermValue::Var(left), TermValue::Var(right)) => {
                if self.is_bound(right) {
                    self.bind(left);
                } else if self.is_bound(left) {
                    self.bind(right);
                } else {
                    self.depends(left, right);
                    self.depends(right, left);
                }
            }
            (TermValue::Var(var), TermValue::Array(_) | TermValue::Object(_)) => {
                self.var_and_pattern(var, right);
            }
            (TermValue::Array(_) | TermValue::Object(_), TermValue::Var(var)) => {
                self.var_and_pattern(var, left);
            }
            (TermValue::Var(var), TermValue::Ref(_) | TermValue::Call(_)) => {
                if is_safe(right, self.safe) {
                    self.bind(var);
                }
            }
            (TermValue::Ref(_) | TermValue::Call(_), TermValue::Var(var)) => {
                if is_safe(left, self.safe) {
                    self.bind(var);
                }
            }
            (TermValue::Var(var), _) | (_, TermValue::Var(var)) => self.bind(var),
            (
                TermValue::Array(_) | TermValue::Object(_),
                TermValue::Ref(_) | TermValue::Call(_),
            ) => {
                if is_safe(right, self.safe) {
                    self.bind_all(left);
                }
            }
            (
                TermValue::Ref(_) | TermValue::Call(_),
                TermValue::Array(_) | TermValue::Object(_),
            ) => {
                if is_safe(left, self.safe) {
                    self.bind_all(right);
                }
            }
            (TermValue::ArrayComprehension { .. }, TermValue::Array(_))
            | (TermValue::ObjectComprehension { .. }, TermValue::Object(_)) => self.bind_all(right),
            (
                TermValue::Array(_),
                TermValue::ArrayComprehension { .. }
                | TermValue::ObjectComprehension { .. }
                | TermValue::SetComprehension { .. },
            ) => self.bind_all(left),
            (TermValue::Array(lefts), TermValue::Array(rights)) if lefts.len() == rights.len() => {
                for (left, right) in lefts.iter().zip(rights) {
                    self.terms(left, right);
                }
            }
            (TermValue::Object(lefts), TermValue::Object(rights))
                if lefts.len() == rights.len() =>
            {
                for (key, left) in lefts {
                    if let Some((_, right)) = rights.iter().find(|(other, _)| equal(key, other)) {
                        self.terms(left, right);
                    }
                }
            }
            _ => {}
        }
    }

    fn bind_all(&mut self, pattern: &Term) {
        for var in vars_of_term(pattern, Skip::PATTERN).iter() {
            self.bind(var);
        }
    }

    /// Binds a variable, those it was waiting for, and those that wait for nothing else.
    fn bind(&mut self, var: &Name) {
        let mut bound = vec![Name::clone(var)];
        while let Some(var) = bound.pop() {
            self.unified.add(&var);
            if let Some(needed) = self.unknown.remove(&var) {
                bound.extend(needed.iter().cloned());
            }
            for (other, needed) in &mut self.unknown {
                if needed.contains(&var) {
                    needed.remove(&var);
                    if needed.is_empty() {
                        bound.push(Name::clone(other));
                    }
                }
            }
        }
    }

    fn depends(&mut self, var: &Name, needed: &Name) {
        self.unknown.entry(Name::clone(var)).or_default().add(needed);
    }

    fn var_and_pattern(&mut self, var: &Name, pattern: &Term) {
        if self.is_bound(var) {
            self.bind_all(pattern);
            return;
        }
        let needed = vars_of_term(pattern, Skip::PATTERN).diff(self.safe).diff(&self.unified);
        if needed.is_empty() {
            self.bind(var);
        } else {
            for needed in needed.iter() {
                self.depends(var, needed);
            }
        }
    }
}
