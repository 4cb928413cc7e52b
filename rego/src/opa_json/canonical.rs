//! A syntax tree as text for comparisons: generated variables are named in order of first use.
//!
//! Places are left out, and so are facts that OPA's JSON lacks. Objects and sets keep their order.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::ast::{
    Body, Expr, ExprKind, Head, Logical, Module, Rule, TemplatePart, Term, TermValue,
};

/// The prefix of generated variables' names.
const GENERATED: &str = "__local";

/// A module as text, one rule on each line.
#[must_use]
pub fn module(module: &Module) -> String {
    let mut writer = Writer::default();
    writer.terms("package", &module.package.path);
    for import in &module.imports {
        writer.text.push_str("\nimport ");
        writer.term(&import.path);
        writer.text.push_str(import.alias.as_deref().unwrap_or_default());
    }
    for rule in &module.rules {
        writer.text.push('\n');
        writer.names.clear();
        writer.rule(rule);
    }
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
    names: HashMap<String, usize>,
}

impl Writer {
    fn rule(&mut self, rule: &Rule) {
        let mut chain = Some(rule);
        while let Some(rule) = chain {
            self.text.push_str(if rule.is_default { "(default " } else { "(rule " });
            self.head(&rule.head);
            self.body(&rule.body);
            self.text.push(')');
            chain = rule.else_rule.as_deref();
            if chain.is_some() {
                self.text.push_str(" else ");
            }
        }
    }

    fn head(&mut self, head: &Head) {
        self.terms("head", &head.reference);
        if let Some(args) = head.args.as_ref().filter(|args| !args.is_empty()) {
            self.terms("args", args);
        }
        for (name, term) in [(" key ", &head.key), (" value ", &head.value)] {
            if let Some(term) = term {
                self.text.push_str(name);
                self.term(term);
            }
        }
        self.text.push_str(if head.assign { " :=" } else { "" });
    }

    fn body(&mut self, body: &Body) {
        self.text.push('{');
        for expr in body {
            self.expr(expr);
            self.text.push(';');
        }
        self.text.push('}');
    }

    fn expr(&mut self, expr: &Expr) {
        for (is, word) in [
            (expr.negated, "not "),
            (expr.generated, "generated "),
            (expr.from_assignment, "assigned "),
        ] {
            self.text.push_str(if is { word } else { "" });
        }
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => self.terms("call", terms),
            ExprKind::Some(symbols) => self.terms("some", symbols),
            ExprKind::Every(every) => {
                self.text.push_str("every ");
                if let Some(key) = &every.key {
                    self.term(key);
                }
                self.text.push(',');
                self.term(&every.value);
                self.text.push_str(" in ");
                self.term(&every.domain);
                self.body(&every.body);
            }
            ExprKind::Not(not) => {
                self.text.push_str(if not.explicit { "not-block" } else { "not-implicit" });
                self.body(&not.body);
            }
            ExprKind::And(logical) => self.logical("and", logical),
            ExprKind::Or(logical) => self.logical("or", logical),
        }
        for with in &expr.with {
            self.text.push_str(" with ");
            self.term(&with.target);
            self.text.push_str(" as ");
            self.term(&with.value);
        }
    }

    fn logical(&mut self, word: &str, logical: &Logical) {
        let _ = write!(self.text, "{word} {} {}", logical.explicit_left, logical.explicit_right);
        self.body(&logical.left);
        self.body(&logical.right);
    }

    fn terms(&mut self, word: &str, terms: &[Term]) {
        self.text.push('(');
        self.text.push_str(word);
        for term in terms {
            self.text.push(' ');
            self.term(term);
        }
        self.text.push(')');
    }

    fn term(&mut self, term: &Term) {
        match &term.value {
            TermValue::Null => self.text.push_str("null"),
            TermValue::Bool(value) => _ = write!(self.text, "{value}"),
            TermValue::Number(number) => self.text.push_str(number),
            TermValue::String(string) => _ = write!(self.text, "{string:?}"),
            TermValue::Var(name) => self.var(name),
            TermValue::Ref(terms) => self.terms("ref", terms),
            TermValue::Array(terms) => self.terms("array", terms),
            TermValue::Set(terms) => self.terms("set", terms),
            TermValue::Call(terms) => self.terms("term-call", terms),
            TermValue::Object(pairs) => {
                self.text.push_str("(object");
                for (key, value) in pairs {
                    self.text.push(' ');
                    self.term(key);
                    self.text.push_str(": ");
                    self.term(value);
                }
                self.text.push(')');
            }
            TermValue::ArrayComprehension { term, body } => {
                self.comprehension("array-of", [Some(term), None], body);
            }
            TermValue::SetComprehension { term, body } => {
                self.comprehension("set-of", [Some(term), None], body);
            }
            TermValue::ObjectComprehension { key, value, body } => {
                self.comprehension("object-of", [Some(key), Some(value)], body);
            }
            TermValue::TemplateString { parts, .. } => {
                self.text.push_str("(template");
                for part in parts {
                    self.text.push(' ');
                    match part {
                        TemplatePart::Text(term) => self.term(term),
                        TemplatePart::Expr(expr) => self.expr(expr),
                    }
                }
                self.text.push(')');
            }
        }
    }

    fn comprehension(&mut self, word: &str, terms: [Option<&Term>; 2], body: &Body) {
        self.text.push('(');
        self.text.push_str(word);
        for term in terms.into_iter().flatten() {
            self.text.push(' ');
            self.term(term);
        }
        self.body(body);
        self.text.push(')');
    }

    fn var(&mut self, name: &str) {
        if name.starts_with(GENERATED) {
            let next = self.names.len();
            let number = *self.names.entry(name.to_owned()).or_insert(next);
            let _ = write!(self.text, "%{number}");
        } else {
            self.text.push_str(name);
        }
    }
}
