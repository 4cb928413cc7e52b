//! Our syntax trees as OPA's JSON, byte for byte what `opa parse --format json` prints with locations.
//!
//! Two things of OPA's cannot be compared and are left out: comments, which our tree does not keep,
//! and the `name` of a head, which OPA sets beside the reference or not depending on how a rule is
//! written (`opa-oracle` leaves them out for `"comparable": true`).

use std::fmt::Write as _;

use serde_json::Value;

use crate::ast::{
    Annotations, Body, Every, Expr, ExprKind, Head, Import, Logical, Module, Package, Rule,
    TemplatePart, Term, TermValue, With,
};
use crate::compile::{order, text};
use crate::source::{Sources, Span};

/// A module as OPA's JSON.
#[must_use]
pub fn module(sources: &Sources, module: &Module) -> String {
    let mut module = module.clone();
    order::sort_collections(&mut module);
    let mut writer = Writer { sources, annotations: &module.annotations, text: String::new() };
    writer.module(&module);
    writer.text
}

struct Writer<'a> {
    sources: &'a Sources,
    annotations: &'a [Annotations],
    text: String,
}

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A list in brackets.
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.raw("[");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn location(&mut self, span: Span) {
        let location = self.sources.location(span);
        self.raw("{\"file\":");
        write_string(&mut self.text, &location.file);
        let _ = write!(self.text, ",\"row\":{},\"col\":{}}}", location.row, location.col);
    }

    fn module(&mut self, module: &Module) {
        self.raw("{\"package\":");
        self.package(&module.package);
        if !module.imports.is_empty() {
            self.raw(",\"imports\":");
            self.list(&module.imports, Self::import);
        }
        if !module.annotations.is_empty() {
            self.raw(",\"annotations\":");
            self.list(&module.annotations, Self::annotation);
        }
        if !module.rules.is_empty() {
            self.raw(",\"rules\":");
            self.list(&module.rules, Self::rule);
        }
        self.raw("}");
    }

    fn package(&mut self, package: &Package) {
        self.raw("{\"location\":");
        self.location(package.span);
        self.raw(",\"path\":");
        self.list(&package.path, Self::term);
        self.raw("}");
    }

    fn import(&mut self, import: &Import) {
        self.raw("{");
        if let Some(alias) = &import.alias {
            self.raw("\"alias\":");
            write_string(&mut self.text, alias);
            self.raw(",");
        }
        if let Some(span) = import.alias_span {
            self.raw("\"alias_location\":");
            self.location(span);
            self.raw(",");
        }
        self.raw("\"location\":");
        self.location(import.span);
        self.raw(",\"path\":");
        self.term(&import.path);
        self.raw("}");
    }

    fn annotation(&mut self, annotation: &Annotations) {
        let mut fields: Vec<(&str, Option<&Value>)> =
            annotation.fields.iter().map(|(name, value)| (name.as_str(), Some(value))).collect();
        fields.push(("location", None));
        fields.sort_unstable_by_key(|(name, _)| *name);
        self.raw("{");
        for (index, (name, value)) in fields.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_string(&mut self.text, name);
            self.raw(":");
            match value {
                Some(value) => write_value(&mut self.text, value),
                None => self.location(annotation.span),
            }
        }
        self.raw("}");
    }

    fn rule(&mut self, rule: &Rule) {
        self.raw("{");
        if !rule.annotations.is_empty() {
            self.raw("\"annotations\":");
            let annotations = self.annotations;
            let attached = rule.annotations.iter().filter_map(|index| annotations.get(*index));
            self.list(attached, Self::annotation);
            self.raw(",");
        }
        self.raw("\"body\":");
        self.body(&rule.body);
        if rule.is_default {
            self.raw(",\"default\":true");
        }
        if let Some(other) = &rule.else_rule {
            self.raw(",\"else\":");
            self.rule(other);
        }
        self.raw(",\"head\":");
        self.head(&rule.head);
        self.raw(",\"location\":");
        self.location(rule.span);
        self.raw("}");
    }

    fn head(&mut self, head: &Head) {
        self.raw("{");
        if let Some(args) = head.args.as_ref().filter(|args| !args.is_empty()) {
            self.raw("\"args\":");
            self.list(args, Self::term);
            self.raw(",");
        }
        for (name, term) in [("key", &head.key), ("value", &head.value)] {
            if let Some(term) = term {
                let _ = write!(self.text, "\"{name}\":");
                self.term(term);
                self.raw(",");
            }
        }
        if head.assign {
            self.raw("\"assign\":true,");
        }
        self.raw("\"ref\":");
        self.list(&head.reference, Self::term);
        self.raw(",\"location\":");
        self.location(head.span);
        self.raw("}");
    }

    fn body(&mut self, body: &Body) {
        self.list(body.iter().enumerate(), |writer, (index, expr)| writer.expr(index, expr));
    }

    fn expr(&mut self, index: usize, expr: &Expr) {
        self.raw("{");
        if expr.generated {
            self.raw("\"generated\":true,");
        }
        let _ = write!(self.text, "\"index\":{index},\"location\":");
        self.location(expr.span);
        if expr.negated {
            self.raw(",\"negated\":true");
        }
        self.raw(",\"terms\":");
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => self.list(terms, Self::term),
            ExprKind::Some(symbols) => {
                self.raw("{\"location\":");
                self.location(expr.span);
                self.raw(",\"symbols\":");
                self.list(symbols, Self::term);
                self.raw("}");
            }
            ExprKind::Every(every) => self.every(every),
            ExprKind::Not(not) => {
                self.raw("{\"body\":");
                self.body(&not.body);
                let _ = write!(self.text, ",\"explicit_body\":{},\"type\":\"not\"}}", not.explicit);
            }
            ExprKind::And(sides) => self.logical(sides, "and"),
            ExprKind::Or(sides) => self.logical(sides, "or"),
        }
        if !expr.with.is_empty() {
            self.raw(",\"with\":");
            self.list(&expr.with, Self::with);
        }
        self.raw("}");
    }

    fn every(&mut self, every: &Every) {
        self.raw("{\"body\":");
        self.body(&every.body);
        self.raw(",\"domain\":");
        self.term(&every.domain);
        self.raw(",\"key\":");
        match &every.key {
            Some(key) => self.term(key),
            None => self.raw("null"),
        }
        self.raw(",\"location\":");
        self.location(every.span);
        self.raw(",\"value\":");
        self.term(&every.value);
        self.raw("}");
    }

    fn logical(&mut self, sides: &Logical, kind: &str) {
        self.raw("{");
        if sides.explicit_left {
            self.raw("\"explicit_lhs\":true,");
        }
        if sides.explicit_right {
            self.raw("\"explicit_rhs\":true,");
        }
        self.raw("\"lhs\":");
        self.body(&sides.left);
        self.raw(",\"rhs\":");
        self.body(&sides.right);
        let _ = write!(self.text, ",\"type\":\"{kind}\"}}");
    }

    fn with(&mut self, with: &With) {
        self.raw("{\"location\":");
        self.location(with.span);
        self.raw(",\"target\":");
        self.term(&with.target);
        self.raw(",\"value\":");
        self.term(&with.value);
        self.raw("}");
    }

    fn term(&mut self, term: &Term) {
        self.raw("{");
        if !term.span.is_empty() {
            self.raw("\"location\":");
            self.location(term.span);
            self.raw(",");
        }
        let _ = write!(self.text, "\"type\":\"{}\",\"value\":", text::kind(&term.value));
        match &term.value {
            TermValue::Null => self.raw("{}"),
            TermValue::Bool(value) => self.raw(if *value { "true" } else { "false" }),
            TermValue::Number(number) => self.raw(number),
            TermValue::String(text) | TermValue::Var(text) => write_string(&mut self.text, text),
            TermValue::Ref(terms)
            | TermValue::Array(terms)
            | TermValue::Set(terms)
            | TermValue::Call(terms) => self.list(terms, Self::term),
            TermValue::Object(pairs) => self.list(pairs, |writer, (key, value)| {
                writer.list([key, value], Self::term);
            }),
            TermValue::ArrayComprehension { term, body }
            | TermValue::SetComprehension { term, body } => {
                self.raw("{\"term\":");
                self.term(term);
                self.raw(",\"body\":");
                self.body(body);
                self.raw("}");
            }
            TermValue::ObjectComprehension { key, value, body } => {
                self.raw("{\"key\":");
                self.term(key);
                self.raw(",\"value\":");
                self.term(value);
                self.raw(",\"body\":");
                self.body(body);
                self.raw("}");
            }
            TermValue::TemplateString { parts, multi_line } => {
                self.raw("{\"parts\":");
                if parts.is_empty() {
                    self.raw("null");
                } else {
                    self.list(parts, |writer, part| match part {
                        TemplatePart::Text(term) => writer.term(term),
                        TemplatePart::Expr(expr) => writer.expr(0, expr),
                    });
                }
                let _ = write!(self.text, ",\"multi_line\":{multi_line}}}");
            }
        }
        self.raw("}");
    }
}

/// A string as Go writes it, which minds that JSON may stand in HTML.
fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

/// A value as Go writes it, keys sorted.
fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => {
            let _ = write!(text, "{value}");
        }
        Value::Number(number) => write_number(text, number),
        Value::String(value) => write_string(text, value),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(text, value);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(text, name);
                text.push(':');
                write_value(text, value);
            }
            text.push('}');
        }
    }
}

/// Go prints a double without an exponent from 1e-6 to 1e21.
fn write_number(text: &mut String, number: &serde_json::Number) {
    let double = number.as_f64().filter(|_| number.is_f64());
    let _ = match double {
        None => write!(text, "{number}"),
        Some(double) if double != 0.0 && !(1e-6..1e21).contains(&double.abs()) => {
            let shortest = format!("{double:e}");
            match shortest.split_once('e') {
                Some((digits, exponent)) if exponent.starts_with('-') => {
                    write!(text, "{digits}e{exponent}")
                }
                Some((digits, exponent)) => write!(text, "{digits}e+{exponent}"),
                None => write!(text, "{shortest}"),
            }
        }
        Some(double) => write!(text, "{double}"),
    };
}
