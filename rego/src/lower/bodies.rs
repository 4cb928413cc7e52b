//! Statements and terms.

use std::collections::HashMap;

use regorus::Value;

use crate::ast::{Body, Every, Expr as Ast, ExprKind, Rule, Term, TermValue};
use crate::compile::Key;
use crate::compile::graph::known_values;
use crate::compile::order;
use crate::core::{Block, Collection, Expr, Operand, StatementKind};
use crate::diagnostic::{Code, Diagnostic};

use super::Lowering;
use super::constants::constant;
use super::guards::Guard;
use super::operators::{HARMLESS, is_equality};
use super::scope::Scope;

impl Lowering<'_> {
    /// Lowers statements in order, into the innermost open block.
    pub(super) fn body(&mut self, scope: &mut Scope, body: &Body) -> Result<(), Diagnostic> {
        body.iter().try_for_each(|statement| self.any_statement(scope, statement))
    }

    /// The statements of a definition.
    pub(super) fn definition_body(
        &mut self,
        scope: &mut Scope,
        rule: &Rule,
    ) -> Result<(), Diagnostic> {
        // Values that OPA's recursion check takes as known are known here too.
        let mut known = HashMap::new();
        for (name, terms) in known_values(&rule.body) {
            if terms.iter().all(|term| Key::of(&term.value).is_some()) {
                let values: Option<Vec<_>> =
                    terms.iter().map(constant).collect::<Result<_, _>>()?;
                known.extend(values.map(|values| (name, values)));
            }
        }
        scope.know(known);
        let is_bound = |name: &str| scope.lookup(name).is_some();
        let guards = self.guards_first(rule, &rule.body, is_bound);
        self.guards(scope, &guards)
    }

    fn guards(&mut self, scope: &mut Scope, guards: &[Guard<'_>]) -> Result<(), Diagnostic> {
        for guard in guards {
            match guard {
                Guard::Statement(statement) => self.any_statement(scope, statement)?,
                Guard::Defined(part) => {
                    scope.at(part.span);
                    self.term(scope, part)?;
                }
                Guard::Any(alternatives) => {
                    let neither = scope.open()?;
                    for alternative in alternatives {
                        let mark = scope.open()?;
                        self.guards(scope, alternative)?;
                        let block = scope.close(mark);
                        scope.push(StatementKind::Not(block));
                    }
                    let block = scope.close(neither);
                    scope.push(StatementKind::Not(block));
                }
            }
        }
        Ok(())
    }

    fn any_statement(&mut self, scope: &mut Scope, statement: &Ast) -> Result<(), Diagnostic> {
        scope.at(statement.span);
        self.statements += 1;
        if statement.with.is_empty() {
            self.statement(scope, statement)
        } else {
            self.with(scope, statement)
        }
    }

    /// A statement, without regard to its `with`.
    pub(super) fn statement(
        &mut self,
        scope: &mut Scope,
        statement: &Ast,
    ) -> Result<(), Diagnostic> {
        if !statement.negated {
            return self.positive(scope, statement);
        }
        let mark = scope.open()?;
        self.positive(scope, statement)?;
        let block = scope.close(mark);
        negate(scope, block);
        Ok(())
    }

    fn positive(&mut self, scope: &mut Scope, statement: &Ast) -> Result<(), Diagnostic> {
        match &statement.kind {
            ExprKind::Term(term) => {
                let value = self.expr(scope, term)?;
                scope.test(value);
            }
            ExprKind::Call(terms) => match terms.as_slice() {
                [operator, a, b] if is_equality(operator) => self.unify(scope, a, b)?,
                terms => self.call_statement(scope, terms)?,
            },
            // The stages have replaced `some` by other statements.
            ExprKind::Some(_) => {}
            ExprKind::Every(every) => self.every(scope, every)?,
            ExprKind::Not(not) => {
                let block = self.closure(scope, &not.body)?;
                negate(scope, block);
            }
            ExprKind::And(both) => {
                for side in [&both.left, &both.right] {
                    let none = self.none(scope, side)?;
                    scope.push(StatementKind::Not(none));
                }
            }
            ExprKind::Or(both) => {
                let mark = scope.open()?;
                for side in [&both.left, &both.right] {
                    let block = self.closure(scope, side)?;
                    scope.push(StatementKind::Not(block));
                }
                let neither = scope.close(mark);
                scope.push(StatementKind::Not(neither));
            }
        }
        Ok(())
    }

    fn closure(&mut self, scope: &mut Scope, body: &Body) -> Result<Block, Diagnostic> {
        let mark = scope.open()?;
        self.body(scope, body)?;
        Ok(scope.close(mark))
    }

    /// A block that has a solution where a body has no solution.
    fn none(&mut self, scope: &mut Scope, body: &Body) -> Result<Block, Diagnostic> {
        let mark = scope.open()?;
        let block = self.closure(scope, body)?;
        scope.push(StatementKind::Not(block));
        Ok(scope.close(mark))
    }

    fn every(&mut self, scope: &mut Scope, every: &Every) -> Result<(), Diagnostic> {
        let collection = self.term(scope, &every.domain)?;
        let (key, value) = (scope.fresh(), scope.fresh());
        let mark = scope.open()?;
        for (term, var) in every.key.iter().map(|term| (term, key)).chain([(&every.value, value)]) {
            let TermValue::Var(name) = &term.value else {
                let message = "expected value to be a variable";
                return Err(Diagnostic::new(Code::Parse, message, term.span));
            };
            scope.bind(name, Operand::Var(var));
        }
        self.body(scope, &every.body)?;
        let block = scope.close(mark);
        scope.push(StatementKind::Every { key: Some(key), value, collection, block });
        Ok(())
    }

    /// Terms as operands, in order.
    pub(super) fn terms(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
    ) -> Result<Vec<Operand>, Diagnostic> {
        terms.iter().map(|term| self.term(scope, term)).collect()
    }

    /// A term's value as an operand.
    pub(super) fn term(&mut self, scope: &mut Scope, term: &Term) -> Result<Operand, Diagnostic> {
        let value = self.expr(scope, term)?;
        Ok(scope.operand(value))
    }

    /// A term's value. The open block may change: a reference with variables iterates over
    /// collections.
    pub(super) fn expr(&mut self, scope: &mut Scope, term: &Term) -> Result<Expr, Diagnostic> {
        if let Some(value) = constant(term)? {
            return Ok(Expr::Operand(Operand::Const(value)));
        }
        self.statements += 1;
        Ok(match &term.value {
            TermValue::Var(name) => match (scope.lookup(name), &**name) {
                (Some(value), _) => Expr::Operand(value.clone()),
                (None, "input" | "data") => self.reference(scope, std::slice::from_ref(term))?,
                (None, name) => {
                    let message = format!("var {name} is unsafe");
                    return Err(Diagnostic::new(Code::UnsafeVar, message, term.span));
                }
            },
            TermValue::Ref(terms) => self.reference(scope, terms)?,
            TermValue::Array(terms) => Expr::Array(self.terms(scope, terms)?),
            TermValue::Set(terms) => {
                let members = order::sorted(terms, |term| term);
                let members = members.into_iter().map(|term| self.term(scope, term));
                Expr::Set(members.collect::<Result<_, _>>()?)
            }
            TermValue::Object(items) => self.object(scope, items)?,
            TermValue::ArrayComprehension { term, body } => {
                self.comprehension(scope, Collection::Array, None, term, body)?
            }
            TermValue::SetComprehension { term, body } => {
                self.comprehension(scope, Collection::Set, None, term, body)?
            }
            TermValue::ObjectComprehension { key, value, body } => {
                self.comprehension(scope, Collection::Object, Some(key), value, body)?
            }
            TermValue::Call(terms) => self.call_value(scope, terms)?,
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::TemplateString { .. } => {
                // Scalars are constants, and the stages have replaced template strings by calls.
                let message = "a template string that is not a call";
                return Err(Diagnostic::new(Code::Compile, message, term.span));
            }
        })
    }

    /// An object of bound terms.
    pub(super) fn object(
        &mut self,
        scope: &mut Scope,
        items: &[(Term, Term)],
    ) -> Result<Expr, Diagnostic> {
        let mut operands = Vec::with_capacity(items.len());
        for (key, value) in order::sorted(items, |(key, _)| key) {
            operands.push((self.term(scope, key)?, self.term(scope, value)?));
        }
        Ok(Expr::Object(operands))
    }

    fn comprehension(
        &mut self,
        scope: &mut Scope,
        kind: Collection,
        key: Option<&Term>,
        value: &Term,
        body: &Body,
    ) -> Result<Expr, Diagnostic> {
        let var = scope.fresh();
        let span = scope.span();
        let mark = scope.open()?;
        self.body(scope, body)?;
        let key = key.map(|key| self.term(scope, key)).transpose()?;
        let value = self.term(scope, value)?;
        let block = scope.close(mark);
        if let Some(span) = span {
            scope.at(span);
        }
        scope.push(StatementKind::Collect { var, kind, block, key, value });
        Ok(Expr::Operand(Operand::Var(var)))
    }
}

/// `not`: OPA evaluates all solutions, which is visible where a later one raises a conflict. So the
/// block is evaluated to its end where it has loops with such statements.
fn negate(scope: &mut Scope, block: Block) {
    let in_loops = block.iter().any(|statement| match &statement.kind {
        StatementKind::Each { block, .. } => has_conflicts(block),
        StatementKind::Let(..)
        | StatementKind::Test(_)
        | StatementKind::Not(_)
        | StatementKind::Every { .. }
        | StatementKind::Collect { .. } => false,
    });
    if !in_loops {
        scope.push(StatementKind::Not(block));
        return;
    }
    let var = scope.fresh();
    scope.push(StatementKind::Collect {
        var,
        kind: Collection::Set,
        block,
        key: None,
        value: Operand::Const(Value::Bool(true)),
    });
    let nothing = Operand::Const(Value::new_set());
    scope.test(Expr::Builtin("equal", vec![Operand::Var(var), nothing]));
}

/// Whether a block has statements that may end the evaluation, or whose errors may.
fn has_conflicts(block: &Block) -> bool {
    block.iter().any(|statement| match &statement.kind {
        StatementKind::Let(_, expr) | StatementKind::Test(expr) => match expr {
            Expr::Operand(_)
            | Expr::Path(..)
            | Expr::Array(_)
            | Expr::Set(_)
            | Expr::Object(_)
            | Expr::Replaced(_) => false,
            Expr::Builtin(name, _) => !HARMLESS.contains(name) && !name.starts_with("$is_"),
            Expr::Call(..) | Expr::Rule(_) | Expr::With { .. } => true,
        },
        StatementKind::Not(block)
        | StatementKind::Each { block, .. }
        | StatementKind::Every { block, .. } => has_conflicts(block),
        StatementKind::Collect { kind, block, .. } => match kind {
            Collection::Object => true,
            Collection::Array | Collection::Set => has_conflicts(block),
        },
    })
}
