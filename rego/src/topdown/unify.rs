//! Unification: two terms become equal by binding variables.

use std::rc::Rc;

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::documents::Reference;
use super::frame::At;
use super::machine::{Fault, Flow, Machine, Stop};
use super::nodes::{Collection, Comprehension, Term, TermKind};
use super::scope::Cell;
use super::trace::{Node, Op};
use crate::builtins::order;
use crate::core::own::UNIQUE_KEYS;
use crate::machine::ErrorKind;

impl Machine<'_> {
    /// Calls `next` for each way in which two terms can be equal.
    pub(crate) fn unify(
        &mut self,
        at: At<'_>,
        a: &Cell,
        b: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        self.check()?;
        let (a, b) = (&a.resolved(), &b.resolved());
        self.tell(Op::Unify, at.query, Node::Unify(a, b));
        match (&a.term.kind, &b.term.kind) {
            (TermKind::Ref(keys), _) => self.unify_reference(at, a, keys, b, next),
            (_, TermKind::Ref(keys)) => self.unify_reference(at, b, keys, a, next),
            (TermKind::Comprehension(comprehension), _) => {
                self.unify_comprehension(at, a, comprehension, b, next)
            }
            (_, TermKind::Comprehension(comprehension)) => {
                self.unify_comprehension(at, b, comprehension, a, next)
            }
            (TermKind::Var(x), TermKind::Var(y)) if x == y && Rc::ptr_eq(&a.scope, &b.scope) => {
                next(self)
            }
            (TermKind::Var(name), _) => {
                a.scope.bind(name, b.clone());
                let flow = next(self);
                a.scope.release(name);
                flow
            }
            (_, TermKind::Var(name)) => {
                b.scope.bind(name, a.clone());
                let flow = next(self);
                b.scope.release(name);
                flow
            }
            (TermKind::Value(x), TermKind::Value(y)) => {
                if self.observer.wants_parts() {
                    self.tell_parts(at, x, y);
                }
                if x == y { next(self) } else { Ok(()) }
            }
            (TermKind::Array(_), _) | (_, TermKind::Array(_)) => self.unify_parts(at, a, b, next),
            (TermKind::Object(_), _) | (_, TermKind::Object(_)) => {
                self.unify_objects(at, a, b, next)
            }
            (TermKind::Set(_), _) | (_, TermKind::Set(_)) => match (a.ground(), b.ground()) {
                (Some(x), Some(y)) if x == y => next(self),
                _ => Ok(()),
            },
        }
    }

    /// Tells how OPA compares two values: part by part, until two differ.
    fn tell_parts(&mut self, at: At<'_>, x: &Value, y: &Value) -> bool {
        let pairs: Vec<(&Value, &Value)> = match (x, y) {
            (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
                x.iter().zip(y.iter()).collect()
            }
            (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
                let mut pairs = Vec::new();
                for (key, value) in order::entries(x) {
                    match y.get(key) {
                        Some(other) => pairs.push((value, other)),
                        None => break,
                    }
                }
                pairs
            }
            _ => return x == y,
        };
        // As deep as a value may be.
        for (x, y) in pairs {
            let (a, b) = (Cell::value(x.clone(), at.scope()), Cell::value(y.clone(), at.scope()));
            self.tell(Op::Unify, at.query, Node::Unify(&a, &b));
            if !self.tell_parts(at, x, y) {
                return false;
            }
        }
        x == y
    }

    /// Arrays element by element.
    fn unify_parts(
        &mut self,
        at: At<'_>,
        a: &Cell,
        b: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        match (array_parts(a), array_parts(b)) {
            (Some(a), Some(b)) if a.len() == b.len() => {
                let pairs: Vec<_> = a.into_iter().zip(b).collect();
                self.unify_all(at, &pairs, next)
            }
            _ => Ok(()),
        }
    }

    /// Unifies pairs, one after the other.
    pub(crate) fn unify_all(
        &mut self,
        at: At<'_>,
        pairs: &[(Cell, Cell)],
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        match pairs.split_first() {
            None => next(self),
            Some(((a, b), rest)) => {
                self.unify(at, a, b, &mut |machine| machine.unify_all(at, rest, next))
            }
        }
    }

    fn unify_objects(
        &mut self,
        at: At<'_>,
        a: &Cell,
        b: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let (Some(a), Some(b)) = (object_parts(a), object_parts(b)) else { return Ok(()) };
        if a.len() != b.len() {
            return Ok(());
        }
        let mut pairs = Vec::with_capacity(a.len());
        for (key, value) in a {
            match b.iter().find(|(other, _)| *other == key) {
                Some((_, other)) => pairs.push((value, other.clone())),
                // OPA unifies the values before it, which may have effects that nobody sees.
                None => return Ok(()),
            }
        }
        self.unify_all(at, &pairs, next)
    }

    fn unify_reference(
        &mut self,
        at: At<'_>,
        a: &Cell,
        keys: &[Rc<Term>],
        b: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let Some((head, keys)) = keys.split_first() else { return Ok(()) };
        let reference = Reference { keys, scope: &a.scope, target: b };
        let TermKind::Var(name) = &head.kind else { return Ok(()) };
        match &**name {
            "data" => {
                let root = &self.rules.root;
                self.tree(at, &reference, &mut Vec::new(), Some(root), next)
            }
            "input" => match self.environment.input.clone() {
                Some(input) => {
                    let input = Cell::value(input, &a.scope);
                    self.term(at, &reference, 0, &input, next)
                }
                None => Ok(()),
            },
            _ => {
                let cell = Cell::new(head, &a.scope).resolved();
                match &cell.term.kind {
                    TermKind::Var(_) => Ok(()),
                    _ => self.term(at, &reference, 0, &cell, next),
                }
            }
        }
    }

    fn unify_comprehension(
        &mut self,
        at: At<'_>,
        a: &Cell,
        comprehension: &Comprehension,
        b: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let value = self.comprehension(at, a, comprehension)?;
        let value = Cell::value(value, at.scope());
        self.unify(at, &value, b, next)
    }

    fn comprehension(
        &mut self,
        at: At<'_>,
        cell: &Cell,
        comprehension: &Comprehension,
    ) -> Result<Value, Stop> {
        let Comprehension { kind, key, value, body } = comprehension;
        let query = self.closure(at.query, body);
        let query = super::frame::Query { scope: Rc::clone(&cell.scope), ..query };
        let (mut array, mut members, mut object) = (Array::new(), Set::new(), Object::new());
        self.run_query(&query, &mut |_| {
            let ground = |term: &Rc<Term>| Cell::new(term, &query.scope).ground();
            let Some(element) = ground(value) else { return Ok(()) };
            match kind {
                Collection::Array => array.push(element),
                Collection::Set => {
                    members.insert(element);
                }
                Collection::Object => {
                    let Some(key_term) = key else { return Ok(()) };
                    let Some(key) = ground(key_term) else { return Ok(()) };
                    if object.get(&key).is_some_and(|earlier| *earlier != element) {
                        let message = UNIQUE_KEYS.to_owned();
                        let span = Some(key_term.span);
                        return Err(Fault { kind: ErrorKind::Conflict, message, span }.into());
                    }
                    object.insert(key, element);
                }
            }
            Ok(())
        })?;
        Ok(match kind {
            Collection::Array => array.into_value(),
            Collection::Set => members.into_value(),
            Collection::Object => object.into_value(),
        })
    }
}

/// The elements of an array.
fn array_parts(cell: &Cell) -> Option<Vec<Cell>> {
    Some(match &cell.term.kind {
        TermKind::Array(terms) => terms.iter().map(|term| Cell::new(term, &cell.scope)).collect(),
        TermKind::Value(Value::Array(array)) => {
            array.iter().map(|value| Cell::value(value.clone(), &cell.scope)).collect()
        }
        _ => return None,
    })
}

/// The keys and values of an object, in order; keys must be bound.
fn object_parts(cell: &Cell) -> Option<Vec<(Value, Cell)>> {
    match &cell.term.kind {
        TermKind::Object(items) => {
            let items = items.iter().map(|(key, value)| {
                Some((Cell::new(key, &cell.scope).ground()?, Cell::new(value, &cell.scope)))
            });
            let mut items: Vec<_> = items.collect::<Option<_>>()?;
            items.sort_by(|(a, _), (b, _)| order::compare(a, b));
            Some(items)
        }
        TermKind::Value(Value::Object(object)) => Some(
            order::entries(object)
                .into_iter()
                .map(|(key, value)| (key.clone(), Cell::value(value.clone(), &cell.scope)))
                .collect(),
        ),
        _ => None,
    }
}
