//! Bodies and statements.
//!
//! A body is evaluated by calling its continuation at each of its solutions, as OPA does, so that
//! events come in OPA's order. The stack grows with each statement and rule on the way to a
//! solution; [`MAX_STACK`] bounds it.

use std::cell::Cell as StdCell;
use std::rc::Rc;
use std::time::Instant;

use regorus::Value;

use super::environment::{Environment, Mock};
use super::frame::{At, Query};
use super::index::Shortcuts;
use super::nodes::{Body, Every, Expr, ExprKind, Operator, Replacement, Target, Term, TermKind};
use super::rules::Rules;
use super::scope::{Cell, NOWHERE, Scope};
use super::trace::{Event, Node, Observer, Op};
use crate::builtins::Context;
use crate::core::data;
use crate::machine::{ErrorKind, Strictness};
use crate::source::{Sources, Span};

/// How many bytes of stack an evaluation may take: a worker has 8 MiB, and a built-in must have
/// room above it.
const MAX_STACK: usize = 5 << 20;

/// How many statements are evaluated between two looks at the clock.
const STEPS_PER_LOOK: u32 = 64;

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) span: Option<Span>,
}

/// Why the search for solutions ends before there are no more.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The first solution is enough, and what ended inside.
    Early(Option<Box<Stop>>),
    /// The same for a caller further out.
    Deferred(Option<Box<Stop>>),
    /// The evaluation fails.
    Fault(Box<Fault>),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// Whether to search on.
pub(crate) type Flow = Result<(), Stop>;

/// Ends at a first solution here.
pub(crate) fn suppress(flow: Flow) -> Flow {
    match flow {
        Err(Stop::Early(inner) | Stop::Deferred(inner)) => match inner {
            Some(inner) => Err(*inner),
            None => Ok(()),
        },
        other => other,
    }
}

/// An evaluation.
pub(crate) struct Machine<'p> {
    pub(crate) rules: &'p Rules,
    pub(crate) sources: &'p Sources,
    pub(crate) environment: Rc<Environment>,
    pub(crate) context: Context,
    pub(crate) observer: &'p mut dyn Observer,
    pub(crate) strictness: Strictness,
    pub(crate) shortcuts: Shortcuts,
    /// The first error of a built-in, where those fail the evaluation.
    pub(crate) failed: Option<Fault>,
    next_query: u64,
    stack: usize,
    steps: u32,
}

/// An address in the frame of the caller.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

impl<'p> Machine<'p> {
    pub(crate) fn new(
        (rules, sources): (&'p Rules, &'p Sources),
        environment: Environment,
        context: Context,
        strictness: Strictness,
        observer: &'p mut dyn Observer,
    ) -> Self {
        Self {
            rules,
            sources,
            environment: Rc::new(environment),
            context,
            observer,
            strictness,
            shortcuts: Shortcuts::default(),
            failed: None,
            next_query: 0,
            stack: stack_address(),
            steps: 0,
        }
    }

    /// Calls `found` at each solution of the outermost query.
    pub(crate) fn run(
        &mut self,
        body: &Rc<Body>,
        found: &mut dyn FnMut(&mut Self, &Rc<Scope>) -> Flow,
    ) -> Flow {
        let query = Query {
            id: self.fresh_id(),
            parent: 0,
            body: Rc::clone(body),
            scope: Rc::default(),
            is_early: false,
            defined: StdCell::new(false),
            last: StdCell::new(None),
        };
        let scope = Rc::clone(&query.scope);
        self.run_query(&query, &mut |machine| found(machine, &scope))
    }

    /// Calls `found` at each solution, and tells of the query as a body.
    pub(crate) fn run_query(
        &mut self,
        query: &Query,
        found: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let node = Node::Body(&query.body);
        self.tell(Op::Enter, query, node);
        self.eval(query, 0, &mut |machine| {
            machine.tell_exit(query, node);
            let flow = found(machine);
            machine.tell(Op::Redo, query, node);
            flow
        })
    }

    fn fresh_id(&mut self) -> u64 {
        let id = self.next_query;
        self.next_query += 1;
        id
    }

    /// A query of a body that shares the variables of another.
    pub(crate) fn closure(&mut self, parent: &Query, body: &Rc<Body>) -> Query {
        Query {
            id: self.fresh_id(),
            parent: parent.id,
            body: Rc::clone(body),
            scope: Rc::clone(&parent.scope),
            is_early: false,
            defined: StdCell::new(false),
            last: parent.last.clone(),
        }
    }

    /// A query of a body with variables of its own.
    pub(crate) fn child(&mut self, parent: &Query, body: &Rc<Body>, is_early: bool) -> Query {
        Query { scope: Rc::default(), is_early, ..self.closure(parent, body) }
    }

    pub(crate) fn tell(&mut self, op: Op, query: &Query, node: Node<'_>) {
        self.tell_more(op, query, node, "", None);
    }

    pub(crate) fn tell_exit(&mut self, query: &Query, node: Node<'_>) {
        let message = if query.is_early { "early" } else { "" };
        self.tell_more(Op::Exit, query, node, message, None);
    }

    pub(crate) fn tell_more(
        &mut self,
        op: Op,
        query: &Query,
        node: Node<'_>,
        message: &str,
        lookup: Option<&[Value]>,
    ) {
        let span = node.span().or_else(|| query.last.get());
        query.last.set(span);
        let environment = &self.environment;
        self.observer.observe(&Event { op, query, node, span, message, lookup, environment });
    }

    /// Fails where the evaluation takes too long or too much stack.
    pub(crate) fn check(&mut self) -> Flow {
        if self.stack.abs_diff(stack_address()) > MAX_STACK {
            let message = "the evaluation is nested too deeply to be explained".to_owned();
            return Err(Fault { kind: ErrorKind::Limit, message, span: None }.into());
        }
        self.steps += 1;
        if self.steps >= STEPS_PER_LOOK {
            self.steps = 0;
            if Instant::now() >= self.context.deadline {
                let crate::machine::EvaluationError { kind, message, .. } =
                    crate::machine::deadline();
                return Err(Fault { kind, message, span: None }.into());
            }
        }
        Ok(())
    }

    /// Evaluates a body from a statement on.
    pub(crate) fn eval(
        &mut self,
        query: &Query,
        index: usize,
        found: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        self.check()?;
        let at = At { query, index };
        let Some(expr) = at.expr() else {
            if let Err(stop) = found(self) {
                return Err(match stop {
                    Stop::Early(_) | Stop::Deferred(_) if query.is_early => {
                        Stop::Early(Some(Box::new(stop)))
                    }
                    Stop::Early(_) | Stop::Deferred(_) => Stop::Deferred(Some(Box::new(stop))),
                    Stop::Fault(_) => stop,
                });
            }
            return if query.is_early { Err(Stop::Early(None)) } else { Ok(()) };
        };
        self.tell(Op::Eval, query, Node::Expr(expr));
        if expr.with.is_empty() {
            return self.step(at, expr, &mut |machine| machine.eval(query, index + 1, found));
        }
        let outer = Rc::clone(&self.environment);
        let inner = self.replaced(at, expr);
        self.environment = inner.forgetful();
        let flow = self.step(at, expr, &mut |machine| {
            machine.environment = Rc::clone(&outer);
            let flow = machine.eval(query, index + 1, found);
            machine.environment = inner.forgetful();
            flow
        });
        self.environment = outer;
        flow
    }

    /// Evaluates one statement.
    fn step(
        &mut self,
        at: At<'_>,
        expr: &Rc<Expr>,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        if let Some(negates) = &expr.negates {
            return self.negation(at, expr, negates, next);
        }
        let mut defined = false;
        let scope = at.scope();
        let mut go = |machine: &mut Self| {
            defined = true;
            let flow = next(machine);
            machine.tell(Op::Redo, at.query, Node::Expr(expr));
            flow
        };
        match &expr.kind {
            ExprKind::Equal(left, right) => {
                self.unify(at, &Cell::new(left, scope), &Cell::new(right, scope), &mut go)?;
            }
            ExprKind::Call(operator, operands) => self.call(at, operator, operands, &mut go)?,
            ExprKind::Term(term) => {
                let name = format!("$_term_{}_{}", at.query.id, at.index);
                let result = Term { kind: TermKind::Var(name.into()), span: NOWHERE };
                let result = Cell::new(&Rc::new(result), scope);
                self.unify(at, &Cell::new(term, scope), &result, &mut |machine| match result
                    .ground()
                {
                    Some(Value::Bool(false)) => Ok(()),
                    _ => go(machine),
                })?;
            }
            ExprKind::Every(every) => self.every(at, expr, every, &mut go)?,
            ExprKind::Not(body) => {
                if !self.holds(at.query, body, false)? {
                    go(self)?;
                }
            }
            ExprKind::And(left, right) => {
                if self.holds(at.query, left, true)? && self.holds(at.query, right, true)? {
                    go(self)?;
                }
            }
            ExprKind::Or(left, right) => {
                if self.holds(at.query, left, true)? || self.holds(at.query, right, true)? {
                    go(self)?;
                }
            }
        }
        if !defined {
            self.tell(Op::Fail, at.query, Node::Expr(expr));
        }
        Ok(())
    }

    fn negation(
        &mut self,
        at: At<'_>,
        expr: &Rc<Expr>,
        negates: &Rc<Body>,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        if self.holds(at.query, negates, false)? {
            self.tell(Op::Fail, at.query, Node::Expr(expr));
            return Ok(());
        }
        next(self)
    }

    /// Whether a body inside another has a solution.
    fn holds(&mut self, parent: &Query, body: &Rc<Body>, is_early: bool) -> Result<bool, Stop> {
        let child = Query { is_early, ..self.closure(parent, body) };
        let node = Node::Body(body);
        self.tell(Op::Enter, &child, node);
        let flow = self.eval(&child, 0, &mut |machine| {
            machine.tell_exit(&child, node);
            machine.tell(Op::Redo, &child, node);
            child.defined.set(true);
            Ok(())
        });
        if is_early {
            suppress(flow)?
        } else {
            flow?
        }
        Ok(child.defined.get())
    }

    fn every(
        &mut self,
        at: At<'_>,
        expr: &Rc<Expr>,
        every: &Every,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let node = Node::Expr(expr);
        let domain = Cell::new(&every.domain, at.scope());
        let is_collection = match domain.resolved().term.kind {
            TermKind::Value(Value::Array(_) | Value::Object(_) | Value::Set(_))
            | TermKind::Array(_)
            | TermKind::Object(_)
            | TermKind::Set(_) => true,
            TermKind::Value(_)
            | TermKind::Var(_)
            | TermKind::Ref(_)
            | TermKind::Comprehension(_) => false,
        };
        if !is_collection {
            self.tell(Op::Fail, at.query, node);
            return Ok(());
        }
        let elements = self.closure(at.query, &every.generator);
        self.tell(Op::Enter, &elements, node);
        let mut all = true;
        self.eval(&elements, 0, &mut |machine| {
            if !all {
                return Ok(());
            }
            let body = Query { is_early: true, ..machine.closure(&elements, &every.body) };
            let body_node = Node::Body(&every.body);
            machine.tell(Op::Enter, &body, body_node);
            let mut done = false;
            let flow = machine.eval(&body, 0, &mut |machine| {
                machine.tell_exit(&body, body_node);
                machine.tell(Op::Redo, &body, body_node);
                done = true;
                Ok(())
            });
            all &= done;
            machine.tell(Op::Redo, &elements, node);
            suppress(flow)
        })?;
        if !all {
            self.tell(Op::Fail, &elements, node);
            return Ok(());
        }
        let flow = next(self);
        self.tell_exit(&elements, node);
        flow
    }

    /// The environment of a statement with `with`.
    fn replaced(&self, at: At<'_>, expr: &Expr) -> Environment {
        let mut inner = Environment::clone(&self.environment);
        let (mut documents, mut replaced) = ((*inner.data).clone(), (*inner.replaced).clone());
        let mut mocks = (*inner.mocks).clone();
        for with in &expr.with {
            let cell = match &with.value {
                Replacement::Function(function) => {
                    if let Target::Function(target) = &with.target {
                        mocks.push((target.clone(), Mock::Function(function.clone())));
                    }
                    continue;
                }
                Replacement::Term(term) => Cell::new(term, at.scope()).resolved(),
            };
            match &with.target {
                Target::Function(target) => mocks.push((target.clone(), Mock::Term(cell))),
                // The compiler has put each document that must be evaluated into a variable.
                Target::Input(path) => {
                    if let Some(value) = cell.ground() {
                        inner.input = Some(data::put(inner.input.as_ref(), path, value));
                    }
                }
                Target::Data(path) => {
                    if let Some(value) = cell.ground() {
                        documents = documents.with(path, value);
                        replaced.push(path.clone());
                    }
                }
            }
        }
        let functions = expr.with.iter().filter_map(|with| match &with.target {
            Target::Function(Operator::Function(path)) => Some(path.to_vec()),
            _ => None,
        });
        replaced.extend(functions);
        inner.data = Rc::new(documents);
        inner.replaced = Rc::new(replaced);
        inner.mocks = Rc::new(mocks);
        inner
    }
}
