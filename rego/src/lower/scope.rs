//! The body that is being lowered: its variables and open blocks.

use std::collections::HashMap;

use regorus::Value;

use crate::ast::Name;
use crate::core::{Block, Expr, Operand, Root, Statement, StatementKind, Var};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::MAX_BLOCK_DEPTH;

/// The variables of a rule, and the block for its statements.
///
/// All statements after a loop go into its block, so a body is a stack of open blocks: those of
/// closures, and in each those of loops.
#[derive(Debug)]
pub(super) struct Scope {
    variables: u32,
    bound: HashMap<Name, Operand>,
    /// The variables bound since the rule began, in order.
    trail: Vec<Name>,
    /// The possible values of variables, where the body determines them.
    known: HashMap<Name, Vec<Value>>,
    /// The terms that variables of sets and objects were built from.
    literals: HashMap<Var, Literal>,
    frames: Vec<Frame>,
    /// Enclosing closures, which are in other rules.
    depth: usize,
    /// How many blocks have been ended.
    failures: usize,
    span: Option<Span>,
}

/// A set or an object as it is written, in OPA's order of terms: constants first, then variables.
///
/// OPA iterates over the terms, not over their values: two terms with equal values count twice.
#[derive(Debug)]
enum Literal {
    Set(Vec<Operand>),
    Object(Vec<(Operand, Operand)>),
}

impl Literal {
    /// The place where an expression has terms of unknown values whose order may be visible.
    fn of(expr: &Expr) -> Option<Self> {
        let is_open = |operand: &Operand| matches!(operand, Operand::Var(_));
        match expr {
            Expr::Set(members) if members.len() > 1 && members.iter().any(is_open) => {
                Some(Self::Set(members.clone()))
            }
            Expr::Object(items) if items.len() > 1 && items.iter().any(|(key, _)| is_open(key)) => {
                Some(Self::Object(items.clone()))
            }
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Frame {
    /// The loop that the block belongs to; `None` for a closure.
    header: Option<Header>,
    block: Block,
}

#[derive(Debug)]
struct Header {
    key: Var,
    value: Var,
    collection: Operand,
    span: Option<Span>,
}

/// The beginning of a closure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    frames: usize,
    trail: usize,
}

impl Scope {
    /// A rule's scope; its parameters are the first variables.
    pub(super) fn new(parameters: u32, depth: usize) -> Self {
        Self {
            variables: parameters,
            bound: HashMap::new(),
            trail: Vec::new(),
            known: HashMap::new(),
            literals: HashMap::new(),
            frames: vec![Frame::default()],
            depth,
            failures: 0,
            span: None,
        }
    }

    /// The number of the rule's variables.
    pub(super) const fn variables(&self) -> u32 {
        self.variables
    }

    /// Begins the next body of the same rule, in which no variable is bound.
    pub(super) fn restart(&mut self) {
        self.bound.clear();
        self.trail.clear();
        self.known.clear();
        self.literals.clear();
        self.frames = vec![Frame::default()];
    }

    /// The nesting of blocks here, with those of enclosing rules.
    pub(super) const fn depth(&self) -> usize {
        self.depth + self.frames.len()
    }

    /// Sets the place of the next statements.
    pub(super) const fn at(&mut self, span: Span) {
        self.span = Some(span);
    }

    /// The place of the last statement.
    pub(super) const fn span(&self) -> Option<Span> {
        self.span
    }

    pub(super) const fn fresh(&mut self) -> Var {
        let var = Var(self.variables);
        self.variables = self.variables.saturating_add(1);
        var
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&Operand> {
        self.bound.get(name)
    }

    pub(super) fn bind(&mut self, name: &Name, operand: Operand) {
        self.bound.insert(Name::clone(name), operand);
        self.trail.push(Name::clone(name));
    }

    /// Sets the possible values of variables.
    pub(super) fn know(&mut self, known: HashMap<Name, Vec<Value>>) {
        self.known = known;
    }

    /// The values set this way.
    pub(super) const fn known(&self) -> &HashMap<Name, Vec<Value>> {
        &self.known
    }

    pub(super) fn push(&mut self, kind: StatementKind) {
        let span = self.span;
        if let Some(frame) = self.frames.last_mut() {
            frame.block.push(Statement { kind, span });
        }
    }

    pub(super) fn test(&mut self, expr: Expr) {
        self.push(StatementKind::Test(expr));
    }

    /// Ends the block here.
    pub(super) fn fail(&mut self) {
        self.failures += 1;
        self.test(Expr::Operand(Operand::Const(Value::Bool(false))));
    }

    /// How many blocks have been ended this way.
    pub(super) const fn failures(&self) -> usize {
        self.failures
    }

    /// An expression's value as an operand; the block ends where it is undefined.
    pub(super) fn operand(&mut self, expr: Expr) -> Operand {
        match expr {
            Expr::Operand(operand) => operand,
            expr => {
                let var = self.fresh();
                if let Some(literal) = Literal::of(&expr) {
                    self.literals.insert(var, literal);
                }
                self.push(StatementKind::Let(var, expr));
                Operand::Var(var)
            }
        }
    }

    /// Begins an iteration over a collection for all following statements; returns its key and
    /// element.
    pub(super) fn each(&mut self, collection: Operand) -> Result<(Var, Var), Diagnostic> {
        let literal = match &collection {
            Operand::Var(var) => self.literals.get(var),
            Operand::Const(_) => None,
        };
        match literal {
            None => self.each_value(collection),
            Some(Literal::Set(members)) => {
                let members = Expr::Array(members.clone());
                let members = self.operand(members);
                let (_, member) = self.each_value(members)?;
                Ok((member, member))
            }
            Some(Literal::Object(items)) => {
                let items = items.clone();
                let pair = |(key, value)| self.operand(Expr::Array(vec![key, value]));
                let pairs = items.into_iter().map(pair).collect();
                let pairs = self.operand(Expr::Array(pairs));
                let (_, pair) = self.each_value(pairs)?;
                let [key, value] = [self.fresh(), self.fresh()];
                self.push(StatementKind::Let(key, part(pair, 0)));
                self.push(StatementKind::Let(value, part(pair, 1)));
                Ok((key, value))
            }
        }
    }

    /// Begins an iteration over a value.
    fn each_value(&mut self, collection: Operand) -> Result<(Var, Var), Diagnostic> {
        self.check_depth()?;
        let (key, value) = (self.fresh(), self.fresh());
        let header = Some(Header { key, value, collection, span: self.span });
        self.frames.push(Frame { header, block: Vec::new() });
        Ok((key, value))
    }

    /// Begins a closure: variables that it binds are not visible outside.
    pub(super) fn open(&mut self) -> Result<Mark, Diagnostic> {
        self.check_depth()?;
        let mark = Mark { frames: self.frames.len(), trail: self.trail.len() };
        self.frames.push(Frame::default());
        Ok(mark)
    }

    /// Ends a closure: its block.
    pub(super) fn close(&mut self, mark: Mark) -> Block {
        for name in self.trail.drain(mark.trail..) {
            self.bound.remove(&name);
        }
        self.fold(mark.frames)
    }

    /// The variables bound since a closure began, in order.
    pub(super) fn bound_since(&self, mark: Mark) -> Vec<Name> {
        self.trail.get(mark.trail..).unwrap_or_default().to_vec()
    }

    /// Whether there is a loop since a closure began.
    pub(super) const fn loops_since(&self, mark: Mark) -> bool {
        self.frames.len() > mark.frames + 1
    }

    /// The whole body's block.
    pub(super) fn finish(&mut self) -> Block {
        self.fold(0)
    }

    /// Nests the blocks above a depth into each other.
    fn fold(&mut self, depth: usize) -> Block {
        let mut inner: Option<Statement> = None;
        while self.frames.len() > depth {
            let Some(Frame { header, mut block }) = self.frames.pop() else { break };
            block.extend(inner.take());
            match header {
                None => return block,
                Some(Header { key, value, collection, span }) => {
                    let kind = StatementKind::Each { key: Some(key), value, collection, block };
                    inner = Some(Statement { kind, span });
                }
            }
        }
        inner.into_iter().collect()
    }

    fn check_depth(&self) -> Result<(), Diagnostic> {
        if self.depth() < MAX_BLOCK_DEPTH {
            return Ok(());
        }
        let message = format!("loops and closures nest to {MAX_BLOCK_DEPTH} levels at most");
        Err(Diagnostic { code: Code::Bundle, message, span: self.span, help: None })
    }
}

/// The element of an array at a position.
pub(super) fn part(array: Var, place: usize) -> Expr {
    let place = Operand::Const(Value::from(place));
    Expr::Path(Root::Operand(Operand::Var(array)), vec![place])
}
