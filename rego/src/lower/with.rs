//! Statements with `with`: each is evaluated in its own environment, so it becomes a function of
//! the variables that it uses.

use std::collections::HashSet;

use regorus::Value;

use crate::ast::{Expr as Ast, ExprKind, Name, Term, TermValue, With};
use crate::compile::vars::is_wildcard;
use crate::compile::visit::{Flow, Node, walk};
use crate::core::{
    Body, Collection, Definition, Expr, Operand, Replacement, Rule, RuleKind, StatementKind,
    Substitute, Target, Var,
};
use crate::diagnostic::{Code, Diagnostic};

use super::operators::is_equality;
use super::scope::{Scope, part};
use super::targets::WithTarget;
use super::{Lowering, MAX_PARAMETERS, helper};

/// The result of the function of a statement.
enum Results {
    /// Only whether it holds.
    Nothing,
    /// The value of one variable.
    One(Name),
    /// The values of several.
    Several(Vec<Name>),
    /// An array of solutions, each an array of values.
    Solutions(Vec<Name>),
}

impl Lowering<'_> {
    /// A statement with `with`.
    pub(super) fn with(&mut self, scope: &mut Scope, statement: &Ast) -> Result<(), Diagnostic> {
        if is_apart(statement) {
            return self.statement(scope, statement);
        }
        let mut replacements = Vec::new();
        for with in &statement.with {
            replacements.push(self.replacement(scope, with)?);
        }
        let (names, args) = captured(scope, statement);
        let packed = args.len() > MAX_PARAMETERS;
        let parameters = if packed { 1 } else { u32::try_from(args.len()).unwrap_or(u32::MAX) };
        let mut inner = Scope::new(parameters, scope.depth());
        inner.at(statement.span);
        inner.know(scope.known().clone());
        for (name, operand) in &names {
            let operand = match operand {
                Captured::Const(value) => Operand::Const(value.clone()),
                Captured::Arg(place) if packed => inner.operand(part(Var(0), *place)),
                Captured::Arg(place) => {
                    Operand::Var(Var(u32::try_from(*place).unwrap_or(u32::MAX)))
                }
            };
            inner.bind(name, operand);
        }

        let id = self.reserve();
        let (body, results) = self.with_body(&mut inner, statement)?;
        let rule = Rule {
            definitions: vec![Definition { bodies: vec![body] }],
            variables: inner.variables(),
            span: Some(statement.span),
            ..helper("with".to_owned(), RuleKind::Function(parameters))
        };
        self.set(id, rule);

        let args = Self::arguments(scope, args);
        let call = Expr::With { function: id, args, replacements };
        match results {
            Results::Nothing => scope.test(call),
            Results::One(name) => {
                let value = scope.operand(call);
                scope.bind(&name, value);
            }
            Results::Several(names) => {
                let var = scope.fresh();
                scope.push(StatementKind::Let(var, call));
                bind_parts(scope, var, &names);
            }
            Results::Solutions(names) => {
                let solutions = scope.operand(call);
                let (_, solution) = scope.each(solutions)?;
                bind_parts(scope, solution, &names);
            }
        }
        Ok(())
    }

    fn with_body(
        &mut self,
        inner: &mut Scope,
        statement: &Ast,
    ) -> Result<(Body, Results), Diagnostic> {
        let var = inner.fresh();
        let mark = inner.open()?;
        self.statement(inner, statement)?;
        let mut names = inner.bound_since(mark);
        names.retain(|name| !is_wildcard(name));
        let mut outputs: Vec<Operand> =
            names.iter().filter_map(|name| inner.lookup(name).cloned()).collect();
        let span = Some(statement.span);
        if inner.loops_since(mark) {
            let value = inner.operand(Expr::Array(outputs));
            let block = inner.close(mark);
            let kind = Collection::Array;
            inner.push(StatementKind::Collect { var, kind, block, key: None, value });
            let body = Body { block: inner.finish(), key: None, value: Operand::Var(var), span };
            return Ok((body, Results::Solutions(names)));
        }
        let (value, results) = match (names.pop(), outputs.pop()) {
            (Some(name), Some(output)) if names.is_empty() => (output, Results::One(name)),
            (Some(name), Some(output)) => {
                names.push(name);
                outputs.push(output);
                (inner.operand(Expr::Array(outputs)), Results::Several(names))
            }
            (None, _) | (_, None) => (Operand::Const(Value::Bool(true)), Results::Nothing),
        };
        let statements = inner.close(mark);
        let mut block = inner.finish();
        block.extend(statements);
        Ok((Body { block, key: None, value, span }, results))
    }

    fn replacement(&mut self, scope: &mut Scope, with: &With) -> Result<Replacement, Diagnostic> {
        let unknown = || {
            let message = "with keyword target must reference existing input, data, or a function";
            Diagnostic::new(Code::Type, message, with.target.span)
        };
        let target = match self.with_target(&with.target)? {
            WithTarget::Input(path) => Target::Input(path),
            WithTarget::Data(path) => Target::Data(self.targets.path(&path).ok_or_else(unknown)?),
            WithTarget::Function(callee) => {
                let slot = self.targets.function(callee).ok_or_else(unknown)?;
                if let Some(substitute) = self.substitute_of(&with.value) {
                    let value = Substitute::Function(self.callee_rule(substitute));
                    return Ok(Replacement { target: Target::Function(slot), value });
                }
                Target::Function(slot)
            }
        };
        let value = Substitute::Value(self.term(scope, &with.value)?);
        Ok(Replacement { target, value })
    }
}

/// A variable that a statement uses from outside.
enum Captured {
    Const(Value),
    /// The argument at this place.
    Arg(usize),
}

/// The variables that a statement uses from outside, and their values.
fn captured(scope: &Scope, statement: &Ast) -> (Vec<(Name, Captured)>, Vec<Operand>) {
    let mut names = Vec::new();
    let mut args: Vec<Operand> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    walk(Node::Expr(statement), &mut |node| {
        // The values of this statement's own `with` are evaluated outside.
        let is_own = |with| statement.with.iter().any(|own| std::ptr::eq(own, with));
        if matches!(node, Node::With(with) if is_own(with)) {
            return Flow::Over;
        }
        if let Node::Term(Term { value: TermValue::Var(name), .. }) = node
            && seen.insert(name)
        {
            match scope.lookup(name) {
                None => {}
                Some(Operand::Const(value)) => {
                    names.push((Name::clone(name), Captured::Const(value.clone())));
                }
                Some(Operand::Var(var)) => {
                    names.push((Name::clone(name), Captured::Arg(args.len())));
                    args.push(Operand::Var(*var));
                }
            }
        }
        Flow::Into
    });
    (names, args)
}

fn bind_parts(scope: &mut Scope, array: Var, names: &[Name]) {
    for (place, name) in names.iter().enumerate() {
        let value = scope.operand(part(array, place));
        scope.bind(name, value);
    }
}

/// Whether a statement is a `=` of only variables and constants, which does not depend on the
/// environment.
fn is_apart(statement: &Ast) -> bool {
    let ExprKind::Call(terms) = &statement.kind else { return false };
    let Some((operator, operands)) = terms.split_first() else { return false };
    is_equality(operator) && operands.iter().all(is_apart_term)
}

fn is_apart_term(term: &Term) -> bool {
    match &term.value {
        TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => true,
        TermValue::Var(name) => &**name != "input" && &**name != "data",
        TermValue::Array(terms) | TermValue::Set(terms) => terms.iter().all(is_apart_term),
        TermValue::Object(items) => {
            items.iter().all(|(key, value)| is_apart_term(key) && is_apart_term(value))
        }
        TermValue::Ref(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. }
        | TermValue::Call(_)
        | TermValue::TemplateString { .. } => false,
    }
}
