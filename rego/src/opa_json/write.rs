//! Our syntax trees as OPA's JSON, byte for byte: with locations as `opa parse --format json`
//! prints them, without them as `rego.parse_module` returns them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::ast::{
    Annotations, Body, Every, Expr, ExprKind, Head, Import, Logical, Module, Package, Rule, Scope,
    TemplatePart, Term, TermValue, With,
};
use crate::builtins::go::base64;
use crate::compile::visit::{self, Flow, NodeMut};
use crate::compile::{order, text};
use crate::source::{Sources, Span};

/// The parts of a tree that are written.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// With places, and without two things that a comparison must leave out: comments, which a tree
    /// does not keep, and the `name` of a head, which OPA sets beside the reference or not depending
    /// on how a rule is written (`opa-oracle` leaves them out for `"comparable": true`).
    Located,
    /// Without places, but with these comments, `#` included, and the names of the heads of v1 modules.
    Plain {
        /// In the order of the text.
        comments: &'a [Span],
    },
}

/// A module as OPA's JSON.
#[must_use]
pub fn module(sources: &Sources, module: &Module, form: Form<'_>) -> String {
    let mut module = module.clone();
    sort_collections(&mut module);
    let mut writer =
        Writer { sources, annotations: &module.annotations, form, text: String::new() };
    writer.module(&module);
    writer.text
}

/// A part of a compiled module.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// A body.
    Body(&'a Body),
    /// A statement, and its position in its body.
    Expr(&'a Expr, usize),
    /// A rule, and the annotations of its module.
    Rule(&'a Rule, &'a [Annotations]),
    /// A term.
    Term(&'a Term),
}

/// A part of a module as OPA's JSON, without places.
pub(crate) fn part(sources: &Sources, part: Part<'_>) -> String {
    let annotations = match part {
        Part::Rule(_, annotations) => annotations,
        Part::Body(_) | Part::Expr(..) | Part::Term(_) => &[],
    };
    let form = Form::Plain { comments: &[] };
    let mut writer = Writer { sources, annotations, form, text: String::new() };
    match part {
        Part::Body(body) => writer.body(body),
        Part::Expr(expr, position) => writer.expr(position, expr),
        Part::Rule(rule, _) => writer.rule(rule, is_named(rule)),
        Part::Term(term) => writer.term(term),
    }
    writer.text
}

/// A string as JSON.
pub(crate) fn string(value: &str) -> String {
    let mut text = String::new();
    write_string(&mut text, value);
    text
}

/// Sorts sets and objects. As in OPA's parser, an object keeps entries with equal keys.
fn sort_collections(module: &mut Module) {
    for rule in &mut module.rules {
        let mut chain = Some(rule);
        while let Some(rule) = chain {
            rule.head.reference.iter_mut().for_each(|term| sort_in(NodeMut::Term(term)));
            sort_in(NodeMut::Head(&mut rule.head));
            sort_in(NodeMut::Body(&mut rule.body));
            chain = rule.else_rule.as_deref_mut();
        }
    }
}

/// The same under a node, innermost first.
fn sort_in(node: NodeMut<'_>) {
    visit::walk_mut(node, &mut |node| {
        let NodeMut::Term(term) = node else { return Flow::Into };
        match &mut term.value {
            TermValue::Set(members) => {
                members.iter_mut().for_each(|member| sort_in(NodeMut::Term(member)));
                order::sort_set(members);
                Flow::Over
            }
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    sort_in(NodeMut::Term(key));
                    sort_in(NodeMut::Term(value));
                }
                pairs.sort_by(|(left, _), (right, _)| order::compare(left, right));
                Flow::Over
            }
            _ => Flow::Into,
        }
    });
}

struct Writer<'a> {
    sources: &'a Sources,
    annotations: &'a [Annotations],
    form: Form<'a>,
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

    /// A member's name. The first member of an object directly follows its bracket.
    fn key(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.raw(",");
        }
        write_string(&mut self.text, name);
        self.raw(":");
    }

    /// A member that is written only where it is true.
    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.key(name);
            self.raw("true");
        }
    }

    /// A member with a place, where places are written.
    fn location(&mut self, name: &str, span: Span) {
        if matches!(self.form, Form::Located) {
            self.key(name);
            self.place(span);
        }
    }

    fn place(&mut self, span: Span) {
        let location = self.sources.location(span);
        self.raw("{\"file\":");
        write_string(&mut self.text, &location.file);
        let _ = write!(self.text, ",\"row\":{},\"col\":{}}}", location.row, location.col);
    }

    fn module(&mut self, module: &Module) {
        self.raw("{");
        self.key("package");
        self.package(&module.package);
        if !module.imports.is_empty() {
            self.key("imports");
            self.list(&module.imports, Self::import);
        }
        if !module.annotations.is_empty() {
            self.key("annotations");
            self.list(&module.annotations, Self::annotation);
        }
        if !module.rules.is_empty() {
            self.key("rules");
            self.list(&module.rules, |writer, rule| writer.rule(rule, is_named(rule)));
        }
        if let Form::Plain { comments } = self.form
            && !comments.is_empty()
        {
            self.key("comments");
            self.list(comments, |writer, comment| writer.comment(*comment));
        }
        self.raw("}");
    }

    /// A comment, which OPA keeps as bytes.
    fn comment(&mut self, span: Span) {
        self.raw("{");
        self.key("Text");
        let text = self.sources.text(span);
        let text = text.strip_prefix('#').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text).as_bytes();
        let text = base64::encode(text, base64::STANDARD, true);
        write_string(&mut self.text, &text);
        self.key("Location");
        self.place(span);
        self.raw("}");
    }

    fn package(&mut self, package: &Package) {
        self.raw("{");
        self.location("location", package.span);
        self.key("path");
        self.list(&package.path, Self::term);
        self.raw("}");
    }

    fn import(&mut self, import: &Import) {
        self.raw("{");
        if let Some(alias) = &import.alias {
            self.key("alias");
            write_string(&mut self.text, alias);
        }
        if let Some(span) = import.alias_span {
            self.location("alias_location", span);
        }
        self.location("location", import.span);
        self.key("path");
        self.term(&import.path);
        self.raw("}");
    }

    fn annotation(&mut self, annotation: &Annotations) {
        let scope = Value::from(match annotation.scope {
            Scope::Rule => "rule",
            Scope::Document => "document",
            Scope::Package => "package",
            Scope::Subpackages => "subpackages",
        });
        let mut fields: Vec<(&str, Option<&Value>)> =
            annotation.fields.iter().map(|(name, value)| (name.as_str(), Some(value))).collect();
        fields.extend([("scope", Some(&scope)), ("location", None)]);
        fields.sort_unstable_by_key(|(name, _)| *name);
        self.raw("{");
        for (index, (name, value)) in fields.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_string(&mut self.text, name);
            self.raw(":");
            match (name, value) {
                ("authors", Some(value)) => write_items(&mut self.text, value, &["name", "email"]),
                ("schemas", Some(value)) => {
                    write_items(&mut self.text, value, &["path", "schema", "definition"]);
                }
                ("compile", Some(value)) => {
                    write_members(&mut self.text, value, &["unknowns", "mask_rule"]);
                }
                (_, Some(value)) => write_value(&mut self.text, value),
                (_, None) => self.place(annotation.span),
            }
        }
        self.raw("}");
    }

    fn rule(&mut self, rule: &Rule, is_named: bool) {
        self.raw("{");
        if !rule.annotations.is_empty() {
            self.key("annotations");
            let annotations = self.annotations;
            let attached = rule.annotations.iter().filter_map(|index| annotations.get(*index));
            self.list(attached, Self::annotation);
        }
        self.key("body");
        self.body(&rule.body);
        self.flag("default", rule.is_default);
        if let Some(other) = &rule.else_rule {
            self.key("else");
            self.rule(other, is_named);
        }
        self.key("head");
        self.head(&rule.head, is_named);
        self.location("location", rule.span);
        self.raw("}");
    }

    fn head(&mut self, head: &Head, is_named: bool) {
        self.raw("{");
        if let (true, Form::Plain { .. }) = (is_named, self.form)
            && let Some(TermValue::Var(name)) = head.reference.first().map(|first| &first.value)
        {
            self.key("name");
            write_string(&mut self.text, name);
        }
        if let Some(args) = head.args.as_ref().filter(|args| !args.is_empty()) {
            self.key("args");
            self.list(args, Self::term);
        }
        for (name, term) in [("key", &head.key), ("value", &head.value)] {
            if let Some(term) = term {
                self.key(name);
                self.term(term);
            }
        }
        self.flag("assign", head.assign);
        self.key("ref");
        self.list(&head.reference, Self::term);
        self.location("location", head.span);
        self.raw("}");
    }

    fn body(&mut self, body: &Body) {
        self.list(body.iter().enumerate(), |writer, (index, expr)| writer.expr(index, expr));
    }

    fn expr(&mut self, index: usize, expr: &Expr) {
        self.raw("{");
        self.flag("generated", expr.generated);
        self.key("index");
        let _ = write!(self.text, "{index}");
        self.location("location", expr.span);
        self.flag("negated", expr.negated);
        self.key("terms");
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(terms) => self.list(terms, Self::term),
            ExprKind::Some(symbols) => {
                self.raw("{");
                self.location("location", expr.span);
                self.key("symbols");
                self.list(symbols, Self::term);
                self.raw("}");
            }
            ExprKind::Every(every) => self.every(every),
            ExprKind::Not(not) => {
                self.raw("{");
                self.key("body");
                self.body(&not.body);
                let _ = write!(self.text, ",\"explicit_body\":{},\"type\":\"not\"}}", not.explicit);
            }
            ExprKind::And(sides) => self.logical(sides, "and"),
            ExprKind::Or(sides) => self.logical(sides, "or"),
        }
        if !expr.with.is_empty() {
            self.key("with");
            self.list(&expr.with, Self::with);
        }
        self.raw("}");
    }

    fn every(&mut self, every: &Every) {
        self.raw("{");
        self.key("body");
        self.body(&every.body);
        self.key("domain");
        self.term(&every.domain);
        self.key("key");
        match &every.key {
            Some(key) => self.term(key),
            None => self.raw("null"),
        }
        self.location("location", every.span);
        self.key("value");
        self.term(&every.value);
        self.raw("}");
    }

    fn logical(&mut self, sides: &Logical, kind: &str) {
        self.raw("{");
        self.flag("explicit_lhs", sides.explicit_left);
        self.flag("explicit_rhs", sides.explicit_right);
        self.key("lhs");
        self.body(&sides.left);
        self.key("rhs");
        self.body(&sides.right);
        self.key("type");
        write_string(&mut self.text, kind);
        self.raw("}");
    }

    fn with(&mut self, with: &With) {
        self.raw("{");
        self.location("location", with.span);
        self.key("target");
        self.term(&with.target);
        self.key("value");
        self.term(&with.value);
        self.raw("}");
    }

    fn term(&mut self, term: &Term) {
        self.raw("{");
        if !term.span.is_empty() {
            self.location("location", term.span);
        }
        self.key("type");
        write_string(&mut self.text, text::kind(&term.value));
        self.key("value");
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
                self.raw("{");
                self.key("term");
                self.term(term);
                self.key("body");
                self.body(body);
                self.raw("}");
            }
            TermValue::ObjectComprehension { key, value, body } => {
                self.raw("{");
                self.key("key");
                self.term(key);
                self.key("value");
                self.term(value);
                self.key("body");
                self.body(body);
                self.raw("}");
            }
            TermValue::TemplateString { parts, multi_line } => {
                self.raw("{");
                self.key("parts");
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

/// Whether OPA gives a rule of a v1 module a name beside its reference, and so the `else` of it.
fn is_named(rule: &Rule) -> bool {
    let head = &rule.head;
    let is_function = head.args.as_ref().is_some_and(|args| !args.is_empty());
    match head.reference.as_slice() {
        [_] => true,
        // Rules that could have been elements of a set or object in earlier versions: `p.q := 1`,
        // `p[x] := y if …`.
        [_, _] if rule.is_default || head.value.is_none() => false,
        [_, _] if is_function => !rule.generated_body,
        [_, _] => rule.generated_body || !head.generated_value,
        _ => false,
    }
}

/// A string as Go writes it, with escapes for JSON in HTML.
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

/// Objects in an array, with their members in an order.
fn write_items(text: &mut String, items: &Value, names: &[&str]) {
    text.push('[');
    for (index, item) in items.as_array().into_iter().flatten().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_members(text, item, names);
    }
    text.push(']');
}

/// An object with a fixed order of members: OPA has a struct for it.
fn write_members(text: &mut String, object: &Value, names: &[&str]) {
    text.push('{');
    let members = names.iter().filter_map(|name| Some((name, object.get(name)?)));
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(text, name);
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
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
