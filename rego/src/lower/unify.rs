//! `=`: patterns are taken apart, and each part binds a variable or is a test.

use std::collections::VecDeque;

use regorus::Value;

use crate::ast::{Name, Term, TermValue};
use crate::compile::vars::is_wildcard;
use crate::core::{Expr, Operand, Root};
use crate::diagnostic::{Code, Diagnostic};

use super::Lowering;
use super::constants::constant;
use super::scope::Scope;

/// An equation that is to be solved.
enum Pair<'t> {
    /// Terms or values.
    Sides(Side<'t>, Side<'t>),
    /// Objects that are compared as a whole once all of their variables are bound.
    Objects(&'t [(Term, Term)], &'t [(Term, Term)]),
}

/// A side of an equation.
#[derive(Clone)]
enum Side<'t> {
    /// A term.
    Term(&'t Term),
    /// Evaluated.
    Value(Operand),
}

/// A classified side.
enum Seen<'t> {
    /// A value.
    Value(Operand),
    /// A variable without one.
    Free(&'t Name),
    /// An array pattern.
    Array(&'t [Term]),
    /// An object pattern.
    Object(&'t [(Term, Term)]),
    /// A set with unbound variables. In OPA's unifier it equals no value.
    Unequal,
}

impl Lowering<'_> {
    /// `a = b`
    pub(super) fn unify(
        &mut self,
        scope: &mut Scope,
        a: &Term,
        b: &Term,
    ) -> Result<(), Diagnostic> {
        self.unify_all(scope, (Side::Term(a), Side::Term(b)), a)
    }

    /// Unifies a term with a value.
    pub(super) fn unify_with(
        &mut self,
        scope: &mut Scope,
        term: &Term,
        value: Operand,
    ) -> Result<(), Diagnostic> {
        self.unify_all(scope, (Side::Term(term), Side::Value(value)), term)
    }

    /// Solves pairs in an order in which one side is bound, as OPA's unifier binds names to each
    /// other: in `[x, y] = [y, 1]` the second pair is first.
    fn unify_all<'t>(
        &mut self,
        scope: &mut Scope,
        (a, b): (Side<'t>, Side<'t>),
        place: &Term,
    ) -> Result<(), Diagnostic> {
        let failures = scope.failures();
        let sides = [a.clone(), b.clone()];
        let mut pairs = VecDeque::from([Pair::Sides(a, b)]);
        let mut waiting = VecDeque::new();
        loop {
            let mut stuck = true;
            while let Some(pair) = pairs.pop_front() {
                match self.unify_pair(scope, &mut pairs, pair)? {
                    None => stuck = false,
                    Some(pair) => waiting.push_back(pair),
                }
            }
            let has_failed = scope.failures() > failures;
            if has_failed && (stuck || waiting.is_empty()) {
                // The following statements are never evaluated, but still name the variables.
                sides.iter().for_each(|side| bind_rest(scope, side));
                return Ok(());
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if stuck {
                return Err(Diagnostic::new(Code::UnsafeVar, "expression is unsafe", place.span));
            }
            std::mem::swap(&mut pairs, &mut waiting);
        }
    }

    /// Unifies a pair, or puts its parts in front. Returns it where neither side is known yet.
    fn unify_pair<'t>(
        &mut self,
        scope: &mut Scope,
        pairs: &mut VecDeque<Pair<'t>>,
        pair: Pair<'t>,
    ) -> Result<Option<Pair<'t>>, Diagnostic> {
        let (a, b) = match pair {
            Pair::Sides(a, b) => (a, b),
            Pair::Objects(a, b) => {
                if !is_known_object(scope, a) || !is_known_object(scope, b) {
                    return Ok(Some(pair));
                }
                let (a, b) = (self.object(scope, a)?, self.object(scope, b)?);
                let (a, b) = (scope.operand(a), scope.operand(b));
                equal(scope, a, b);
                return Ok(None);
            }
        };
        let (seen_a, seen_b) = (self.see(scope, a.clone())?, self.see(scope, b.clone())?);
        // A reference may have bound the variable that it is compared with.
        match (again(scope, seen_a), seen_b) {
            (Seen::Value(a), Seen::Value(b)) => equal(scope, a, b),
            (Seen::Free(name), Seen::Value(value)) | (Seen::Value(value), Seen::Free(name)) => {
                scope.bind(name, value);
            }
            (Seen::Free(x), Seen::Free(y)) => {
                return Ok((x != y).then_some(Pair::Sides(a, b)));
            }
            (Seen::Free(name), Seen::Array(elements))
            | (Seen::Array(elements), Seen::Free(name)) => {
                if !elements.iter().all(|element| is_known(scope, element)) {
                    return Ok(Some(Pair::Sides(a, b)));
                }
                let elements = self.terms(scope, elements)?;
                let value = scope.operand(Expr::Array(elements));
                scope.bind(name, value);
            }
            (Seen::Free(name), Seen::Object(items)) | (Seen::Object(items), Seen::Free(name)) => {
                if !is_known_object(scope, items) {
                    return Ok(Some(Pair::Sides(a, b)));
                }
                let value = self.object(scope, items)?;
                let value = scope.operand(value);
                scope.bind(name, value);
            }
            (Seen::Array(elements), Seen::Value(value))
            | (Seen::Value(value), Seen::Array(elements)) => {
                take_array(scope, pairs, elements, value);
            }
            (Seen::Object(items), Seen::Value(value))
            | (Seen::Value(value), Seen::Object(items)) => {
                self.take_object(scope, pairs, items, value)?;
            }
            (Seen::Array(a), Seen::Array(b)) => {
                if a.len() == b.len() {
                    let both = a.iter().zip(b);
                    prepend(pairs, both.map(|(a, b)| (Side::Term(a), Side::Term(b))).collect());
                } else {
                    scope.fail();
                }
            }
            (Seen::Object(a), Seen::Object(b)) => self.unify_objects(scope, pairs, a, b)?,
            (Seen::Array(_), Seen::Object(_))
            | (Seen::Object(_), Seen::Array(_))
            | (Seen::Unequal, _)
            | (_, Seen::Unequal) => scope.fail(),
        }
        Ok(None)
    }

    fn see<'t>(&mut self, scope: &mut Scope, side: Side<'t>) -> Result<Seen<'t>, Diagnostic> {
        let term = match side {
            Side::Value(value) => return Ok(Seen::Value(value)),
            Side::Term(term) => term,
        };
        if let Some(value) = constant(term)? {
            return Ok(Seen::Value(Operand::Const(value)));
        }
        Ok(match &term.value {
            TermValue::Var(name) => match scope.lookup(name) {
                Some(value) => Seen::Value(value.clone()),
                None if &**name == "input" || &**name == "data" => {
                    Seen::Value(self.term(scope, term)?)
                }
                None => Seen::Free(name),
            },
            TermValue::Array(elements) => Seen::Array(elements),
            TermValue::Object(items) => Seen::Object(items),
            TermValue::Set(_) if !is_known(scope, term) => Seen::Unequal,
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Ref(_)
            | TermValue::Set(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => Seen::Value(self.term(scope, term)?),
        })
    }

    /// An object pattern and a value: as many keys, and each key of the pattern.
    fn take_object<'t>(
        &mut self,
        scope: &mut Scope,
        pairs: &mut VecDeque<Pair<'t>>,
        items: &'t [(Term, Term)],
        value: Operand,
    ) -> Result<(), Diagnostic> {
        let size = Operand::Const(Value::from(items.len()));
        scope.test(Expr::Builtin("$is_object", vec![value.clone(), size]));
        let mut parts = Vec::with_capacity(items.len());
        for (key, element) in items {
            if !is_known(scope, key) {
                // OPA's unifier finds no value at an unbound key.
                scope.fail();
                return Ok(());
            }
            let key = self.term(scope, key)?;
            let expr = Expr::Path(Root::Operand(value.clone()), vec![key]);
            let found = scope.operand(expr);
            parts.push((Side::Term(element), Side::Value(found)));
        }
        prepend(pairs, parts);
        Ok(())
    }

    /// Two object patterns. Values at keys with equal terms are unified; where keys are computed,
    /// that binds all variables (the checker has ensured it), and then the objects are compared as
    /// a whole.
    fn unify_objects<'t>(
        &mut self,
        scope: &mut Scope,
        pairs: &mut VecDeque<Pair<'t>>,
        a: &'t [(Term, Term)],
        b: &'t [(Term, Term)],
    ) -> Result<(), Diagnostic> {
        if a.len() != b.len() {
            scope.fail();
            return Ok(());
        }
        let keys = |lowering: &mut Self, scope: &mut Scope, items: &'t [(Term, Term)]| {
            let key = |(key, value)| Ok((lowering.term(scope, key)?, value));
            items.iter().map(|(key, value)| (key, value)).map(key).collect::<Result<Vec<_>, _>>()
        };
        let (a_keys, b_keys) = (keys(self, scope, a)?, keys(self, scope, b)?);
        let constants = a_keys.iter().chain(&b_keys).all(|(key, _)| is_constant(key));
        let mut parts = Vec::with_capacity(a.len());
        for (key, value) in &a_keys {
            let alike = b_keys.iter().filter(|(other, _)| same(key, other));
            parts.extend(alike.map(|(_, other)| (Side::Term(value), Side::Term(other))));
        }
        let all = parts.len() == a.len();
        prepend(pairs, parts);
        if !all && constants {
            scope.fail();
        } else if !all {
            pairs.push_back(Pair::Objects(a, b));
        }
        Ok(())
    }
}

/// An array pattern and a value: as many elements, and each in turn.
fn take_array<'t>(
    scope: &mut Scope,
    pairs: &mut VecDeque<Pair<'t>>,
    elements: &'t [Term],
    value: Operand,
) {
    if let Operand::Const(Value::Array(array)) = &value
        && array.len() == elements.len()
    {
        let known = array.iter().map(|value| Side::Value(Operand::Const(value.clone())));
        prepend(pairs, elements.iter().map(Side::Term).zip(known).collect());
        return;
    }
    let length = Operand::Const(Value::from(elements.len()));
    scope.test(Expr::Builtin("$is_array", vec![value.clone(), length]));
    let mut parts = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let unnamed = |name: &Name| is_wildcard(name) && scope.lookup(name).is_none();
        if matches!(&element.value, TermValue::Var(name) if unnamed(name)) {
            continue;
        }
        let index = Operand::Const(Value::from(index));
        let found = scope.operand(Expr::Path(Root::Operand(value.clone()), vec![index]));
        parts.push((Side::Term(element), Side::Value(found)));
    }
    prepend(pairs, parts);
}

fn prepend<'t>(pairs: &mut VecDeque<Pair<'t>>, parts: Vec<(Side<'t>, Side<'t>)>) {
    parts.into_iter().rev().for_each(|(a, b)| pairs.push_front(Pair::Sides(a, b)));
}

fn again<'t>(scope: &Scope, seen: Seen<'t>) -> Seen<'t> {
    match seen {
        Seen::Free(name) => scope.lookup(name).cloned().map_or(seen, Seen::Value),
        seen @ (Seen::Value(_) | Seen::Array(_) | Seen::Object(_) | Seen::Unequal) => seen,
    }
}

fn equal(scope: &mut Scope, a: Operand, b: Operand) {
    match (&a, &b) {
        (Operand::Const(x), Operand::Const(y)) if x == y => {}
        (Operand::Const(_), Operand::Const(_)) => scope.fail(),
        (Operand::Var(x), Operand::Var(y)) if x == y => {}
        (Operand::Var(_), _) | (_, Operand::Var(_)) => {
            scope.test(Expr::Builtin("equal", vec![a, b]));
        }
    }
}

/// Binds the variables of a side that have no value.
fn bind_rest(scope: &mut Scope, side: &Side<'_>) {
    let mut todo: Vec<&Term> = match side {
        Side::Term(term) => vec![term],
        Side::Value(_) => return,
    };
    while let Some(term) = todo.pop() {
        match &term.value {
            TermValue::Var(name) if !is_known(scope, term) => {
                scope.bind(name, Operand::Const(Value::Null));
            }
            TermValue::Array(terms) | TermValue::Set(terms) => todo.extend(terms),
            TermValue::Object(items) => {
                todo.extend(items.iter().flat_map(|(key, value)| [key, value]));
            }
            TermValue::Var(_)
            | TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Ref(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => {}
        }
    }
}

fn is_constant(operand: &Operand) -> bool {
    matches!(operand, Operand::Const(_))
}

/// Whether two operands are the same without a comparison of values.
fn same(a: &Operand, b: &Operand) -> bool {
    match (a, b) {
        (Operand::Const(a), Operand::Const(b)) => a == b,
        (Operand::Var(a), Operand::Var(b)) => a == b,
        (Operand::Const(_), Operand::Var(_)) | (Operand::Var(_), Operand::Const(_)) => false,
    }
}

fn is_known_object(scope: &Scope, items: &[(Term, Term)]) -> bool {
    items.iter().all(|(key, value)| is_known(scope, key) && is_known(scope, value))
}

/// Whether a term can be evaluated: all of its variables are bound. Variables in a closure or a
/// reference do not count, since it binds them itself.
pub(super) fn is_known(scope: &Scope, term: &Term) -> bool {
    match &term.value {
        TermValue::Var(name) => {
            scope.lookup(name).is_some() || &**name == "input" || &**name == "data"
        }
        TermValue::Array(terms) | TermValue::Set(terms) => {
            terms.iter().all(|term| is_known(scope, term))
        }
        TermValue::Object(items) => {
            items.iter().all(|(key, value)| is_known(scope, key) && is_known(scope, value))
        }
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Ref(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. }
        | TermValue::Call(_)
        | TermValue::TemplateString { .. } => true,
    }
}
