//! The evaluation of one body, and a statement in it.

use std::cell::Cell;
use std::rc::Rc;

use super::nodes::{Body, Expr};
use super::scope::Scope;
use crate::source::Span;

/// The evaluation of one body.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) id: u64,
    /// The number of the query that it is part of; 0 for the outermost.
    pub(crate) parent: u64,
    pub(crate) body: Rc<Body>,
    pub(crate) scope: Rc<Scope>,
    /// Whether one solution is enough.
    pub(crate) is_early: bool,
    pub(crate) defined: Cell<bool>,
    /// The place of the last event.
    pub(crate) last: Cell<Option<Span>>,
}

/// A statement of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'q> {
    pub(crate) query: &'q Query,
    pub(crate) index: usize,
}

impl<'q> At<'q> {
    pub(crate) fn expr(&self) -> Option<&'q Rc<Expr>> {
        self.query.body.exprs.get(self.index)
    }

    pub(crate) fn span(&self) -> Option<Span> {
        self.expr().map(|expr| expr.source.span)
    }

    pub(crate) fn scope(&self) -> &'q Rc<Scope> {
        &self.query.scope
    }
}
