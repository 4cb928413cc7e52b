//! What happens during an evaluation, told to an observer as OPA tells its tracers.

use std::rc::Rc;

use regorus::Value;

use super::environment::Environment;
use super::frame::Query;
use super::nodes::{Body, Expr, Rule};
use super::scope::Cell;
use crate::source::Span;

/// Kinds of events, with OPA's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A query or rule begins.
    Enter,
    /// A query or rule has a solution.
    Exit,
    /// A statement begins.
    Eval,
    /// The next solution is searched for.
    Redo,
    /// A statement does not hold.
    Fail,
    /// A partial rule yields what it has already yielded.
    Duplicate,
    /// `trace` was called.
    Note,
    /// The rules of a document were looked up.
    Index,
    /// Two terms are unified.
    Unify,
}

impl Op {
    /// OPA's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enter => "Enter",
            Self::Exit => "Exit",
            Self::Eval => "Eval",
            Self::Redo => "Redo",
            Self::Fail => "Fail",
            Self::Duplicate => "Duplicate",
            Self::Note => "Note",
            Self::Index => "Index",
            Self::Unify => "Unify",
        }
    }
}

/// The subject of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'e> {
    Body(&'e Rc<Body>),
    Expr(&'e Rc<Expr>),
    Rule(&'e Rc<Rule>),
    Unify(&'e Cell, &'e Cell),
    Nothing,
}

impl Node<'_> {
    /// Its place.
    pub(crate) fn span(&self) -> Option<Span> {
        match self {
            Self::Body(body) => body.span(),
            Self::Expr(expr) => Some(expr.source.span),
            Self::Rule(rule) => Some(rule.span),
            Self::Unify(..) | Self::Nothing => None,
        }
    }
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event<'e> {
    pub(crate) op: Op,
    pub(crate) query: &'e Query,
    pub(crate) node: Node<'e>,
    pub(crate) span: Option<Span>,
    pub(crate) message: &'e str,
    /// The looked up document, of [`Op::Index`]: its path below `data`.
    pub(crate) lookup: Option<&'e [Value]>,
    pub(crate) environment: &'e Environment,
}

/// Is told what happens.
pub(crate) trait Observer {
    /// One event. It must not take long: it is called for each step.
    fn observe(&mut self, event: &Event<'_>);

    /// Whether it wants to know how the parts of two values are compared.
    fn wants_parts(&self) -> bool {
        false
    }
}

/// Observes nothing.
#[derive(Debug, Default)]
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    fn observe(&mut self, _: &Event<'_>) {}
}
