//! Calls within terms become separate statements, with a local for the result. OPA's
//! `RewriteExprTerms`.

use std::collections::BTreeMap;

use crate::ast::{Body, Expr, ExprKind, Name, Rule, Term, TermValue};

use super::Compiler;
use super::heads::append;
use super::locals::{LocalGenerator, equality, statement};
use super::order::{sort_object, sort_set};
use super::visit::is_comprehension;

/// Rewrites all modules.
pub(crate) fn rewrite_expr_terms(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, subjects, .. } = compiler;
    let mut flattener = Flattener { locals, subjects };
    for rule in modules.iter_mut().flat_map(|module| &mut module.rules) {
        let mut next = Some(rule);
        while let Some(rule) = next {
            flattener.rule(rule);
            next = rule.else_rule.as_deref_mut();
        }
    }
}

struct Flattener<'a> {
    locals: &'a mut LocalGenerator,
    /// The term that messages show for a local at the head of a reference.
    subjects: &'a mut BTreeMap<Name, TermValue>,
}

impl Flattener<'_> {
    fn rule(&mut self, rule: &mut Rule) {
        let head = &mut rule.head;
        let terms = head.args.iter_mut().flatten().chain(&mut head.key).chain(&mut head.value);
        for term in terms {
            let support = self.term(term);
            append(&mut rule.body, support);
        }
        self.body(&mut rule.body);
    }

    fn body(&mut self, body: &mut Body) {
        let mut flat = Body::with_capacity(body.len());
        for expr in std::mem::take(body) {
            self.expr(expr, &mut flat);
        }
        *body = flat;
    }

    /// Adds a statement to a body, after those that it needs.
    fn expr(&mut self, mut expr: Expr, flat: &mut Body) {
        for with in &mut expr.with {
            flat.extend(self.term(&mut with.value));
        }
        let support = match &mut expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => {
                terms.iter_mut().skip(1).flat_map(|term| self.term(term)).collect()
            }
            ExprKind::Every(every) => {
                let span = every.domain.span;
                let local = self.locals.generate_term(span);
                let domain = std::mem::replace(&mut every.domain, local.clone());
                let mut capture = equality(local, domain, span);
                capture.generated = true;
                capture.with.clone_from(&expr.with);
                self.expr(capture, flat);
                self.body(&mut every.body);
                Vec::new()
            }
            ExprKind::Not(not) => {
                self.body(&mut not.body);
                Vec::new()
            }
            ExprKind::And(logical) | ExprKind::Or(logical) => {
                self.body(&mut logical.left);
                self.body(&mut logical.right);
                Vec::new()
            }
            // Declarations have been rewritten before.
            ExprKind::Some(_) => Vec::new(),
        };
        flat.extend(support.into_iter().map(|mut support| {
            support.with.clone_from(&expr.with);
            support
        }));
        flat.push(expr);
    }

    /// Takes the calls out of a term, and returns the statements with them.
    fn term(&mut self, term: &mut Term) -> Vec<Expr> {
        let span = term.span;
        match &mut term.value {
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_)
            | TermValue::TemplateString { .. } => Vec::new(),
            TermValue::Call(terms) => {
                let mut support: Vec<_> =
                    terms.iter_mut().skip(1).flat_map(|term| self.term(term)).collect();
                let local = self.locals.generate_term(span);
                let mut terms = std::mem::take(terms);
                terms.push(local.clone());
                let mut call = statement(ExprKind::Call(terms), span);
                call.generated = true;
                support.push(call);
                *term = local;
                support
            }
            TermValue::Ref(terms) => self.reference(terms),
            TermValue::Array(terms) => terms.iter_mut().flat_map(|term| self.term(term)).collect(),
            TermValue::Set(members) => {
                let support = members.iter_mut().flat_map(|member| self.term(member)).collect();
                sort_set(members);
                support
            }
            TermValue::Object(pairs) => {
                let terms = pairs.iter_mut().flat_map(|(key, value)| [key, value]);
                let support = terms.flat_map(|term| self.term(term)).collect();
                sort_object(pairs);
                support
            }
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                let support = self.term(term);
                append(body, support);
                self.body(body);
                Vec::new()
            }
            TermValue::ObjectComprehension { key, value, body } => {
                let support = self.term(key);
                append(body, support);
                let support = self.term(value);
                append(body, support);
                self.body(body);
                Vec::new()
            }
        }
    }

    /// The head of a reference becomes a variable where it is a collection or a call.
    fn reference(&mut self, terms: &mut [Term]) -> Vec<Expr> {
        let mut support = Vec::new();
        for term in &mut *terms {
            let call = matches!(term.value, TermValue::Call(_)).then(|| term.value.clone());
            support.extend(self.term(term));
            if let Some(call) = call
                && let TermValue::Var(local) = &term.value
            {
                self.subjects.insert(Name::clone(local), call);
            }
        }
        if let Some(head) = terms.first_mut() {
            let is_collection = matches!(
                head.value,
                TermValue::Array(_) | TermValue::Object(_) | TermValue::Set(_)
            );
            if is_collection || is_comprehension(&head.value) {
                let subject = head.value.clone();
                let value = Term { value: TermValue::Null, span: head.span };
                let (local, capture) = self.locals.capture(std::mem::replace(head, value));
                if let TermValue::Var(name) = &local.value {
                    self.subjects.insert(Name::clone(name), subject);
                }
                *head = local;
                support.push(capture);
            }
        }
        support
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::body_after;

    fn flat(body: &str) -> String {
        body_after("RewriteExprTerms", &format!("package t\np if {{ {body} }}"))
    }

    #[test]
    fn calls_in_terms_become_statements() {
        assert_eq!(
            flat("x := count([sum(input.a)]) + 1"),
            "sum(input.a, __local1__); count([__local1__], __local2__); \
             plus(__local2__, 1, __local3__); __local0__ = __local3__"
        );
    }

    #[test]
    fn calls_of_comprehensions_stay_in_them() {
        assert_eq!(
            flat("x = [count(y) | y = input.a]"),
            "x = [__local0__ | y = input.a; count(y, __local0__)]"
        );
    }

    #[test]
    fn a_reference_begins_with_a_variable() {
        assert_eq!(flat("[1, 2][i] = 1"), "__local0__ = [1, 2]; __local0__[i] = 1");
    }

    #[test]
    fn what_a_statement_needs_has_its_with() {
        assert_eq!(
            flat("count(input.x) > 1 with input.x as upper(\"a\")"),
            "upper(\"a\", __local0__); count(input.x, __local1__) with input.x as __local0__; \
             gt(__local1__, 1) with input.x as __local0__"
        );
    }
}
