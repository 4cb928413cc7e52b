//! References and comprehensions in operands are bound before the statement, so that operands are
//! variables and constants. OPA's `RewriteDynamicTerms`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::ast::{Body, Expr, ExprKind, Name, Term, TermValue, With};

use super::Compiler;
use super::locals::LocalGenerator;
use super::order::{sort_object, sort_set};
use super::outputs::is_equality;
use super::visit::rules_mut;

/// Rewrites every body.
pub(crate) fn rewrite_dynamic_terms(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, subjects, .. } = compiler;
    let mut rewriter = Rewriter { locals, subjects };
    for module in modules {
        let _: ControlFlow<()> = rules_mut(module, |rule| {
            rewriter.body(&mut rule.body);
            ControlFlow::Continue(())
        });
    }
}

struct Rewriter<'a> {
    locals: &'a mut LocalGenerator,
    /// The term that messages about types show for a local.
    subjects: &'a mut BTreeMap<Name, TermValue>,
}

/// The place for statements that bind operands.
struct Before<'a> {
    body: &'a mut Body,
    /// The statement's `with`, which its operands are evaluated under too.
    with: &'a [With],
}

impl Rewriter<'_> {
    fn body(&mut self, body: &mut Body) {
        let mut rewritten = Vec::with_capacity(body.len());
        for mut expr in std::mem::take(body) {
            self.expr(&mut expr, &mut rewritten);
            rewritten.push(expr);
        }
        *body = rewritten;
    }

    fn expr(&mut self, expr: &mut Expr, body: &mut Body) {
        let is_equality = is_equality(expr);
        let before = &mut Before { body, with: &expr.with };
        match &mut expr.kind {
            ExprKind::Call(terms) if is_equality => {
                // OPA leaves an equality with a different number of operands unchanged.
                if let [_, left, right] = terms.as_mut_slice() {
                    self.side(left, before);
                    self.side(right, before);
                }
            }
            ExprKind::Call(terms) => {
                for operand in terms.iter_mut().skip(1) {
                    self.operand(operand, before);
                }
            }
            ExprKind::Every(every) => {
                self.operand(&mut every.domain, before);
                self.body(&mut every.body);
            }
            ExprKind::Not(not) => self.body(&mut not.body),
            ExprKind::And(logical) | ExprKind::Or(logical) => {
                self.body(&mut logical.left);
                self.body(&mut logical.right);
            }
            ExprKind::Term(term) => self.side(term, before),
            ExprKind::Some(_) => {}
        }
    }

    /// A term that may be a reference or comprehension itself.
    fn side(&mut self, term: &mut Term, before: &mut Before<'_>) {
        match &mut term.value {
            TermValue::Ref(keys) => {
                for key in keys.iter_mut().skip(1) {
                    self.operand(key, before);
                }
            }
            TermValue::ArrayComprehension { body, .. }
            | TermValue::SetComprehension { body, .. }
            | TermValue::ObjectComprehension { body, .. } => self.body(body),
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::Array(_)
            | TermValue::Object(_)
            | TermValue::Set(_)
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => self.operand(term, before),
        }
    }

    /// A term that must not be a reference or comprehension.
    fn operand(&mut self, term: &mut Term, before: &mut Before<'_>) {
        match &mut term.value {
            TermValue::Ref(keys) => {
                for key in keys.iter_mut().skip(1) {
                    self.operand(key, before);
                }
                self.bind(term, before);
            }
            TermValue::Array(terms) => {
                for term in terms {
                    self.operand(term, before);
                }
            }
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    self.operand(key, before);
                    self.operand(value, before);
                }
                sort_object(pairs);
            }
            TermValue::Set(members) => {
                for member in &mut *members {
                    self.operand(member, before);
                }
                sort_set(members);
            }
            TermValue::ArrayComprehension { body, .. }
            | TermValue::SetComprehension { body, .. }
            | TermValue::ObjectComprehension { body, .. } => {
                self.body(body);
                self.bind(term, before);
            }
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => {}
        }
    }

    /// Binds a term to a local before the statement, and replaces it by the local.
    fn bind(&mut self, term: &mut Term, before: &mut Before<'_>) {
        let span = term.span;
        let value = std::mem::replace(term, Term { value: TermValue::Null, span });
        let subject = value.value.clone();
        let (local, mut statement) = self.locals.capture(value);
        if let TermValue::Var(name) = &local.value {
            self.subjects.insert(Name::clone(name), subject);
        }
        statement.with = before.with.to_vec();
        before.body.push(statement);
        *term = local;
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::body_after;

    fn flat(rule: &str) -> String {
        body_after("RewriteDynamicTerms", &format!("package t\n{rule}"))
    }

    #[test]
    fn operands_are_variables_and_constants() {
        assert_eq!(
            flat("p if startswith(input.a, \"x\")"),
            "__local0__ = input.a; startswith(__local0__, \"x\")"
        );
        assert_eq!(
            flat("p if input.a[data.b] == [input.c, 1]"),
            "__local0__ = data.b; __local1__ = input.c; input.a[__local0__] = [__local1__, 1]"
        );
    }

    #[test]
    fn operands_are_evaluated_under_the_statements_with() {
        assert_eq!(
            flat("p if startswith(input.a, \"x\") with input as {\"a\": 1}"),
            "__local0__ = input.a with input as {\"a\": 1}; startswith(__local0__, \"x\") with input as {\"a\": 1}"
        );
    }
}
