//! Template strings become calls of `internal.template_string` on arrays of their parts, where every
//! part that may be undefined is a set of at most one value. OPA's `RewriteTemplateStrings`.

use std::collections::BTreeMap;

use crate::ast::{Every, Expr, ExprKind, Head, Module, Name, Rule, TemplatePart, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::Compiler;
use super::arity::{Functions, builtin};
use super::heads::is_empty_body;
use super::locals::{LocalGenerator, equality, operator};
use super::outputs::outputs_of_body;
use super::text;
use super::tree::RuleTree;
use super::vars::{Skip, VarSet, vars_of_term, vars_of_terms};
use super::visit::{Flow, Node, NodeMut, any_term, is_comprehension, is_ground, walk_mut};

/// Rewrites all modules.
pub(crate) fn rewrite_template_strings(compiler: &mut Compiler<'_>) {
    let Compiler { modules, locals, rewritten, errors, tree, parameters, .. } = compiler;
    let defined = DefinedRules::new(modules, tree);
    let functions = Functions { tree, parameters };
    let mut templates =
        Templates { locals, rewritten, functions, defined: &defined, errors: Vec::new() };
    for rule in modules.iter_mut().flat_map(|module| &mut module.rules) {
        let mut next = Some(rule);
        while let Some(rule) = next {
            if has_template(Node::Head(&rule.head)) || has_template(Node::Body(&rule.body)) {
                templates.rule(rule);
                errors.report(templates.errors.drain(..));
            }
            next = rule.else_rule.as_deref_mut();
        }
    }
}

fn has_template(node: Node<'_>) -> bool {
    any_term(node, |term| matches!(term.value, TermValue::TemplateString { .. }))
}

/// The rules that are never undefined: they have a default, are sets, or are constants.
struct DefinedRules<'a> {
    tree: &'a RuleTree,
    /// By module and position.
    facts: Vec<Vec<Facts>>,
}

#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a rule")]
struct Facts {
    is_function: bool,
    is_default: bool,
    is_set: bool,
    is_constant: bool,
}

impl<'a> DefinedRules<'a> {
    fn new(modules: &[Module], tree: &'a RuleTree) -> Self {
        let facts = |rule: &Rule| Facts {
            is_function: rule.head.args.as_ref().is_some_and(|args| !args.is_empty()),
            is_default: rule.is_default,
            is_set: rule.head.value.is_none(),
            is_constant: is_constant_rule(rule),
        };
        let of_module = |module: &Module| module.rules.iter().map(facts).collect();
        Self { tree, facts: modules.iter().map(of_module).collect() }
    }

    fn contains(&self, reference: &[Term]) -> bool {
        let Some(node) = self.tree.find(reference) else { return false };
        let mut facts = node.rules.iter().filter_map(|rule| {
            self.facts.get(rule.module).and_then(|rules| rules.get(rule.rule)).copied()
        });
        let Some(first) = facts.next() else { return false };
        if first.is_function || reference.len() < 2 {
            return false;
        }
        if first.is_default || first.is_set {
            return true;
        }
        if node.rules.len() == 1 { first.is_constant } else { facts.any(|facts| facts.is_default) }
    }
}

fn is_constant_rule(rule: &Rule) -> bool {
    is_empty_body(&rule.body)
        && rule.head.value.as_ref().is_some_and(|value| match &value.value {
            TermValue::Null
            | TermValue::Bool(_)
            | TermValue::Number(_)
            | TermValue::String(_)
            | TermValue::Var(_) => true,
            TermValue::Array(_) | TermValue::Object(_) | TermValue::Set(_) => {
                is_ground(&value.value)
            }
            TermValue::Ref(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => false,
        })
}

struct Templates<'a> {
    locals: &'a mut LocalGenerator,
    rewritten: &'a BTreeMap<Name, Name>,
    functions: Functions<'a>,
    defined: &'a DefinedRules<'a>,
    errors: Vec<Diagnostic>,
}

impl Templates<'_> {
    fn rule(&mut self, rule: &mut Rule) {
        let mut safe = vars_of_terms(rule.head.args.iter().flatten(), Skip::default());
        safe.update(&VarSet::reserved());
        let safe = self.body(&safe, &mut rule.body);
        let Rule { head, .. } = rule;
        self.head(&safe, head);
    }

    /// Rewrites a body, and returns the variables that are bound in it.
    fn body(&mut self, outer: &VarSet, body: &mut Vec<Expr>) -> VarSet {
        let mut safe = outputs_of_body(&*body, self.functions, outer);
        safe.update(outer);
        self.below(&safe, NodeMut::Body(body));
        safe
    }

    fn head(&mut self, safe: &VarSet, head: &mut Head) {
        self.below(safe, NodeMut::Head(head));
    }

    /// Rewrites the template strings under a node. Closures are visited with the variables that
    /// they bind, and then again, with the rest, with those that are bound outside: a template
    /// string that is not rewritten by then is an error, as in OPA. Unlike OPA, closures without
    /// template strings are skipped, and all are once there are more errors than are reported: the
    /// time would double with every nested closure.
    fn below(&mut self, safe: &VarSet, node: NodeMut<'_>) {
        walk_mut(node, &mut |node| {
            if self.errors.len() >= super::errors::LIMIT {
                return Flow::Over;
            }
            match node {
                NodeMut::Term(term) => {
                    self.template(safe, term);
                    if is_comprehension(&term.value) {
                        if !has_template(Node::Term(term)) {
                            return Flow::Over;
                        }
                        self.comprehension(safe, &mut term.value);
                    }
                }
                NodeMut::Every(every) => {
                    if !has_template(Node::Every(every)) {
                        return Flow::Over;
                    }
                    self.every(safe, every);
                }
                NodeMut::Rule(_)
                | NodeMut::Head(_)
                | NodeMut::Body(_)
                | NodeMut::Expr(_)
                | NodeMut::Not(_)
                | NodeMut::Logical(_)
                | NodeMut::With(_) => {}
            }
            Flow::Into
        });
    }

    fn comprehension(&mut self, safe: &VarSet, value: &mut TermValue) {
        match value {
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                let safe = self.body(safe, body);
                self.template(&safe, term);
            }
            TermValue::ObjectComprehension { key, value, body } => {
                let safe = self.body(safe, body);
                self.template(&safe, key);
                self.template(&safe, value);
            }
            _ => {}
        }
    }

    fn every(&mut self, safe: &VarSet, every: &mut Every) {
        self.template(safe, &mut every.domain);
        let mut safe = safe.clone();
        let names = every.key.iter().chain([&every.value]);
        safe.update(&vars_of_terms(names, Skip::default()));
        self.body(&safe, &mut every.body);
    }

    /// Rewrites a term that is a template string.
    fn template(&mut self, safe: &VarSet, term: &mut Term) {
        let TermValue::TemplateString { parts, .. } = &term.value else { return };
        let before = self.errors.len();
        let span = term.span;
        let mut elements: Vec<_> = parts.iter().filter_map(|part| self.part(safe, part)).collect();
        if parts.is_empty() {
            elements.push(Term { value: TermValue::String("".into()), span });
        }
        if self.errors.len() == before {
            let array = Term { value: TermValue::Array(elements), span };
            term.value = TermValue::Call(vec![operator("internal.template_string", span), array]);
        }
    }

    fn error(&mut self, message: String, span: Span) {
        self.errors.push(Diagnostic::new(Code::Compile, message, span));
    }

    fn part(&mut self, safe: &VarSet, part: &TemplatePart) -> Option<Term> {
        let expr = match part {
            TemplatePart::Text(term) => return Some(term.clone()),
            TemplatePart::Expr(expr) => expr,
        };
        let term = match &expr.kind {
            ExprKind::Call(terms) => {
                if let Some(TermValue::Ref(name)) = terms.first().map(|operator| &operator.value)
                    && let Some(relation) = builtin(name).filter(|builtin| builtin.relation)
                {
                    let message = format!(
                        "illegal call to relation built-in '{}' that may cause multiple outputs",
                        relation.name
                    );
                    self.error(message, expr.span);
                    return None;
                }
                Term { value: TermValue::Call(terms.clone()), span: expr.span }
            }
            ExprKind::Term(term) => term.clone(),
            ExprKind::Some(_) => return self.no_value("*ast.SomeDecl", expr.span),
            ExprKind::Every(_) => return self.no_value("*ast.Every", expr.span),
            ExprKind::Not(_) => return self.no_value("*ast.Not", expr.span),
            ExprKind::And(_) => return self.no_value("*ast.LogicalAnd", expr.span),
            ExprKind::Or(_) => return self.no_value("*ast.LogicalOr", expr.span),
        };
        let span = term.span;
        let is_defined = match &term.value {
            TermValue::Ref(reference) => self.defined.contains(reference),
            value => matches!(value, TermValue::Var(_)),
        };
        if is_defined {
            return Some(Term { value: TermValue::Set(vec![term]), span });
        }
        for var in vars_of_term(&term, Skip::SAFETY).diff(safe).iter() {
            let name = self.rewritten.get(var).unwrap_or(var);
            self.error(format!("var {} is undeclared", text::of_var(name)), span);
        }
        let local = self.locals.generate_term(span);
        let mut capture = equality(local.clone(), term, span);
        capture.with.clone_from(&expr.with);
        let value = TermValue::SetComprehension { term: Box::new(local), body: vec![capture] };
        Some(Term { value, span })
    }

    fn no_value(&mut self, kind: &str, span: Span) -> Option<Term> {
        self.error(format!("unexpected template-string expression type: {kind}"), span);
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::{body_after, errors};

    #[test]
    fn a_part_that_may_be_undefined_is_a_set() {
        let text = "package t\ndefault d := 1\np if { x := 1; $\"a {x} {d} {input.y}\" }";
        assert_eq!(
            body_after("RewriteTemplateStrings", text),
            "__local0__ = 1; internal.template_string([\"a \", {__local0__}, \" \", {data.t.d}, \" \", \
             {__local1__ | __local1__ = input.y}])"
        );
    }

    #[test]
    fn a_part_has_one_value_and_declared_variables() {
        assert_eq!(
            errors(&["package t\np := $\"{walk(input)}\""]),
            [
                "a.rego:2:9 rego_compile_error: illegal call to relation built-in 'walk' that may cause multiple outputs"
            ]
        );
        assert_eq!(
            errors(&["package t\np := $\"{x + 1}\""]),
            ["a.rego:2:9 rego_compile_error: var x is undeclared"]
        );
    }
}
