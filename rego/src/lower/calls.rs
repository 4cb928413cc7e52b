//! Calls of functions and built-ins.

use crate::ast::Term;
use crate::builtins::table::declaration;
use crate::core::{Body, Definition, Expr, Operand, Rule, RuleKind, Var};
use crate::diagnostic::{Code, Diagnostic};

use super::nodes::NodeId;
use super::requests::Request;
use super::scope::Scope;
use super::targets::Callee;
use super::unify::is_known;
use super::{Lowering, MAX_PARAMETERS, helper};

impl Lowering<'_> {
    /// A call as a statement. It may have one operand more than parameters, with which its value is
    /// unified.
    pub(super) fn call_statement(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
    ) -> Result<(), Diagnostic> {
        if let Some((callee, [args @ .., output])) = self.with_known_output(scope, terms) {
            let mut args = self.terms(scope, args)?;
            let output = self.term(scope, output)?;
            args.push(output.clone());
            let args = if args.len() > MAX_PARAMETERS {
                vec![scope.operand(Expr::Array(args))]
            } else {
                args
            };
            let value = Expr::Call(self.request(Request::Known(callee)), args);
            let value = scope.operand(value);
            scope.test(Expr::Builtin("equal", vec![value, output]));
            return Ok(());
        }
        let (call, output) = self.call(scope, terms)?;
        match (call, output) {
            (Call::Value(expr), None) => scope.test(expr),
            (Call::Value(expr), Some(output)) => {
                let value = scope.operand(expr);
                self.unify_with(scope, output, value)?;
            }
            (Call::Void(expr), _) => {
                scope.operand(expr);
            }
            (Call::Relation(expr), output) => {
                let all = scope.operand(expr);
                let (_, value) = scope.each(all)?;
                if let Some(output) = output {
                    self.unify_with(scope, output, Operand::Var(value))?;
                }
            }
        }
        Ok(())
    }

    /// The function of a call whose output is known, and the operands. OPA unifies the output with
    /// the value of each head before its body, so a different value does not end a chain of `else`.
    fn with_known_output<'t>(
        &self,
        scope: &Scope,
        terms: &'t [Term],
    ) -> Option<(NodeId, &'t [Term])> {
        let (operator, operands) = terms.split_first()?;
        let callee = self.callee_of(operator)?;
        let Callee::Function(node, arity) = callee else { return None };
        let is_known = operands.len() == arity + 1 && is_known(scope, operands.last()?);
        let is_replaced = self.targets.function(callee).is_some();
        (is_known && !is_replaced).then_some((node, operands))
    }

    /// A call as a value.
    pub(super) fn call_value(
        &mut self,
        scope: &mut Scope,
        terms: &[Term],
    ) -> Result<Expr, Diagnostic> {
        Ok(match self.call(scope, terms)?.0 {
            Call::Value(expr) | Call::Void(expr) => expr,
            Call::Relation(expr) => {
                let all = scope.operand(expr);
                Expr::Operand(Operand::Var(scope.each(all)?.1))
            }
        })
    }

    /// A call, and the operand that is unified with its value.
    fn call<'t>(
        &mut self,
        scope: &mut Scope,
        terms: &'t [Term],
    ) -> Result<(Call, Option<&'t Term>), Diagnostic> {
        let Some((operator, operands)) = terms.split_first() else {
            return Ok((Call::Void(Expr::Array(Vec::new())), None));
        };
        let callee = self
            .callee_of(operator)
            .ok_or_else(|| Diagnostic::new(Code::Type, "undefined function", operator.span))?;
        let arity = match callee {
            Callee::Function(_, parameters) => parameters,
            Callee::Rule(_) => 0,
            Callee::Builtin(name) => {
                declaration(name).map_or(operands.len(), |declaration| {
                    // A call without a value has no output, and `print` takes any number of
                    // operands.
                    if declaration.result.is_none() { operands.len() } else { declaration.arity() }
                })
            }
        };
        let (args, output) = operands.split_at_checked(arity).ok_or_else(|| {
            Diagnostic::new(Code::Type, "function has more parameters", operator.span)
        })?;
        let args: Vec<Operand> =
            args.iter().map(|arg| self.term(scope, arg)).collect::<Result<_, _>>()?;
        let call = match callee {
            Callee::Builtin(name) if self.targets.function(callee).is_none() => {
                let declaration = declaration(name);
                if declaration.is_some_and(|declaration| declaration.relation) {
                    Call::Relation(Expr::Builtin(relation(name), args))
                } else if declaration.is_some_and(|declaration| declaration.result.is_none()) {
                    Call::Void(Expr::Builtin(name, args))
                } else {
                    Call::Value(Expr::Builtin(name, args))
                }
            }
            Callee::Rule(_) => Call::Value(Expr::Rule(self.callee_rule(callee))),
            Callee::Builtin(_) | Callee::Function(..) => {
                Call::Value(Expr::Call(self.callee_rule(callee), args))
            }
        };
        Ok((call, output.first()))
    }

    /// The function that wraps a built-in that some `with` replaces, or that replaces one.
    pub(super) fn builtin(&mut self, name: &'static str) -> Result<Rule, Diagnostic> {
        let arity = declaration(name).map_or(0, |declaration| declaration.arity());
        let parameters = u32::try_from(arity).unwrap_or(u32::MAX);
        let mut scope = Scope::new(parameters, 0);
        let args = (0..parameters).map(|parameter| Operand::Var(Var(parameter))).collect();
        let value = scope.operand(Expr::Builtin(name, args));
        let body = Body { block: scope.finish(), key: None, value, span: None };
        Ok(Rule {
            definitions: vec![Definition { bodies: vec![body] }],
            variables: scope.variables(),
            slot: self.targets.function(Callee::Builtin(name)),
            ..helper(name.to_owned(), RuleKind::Function(parameters))
        })
    }
}

/// A call.
enum Call {
    /// It has a value.
    Value(Expr),
    /// It has no value; evaluation continues with the next statement.
    Void(Expr),
    /// Its value is an array of all outputs.
    Relation(Expr),
}

/// The built-in of this crate that returns all outputs of a relation.
fn relation(name: &'static str) -> &'static str {
    match name {
        "walk" => "$walk",
        other => other,
    }
}
