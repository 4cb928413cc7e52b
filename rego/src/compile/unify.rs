//! The variables that an equality binds.

use std::collections::BTreeMap;

use crate::ast::{Name, Term, TermValue};

use super::order::compare;
use super::vars::{Bound, Skip, VarSet, vars_of_term};

/// The variables that `left = right` binds where those of `safe` are bound.
pub(crate) fn unify(safe: &dyn Bound, left: &Term, right: &Term) -> VarSet {
    let mut unifier = Unifier {
        safe,
        unified: VarSet::default(),
        unknown: BTreeMap::new(),
        waiting: BTreeMap::new(),
    };
    unifier.terms(left, right);
    unifier.unified
}

/// Whether a reference or call can be evaluated: the variables that it begins with, or of its
/// operands, are bound.
pub(crate) fn is_safe(term: &Term, safe: &dyn Bound) -> bool {
    let vars = match &term.value {
        TermValue::Ref(terms) => terms.first().map(|head| vars_of_term(head, Skip::SAFETY)),
        _ => Some(vars_of_term(term, Skip::SAFETY)),
    };
    safe.has_all(&vars.unwrap_or_default())
}

struct Unifier<'a> {
    safe: &'a dyn Bound,
    unified: VarSet,
    /// Variables that are bound once all of these are.
    unknown: BTreeMap<Name, VarSet>,
    /// The variables that wait for a variable.
    waiting: BTreeMap<Name, Vec<Name>>,
}

impl Unifier<'_> {
    fn is_bound(&self, var: &str) -> bool {
        self.safe.is_bound(var) || self.unified.contains(var)
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
                self.bind_from(var, right);
            }
            (TermValue::Ref(_) | TermValue::Call(_), TermValue::Var(var)) => {
                self.bind_from(var, left);
            }
            (TermValue::Var(var), _) | (_, TermValue::Var(var)) => self.bind(var),
            (
                TermValue::Array(_) | TermValue::Object(_),
                TermValue::Ref(_) | TermValue::Call(_),
            ) => {
                self.bind_all_from(left, right);
            }
            (
                TermValue::Ref(_) | TermValue::Call(_),
                TermValue::Array(_) | TermValue::Object(_),
            ) => {
                self.bind_all_from(right, left);
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
                    // Objects are sorted by key.
                    let found = rights.binary_search_by(|(other, _)| compare(other, key));
                    if let Some((_, right)) = found.ok().and_then(|index| rights.get(index)) {
                        self.terms(left, right);
                    }
                }
            }
            _ => {}
        }
    }

    /// Binds a variable to a reference or call that can be evaluated.
    fn bind_from(&mut self, var: &Name, source: &Term) {
        if is_safe(source, self.safe) {
            self.bind(var);
        }
    }

    /// Binds a pattern's variables to the parts of such a reference or call.
    fn bind_all_from(&mut self, pattern: &Term, source: &Term) {
        if is_safe(source, self.safe) {
            self.bind_all(pattern);
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
            for waiting in self.waiting.remove(&var).into_iter().flatten() {
                if let Some(needed) = self.unknown.get_mut(&waiting) {
                    needed.remove(&var);
                    if needed.is_empty() {
                        bound.push(waiting);
                    }
                }
            }
        }
    }

    fn depends(&mut self, var: &Name, needed: &Name) {
        self.unknown.entry(Name::clone(var)).or_default().add(needed);
        self.waiting.entry(Name::clone(needed)).or_default().push(Name::clone(var));
    }

    fn var_and_pattern(&mut self, var: &Name, pattern: &Term) {
        if self.is_bound(var) {
            self.bind_all(pattern);
            return;
        }
        let needed = self.safe.unbound(&vars_of_term(pattern, Skip::PATTERN)).diff(&self.unified);
        if needed.is_empty() {
            self.bind(var);
        } else {
            for needed in needed.iter() {
                self.depends(var, needed);
            }
        }
    }
}
