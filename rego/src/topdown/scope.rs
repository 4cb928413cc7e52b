//! Variables and their values while a body is evaluated.

use std::cell::RefCell;
use std::rc::Rc;

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::nodes::{Term, TermKind};
use crate::ast::Name;
use crate::source::{FileId, Span};

/// The place of terms that evaluation makes.
pub(crate) const NOWHERE: Span = Span { file: FileId(u32::MAX), start: 0, end: 0 };

/// The variables of one body, and of the bodies in it that share them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    bound: RefCell<Vec<(Name, Cell)>>,
}

/// A term with the variables that it is read with.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) term: Rc<Term>,
    pub(crate) scope: Rc<Scope>,
}

impl Cell {
    pub(crate) fn new(term: &Rc<Term>, scope: &Rc<Scope>) -> Self {
        Self { term: Rc::clone(term), scope: Rc::clone(scope) }
    }

    /// A value in any scope.
    pub(crate) fn value(value: Value, scope: &Rc<Scope>) -> Self {
        let term = Term { kind: TermKind::Value(value), span: NOWHERE };
        Self { term: Rc::new(term), scope: Rc::clone(scope) }
    }

    /// The term that a variable stands for, as far as it is bound; any other term itself.
    pub(crate) fn resolved(&self) -> Self {
        let mut cell = self.clone();
        while let TermKind::Var(name) = &cell.term.kind {
            match cell.scope.get(name) {
                Some(next) => cell = next,
                None => break,
            }
        }
        cell
    }

    /// Its value, where all of its variables are bound.
    pub(crate) fn ground(&self) -> Option<Value> {
        let cell = self.resolved();
        let all = |terms: &[Rc<Term>]| -> Option<Vec<Value>> {
            terms.iter().map(|term| Self::new(term, &cell.scope).ground()).collect()
        };
        Some(match &cell.term.kind {
            TermKind::Value(value) => value.clone(),
            TermKind::Array(terms) => Array::from(all(terms)?).into_value(),
            TermKind::Set(terms) => all(terms)?.into_iter().collect::<Set>().into_value(),
            TermKind::Object(items) => {
                let mut object = Object::new();
                for (key, value) in items {
                    let key = Self::new(key, &cell.scope).ground()?;
                    object.insert(key, Self::new(value, &cell.scope).ground()?);
                }
                object.into_value()
            }
            TermKind::Var(_) | TermKind::Ref(_) | TermKind::Comprehension(_) => return None,
        })
    }
}

impl Scope {
    /// The term of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<Cell> {
        let bound = self.bound.borrow();
        bound.iter().rev().find(|(bound, _)| **bound == *name).map(|(_, cell)| cell.clone())
    }

    /// Binds a variable until it is released.
    pub(crate) fn bind(&self, name: &Name, cell: Cell) {
        self.bound.borrow_mut().push((Name::clone(name), cell));
    }

    /// Forgets the last term of a variable.
    pub(crate) fn release(&self, name: &str) {
        let mut bound = self.bound.borrow_mut();
        if let Some(at) = bound.iter().rposition(|(bound, _)| **bound == *name) {
            bound.remove(at);
        }
    }

    /// The variables and their terms, in the order in which they were bound.
    pub(crate) fn all(&self) -> Vec<(Name, Cell)> {
        self.bound.borrow().clone()
    }
}
