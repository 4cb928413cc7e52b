//! `print` is a statement, and prints undefined operands too. OPA's `CheckVoidCalls` and
//! `RewritePrintCalls`.

use std::collections::BTreeMap;

use crate::ast::{Body, Expr, ExprKind, Name, Rule, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::arity::{Functions, builtin};
use super::locals::{LocalGenerator, equality, operator, statement};
use super::outputs::outputs_of_expr;
use super::text;
use super::text::is_operator;
use super::vars::{Skip, VarSet, is_generated, vars_of_expr, vars_of_term, vars_of_terms};
use super::visit::{Flow, Node, NodeMut, is_closure, rules, walk, walk_mut, walk_terms};

/// A call without a result is not a value.
pub(crate) fn check_void_calls(compiler: &mut Compiler<'_>) {
    let Compiler { modules, errors, .. } = compiler;
    for module in modules {
        let mut found = Vec::new();
        let mut check = |term: &Term| {
            if let TermValue::Call(terms) = &term.value
                && let Some(TermValue::Ref(name)) = terms.first().map(|operator| &operator.value)
                && builtin(name).is_some_and(|builtin| builtin.result.is_none())
            {
                let message = format!("{} used as value", text::of_call(terms));
                found.push(
                    Diagnostic::new(Code::Type, message, term.span)
                        .with_help("print is a statement: write it on a line of its own"),
                );
            }
            Flow::Into
        };
        for rule in rules(module) {
            walk_terms(Node::Head(&rule.head), &mut check);
            walk_terms(Node::Body(&rule.body), &mut check);
        }
        errors.report(found);
    }
}

/// Each operand of `print` becomes a set of at most one value.
pub(crate) fn rewrite_print_calls(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, rewritten, errors, tree, parameters, .. } = compiler;
    let functions = Functions { tree, parameters };
    let mut prints = Prints { locals, rewritten, functions };
    for rule in modules.iter_mut().flat_map(|module| &mut module.rules) {
        let mut next = Some(rule);
        while let Some(rule) = next {
            if has_print(rule) {
                let mut safe = VarSet::reserved();
                safe.update(&vars_of_terms(rule.head.args.iter().flatten(), Skip::default()));
                for node in [NodeMut::Head(&mut rule.head), NodeMut::Body(&mut rule.body)] {
                    // Every body is visited separately too, to reach comprehensions within terms of
                    // other bodies.
                    walk_mut(node, &mut |node| {
                        let NodeMut::Body(body) = node else { return Flow::Into };
                        match prints.body(&safe, body) {
                            Ok(()) => Flow::Into,
                            Err(found) => {
                                errors.report(found);
                                Flow::Over
                            }
                        }
                    });
                }
            }
            next = rule.else_rule.as_deref_mut();
        }
    }
}

fn is_print(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(terms) if terms.first().is_some_and(|operator| is_operator(operator, "print")))
}

fn has_print(rule: &Rule) -> bool {
    let mut found = false;
    for node in [Node::Head(&rule.head), Node::Body(&rule.body)] {
        walk(node, &mut |node| {
            found |= matches!(node, Node::Expr(expr) if is_print(expr));
            if found { Flow::Over } else { Flow::Into }
        });
    }
    found
}

struct Prints<'a> {
    locals: &'a mut LocalGenerator,
    rewritten: &'a BTreeMap<Name, Name>,
    functions: Functions<'a>,
}

impl Prints<'_> {
    fn body(&mut self, outer: &VarSet, body: &mut Body) -> Result<(), Vec<Diagnostic>> {
        let mut bound = outer.clone();
        let mut scratch = VarSet::default();
        for expr in &mut *body {
            if has_closure(expr) {
                self.closures(&mut bound.clone(), expr)?;
            }
            bound.update(&outputs_of_expr(expr, self.functions, &bound, &mut scratch));
        }
        let mut bound = outer.clone();
        let mut scratch = VarSet::default();
        let mut generated = VarSet::default();
        for expr in body {
            if is_print(expr) {
                self.print(&bound, &generated, expr)?;
            }
            bound.update(&outputs_of_expr(expr, self.functions, &bound, &mut scratch));
            let vars = vars_of_expr(expr, Skip::default());
            vars.iter().filter(|var| is_generated(var)).for_each(|var| generated.add(var));
        }
        Ok(())
    }

    /// Visits the outermost closures of a statement.
    fn closures(&mut self, safe: &mut VarSet, expr: &mut Expr) -> Result<(), Vec<Diagnostic>> {
        let mut errors = Vec::new();
        walk_mut(NodeMut::Expr(expr), &mut |node| {
            let bodies = match node {
                NodeMut::Every(every) => {
                    let names = every.key.iter().chain([&every.value]);
                    safe.update(&vars_of_terms(names, Skip::default()));
                    [Some(&mut every.body), None]
                }
                NodeMut::Not(not) => [Some(&mut not.body), None],
                NodeMut::Logical(logical) => [Some(&mut logical.left), Some(&mut logical.right)],
                NodeMut::Term(term) => match &mut term.value {
                    TermValue::ArrayComprehension { body, .. }
                    | TermValue::SetComprehension { body, .. }
                    | TermValue::ObjectComprehension { body, .. } => [Some(body), None],
                    _ => return Flow::Into,
                },
                NodeMut::Rule(_)
                | NodeMut::Head(_)
                | NodeMut::Body(_)
                | NodeMut::Expr(_)
                | NodeMut::With(_) => return Flow::Into,
            };
            for body in bodies.into_iter().flatten() {
                if let Err(found) = self.body(safe, body) {
                    errors.extend(found);
                }
            }
            Flow::Over
        });
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn print(
        &mut self,
        bound: &VarSet,
        generated: &VarSet,
        expr: &mut Expr,
    ) -> Result<(), Vec<Diagnostic>> {
        let span = expr.span;
        let ExprKind::Call(terms) = &mut expr.kind else { return Ok(()) };
        let mut errors = Vec::new();
        for operand in terms.iter().skip(1) {
            for var in vars_of_term(operand, Skip::SAFETY).diff(bound).diff(generated).iter() {
                let name = self.rewritten.get(var).unwrap_or(var);
                let message = format!("var {} is undeclared", text::of_var(name));
                errors.push(Diagnostic::new(Code::Compile, message, operand.span));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let operands = std::mem::take(terms).into_iter().skip(1).map(|operand| {
            let span = operand.span;
            let local = self.locals.generate_term(span);
            let capture = equality(local.clone(), operand, span);
            let value = TermValue::SetComprehension { term: Box::new(local), body: vec![capture] };
            Term { value, span }
        });
        let array = Term { value: TermValue::Array(operands.collect()), span };
        *expr = statement(ExprKind::Call(vec![operator("internal.print", span), array]), span);
        Ok(())
    }
}

fn has_closure(expr: &Expr) -> bool {
    let mut found = false;
    walk(Node::Expr(expr), &mut |node| {
        found |= is_closure(node);
        if found { Flow::Over } else { Flow::Into }
    });
    found
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{body_after, errors};

    #[test]
    fn print_is_no_value() {
        assert_eq!(
            errors(&["package t\np := print(1)"]),
            ["a.rego:2:6 rego_type_error: print(1) used as value"]
        );
    }

    #[test]
    fn what_is_printed_may_be_undefined() {
        assert_eq!(
            body_after("RewritePrintCalls", "package t\np if { print(\"x\", input.x) }"),
            "internal.print([{__local0__ | __local0__ = \"x\"}, {__local1__ | __local1__ = input.x}])"
        );
    }

    #[test]
    fn what_is_printed_is_declared() {
        assert_eq!(
            errors(&["package t\np if { print(x); x = 1 }"]),
            ["a.rego:2:14 rego_compile_error: var x is undeclared"]
        );
    }
}
