//! Syntax as Rego text in OPA's form, for messages.

use crate::ast::{Body, Expr, ExprKind, Import, Logical, NotBlock, TemplatePart, Term, TermValue};

use super::vars::is_wildcard;

/// Words that OPA never writes after a dot as a key.
pub(crate) const KEYWORDS: [&str; 15] = [
    "not", "package", "import", "as", "default", "else", "with", "null", "true", "false", "some",
    "if", "contains", "in", "every",
];

/// The sign of an infix built-in, apart from `in`.
fn infix(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "eq" => "=",
        "assign" => ":=",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        "neq" => "!=",
        "equal" => "==",
        "plus" => "+",
        "minus" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        "and" => "&",
        "or" => "|",
        _ => return None,
    })
}

/// A term as text.
pub(crate) fn of_term(term: &Term) -> String {
    let mut text = String::new();
    write_term(&mut text, term);
    text
}

/// A reference as text: `data.a["b c"][x]`.
pub(crate) fn of_ref(terms: &[Term]) -> String {
    let mut text = String::new();
    write_ref(&mut text, terms);
    text
}

/// A call as text, infix operators written as functions.
pub(crate) fn of_call(terms: &[Term]) -> String {
    let mut text = String::new();
    write_call(&mut text, terms);
    text
}

/// Statements as text, with semicolons between them.
pub(crate) fn of_body(body: &[Expr]) -> String {
    let mut text = String::new();
    write_separated(&mut text, body, "; ", write_expr);
    text
}

/// A statement as text.
pub(crate) fn of_expr(expr: &Expr) -> String {
    let mut text = String::new();
    write_expr(&mut text, expr);
    text
}

/// An import as text.
pub(crate) fn of_import(import: &Import) -> String {
    let mut text = format!("import {}", of_term(&import.path));
    if let Some(alias) = &import.alias {
        text.push_str(" as ");
        text.push_str(alias);
    }
    text
}

/// A value's kind in OPA's words.
pub(crate) const fn kind(value: &TermValue) -> &'static str {
    match value {
        TermValue::Null => "null",
        TermValue::Bool(_) => "boolean",
        TermValue::Number(_) => "number",
        TermValue::String(_) => "string",
        TermValue::Var(_) => "var",
        TermValue::Ref(_) => "ref",
        TermValue::Array(_) => "array",
        TermValue::Object(_) => "object",
        TermValue::Set(_) => "set",
        TermValue::ArrayComprehension { .. } => "arraycomprehension",
        TermValue::SetComprehension { .. } => "setcomprehension",
        TermValue::ObjectComprehension { .. } => "objectcomprehension",
        TermValue::Call(_) => "call",
        TermValue::TemplateString { .. } => "templatestring",
    }
}

fn write_separated<'t, Item: 't>(
    text: &mut String,
    items: impl IntoIterator<Item = &'t Item>,
    separator: &str,
    write: impl Fn(&mut String, &Item),
) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        write(text, item);
    }
}

/// A variable's name, as it was written.
pub(crate) fn of_var(name: &str) -> &str {
    if is_wildcard(name) { "_" } else { name }
}

fn write_term(text: &mut String, term: &Term) {
    match &term.value {
        TermValue::Null => text.push_str("null"),
        TermValue::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        TermValue::Number(number) => text.push_str(number),
        TermValue::String(string) => write_quoted(text, string),
        TermValue::Var(name) => text.push_str(of_var(name)),
        TermValue::Ref(terms) => write_ref(text, terms),
        TermValue::Array(terms) => {
            text.push('[');
            write_separated(text, terms, ", ", write_term);
            text.push(']');
        }
        TermValue::Object(pairs) => {
            text.push('{');
            write_separated(text, pairs, ", ", |text, (key, value)| {
                write_term(text, key);
                text.push_str(": ");
                write_term(text, value);
            });
            text.push('}');
        }
        TermValue::Set(members) if members.is_empty() => text.push_str("set()"),
        TermValue::Set(members) => {
            text.push('{');
            write_separated(text, members, ", ", write_term);
            text.push('}');
        }
        TermValue::ArrayComprehension { term, body } => {
            text.push('[');
            write_yield(text, term);
            write_condition(text, body);
            text.push(']');
        }
        TermValue::SetComprehension { term, body } => {
            text.push('{');
            write_yield(text, term);
            write_condition(text, body);
            text.push('}');
        }
        TermValue::ObjectComprehension { key, value, body } => {
            text.push('{');
            write_yield(text, key);
            text.push_str(": ");
            write_yield(text, value);
            write_condition(text, body);
            text.push('}');
        }
        TermValue::Call(terms) => write_call(text, terms),
        TermValue::TemplateString { parts, .. } => write_template(text, parts),
    }
}

fn write_condition(text: &mut String, body: &Body) {
    text.push_str(" | ");
    write_body(text, body);
}

/// The term of a comprehension: infix calls as infix, in parentheses, since `|` would be read as an
/// operator.
fn write_yield(text: &mut String, term: &Term) {
    if let TermValue::Call(terms) = &term.value
        && let [operator, left, right] = terms.as_slice()
        && let Some(sign) = infix(&of_term(operator))
    {
        text.push('(');
        write_yield(text, left);
        text.push(' ');
        text.push_str(sign);
        text.push(' ');
        write_yield(text, right);
        text.push(')');
    } else {
        write_term(text, term);
    }
}

fn write_call(text: &mut String, terms: &[Term]) {
    if let [operator, operands @ ..] = terms {
        write_term(text, operator);
        text.push('(');
        write_separated(text, operands, ", ", write_term);
        text.push(')');
    }
}

fn write_template(text: &mut String, parts: &[TemplatePart]) {
    text.push_str("$\"");
    for part in parts {
        match part {
            TemplatePart::Text(Term { value: TermValue::String(string), .. }) => {
                let mut quoted = String::new();
                write_quoted(&mut quoted, string);
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let mut before = ' ';
                for char in inner.unwrap_or_default().chars() {
                    if char == '{' && before != '\\' {
                        text.push('\\');
                    }
                    text.push(char);
                    before = char;
                }
            }
            TemplatePart::Text(term) => write_term(text, term),
            TemplatePart::Expr(expr) => {
                text.push('{');
                write_expr(text, expr);
                text.push('}');
            }
        }
    }
    text.push('"');
}

/// Whether text may follow a dot in a reference, unless it is a keyword.
pub(crate) fn is_plain_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn write_ref(text: &mut String, terms: &[Term]) {
    let Some((head, keys)) = terms.split_first() else { return };
    match &head.value {
        TermValue::String(string) => text.push_str(string),
        _ => write_term(text, head),
    }
    for key in keys {
        match &key.value {
            TermValue::String(string)
                if is_plain_name(string) && !KEYWORDS.contains(&&**string) =>
            {
                text.push('.');
                text.push_str(string);
            }
            TermValue::String(string)
                if !string.contains(|char: char| char == '\\' || char.is_control()) =>
            {
                text.push_str("[\"");
                text.push_str(string);
                text.push_str("\"]");
            }
            _ => {
                text.push('[');
                write_term(text, key);
                text.push(']');
            }
        }
    }
}

fn write_body(text: &mut String, body: &Body) {
    write_separated(text, body, "; ", write_expr);
}

fn write_expr(text: &mut String, expr: &Expr) {
    if expr.negated {
        text.push_str("not ");
    }
    match &expr.kind {
        ExprKind::Term(term) => write_term(text, term),
        ExprKind::Call(terms) => match terms.as_slice() {
            [operator, left, right] if is_operator(operator, "eq") => {
                write_term(text, left);
                text.push_str(" = ");
                write_term(text, right);
            }
            terms => write_call(text, terms),
        },
        ExprKind::Some(symbols) => write_some(text, symbols),
        ExprKind::Every(every) => {
            text.push_str("every ");
            if let Some(key) = &every.key {
                write_term(text, key);
                text.push_str(", ");
            }
            write_term(text, &every.value);
            text.push_str(" in ");
            write_term(text, &every.domain);
            text.push_str(" { ");
            write_body(text, &every.body);
            text.push_str(" }");
        }
        ExprKind::Not(not) => write_not(text, not),
        ExprKind::And(logical) => write_logical(text, logical, "and"),
        ExprKind::Or(logical) => write_logical(text, logical, "or"),
    }
    for with in &expr.with {
        text.push_str(" with ");
        write_term(text, &with.target);
        text.push_str(" as ");
        write_term(text, &with.value);
    }
}

fn write_some(text: &mut String, symbols: &[Term]) {
    text.push_str("some ");
    match symbols {
        [Term { value: TermValue::Call(terms), .. }, ..] => match terms.as_slice() {
            [_, value, collection] => {
                write_term(text, value);
                text.push_str(" in ");
                write_term(text, collection);
            }
            [_, key, value, collection] => {
                write_term(text, key);
                text.push_str(", ");
                write_term(text, value);
                text.push_str(" in ");
                write_term(text, collection);
            }
            _ => {}
        },
        symbols => write_separated(text, symbols, ", ", write_term),
    }
}

fn write_not(text: &mut String, not: &NotBlock) {
    match not.body.as_slice() {
        [only] if !not.explicit => {
            let parentheses = !only.with.is_empty()
                || match &only.kind {
                    ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) => true,
                    ExprKind::Term(term) => begins_with_brace(&term.value),
                    ExprKind::Call(_) | ExprKind::Some(_) | ExprKind::Every(_) => false,
                };
            text.push_str(if parentheses { "not (" } else { "not " });
            write_expr(text, only);
            if parentheses {
                text.push(')');
            }
        }
        _ => {
            text.push_str("not {");
            write_body(text, &not.body);
            text.push('}');
        }
    }
}

fn write_logical(text: &mut String, logical: &Logical, sign: &str) {
    write_side(text, &logical.left, logical.explicit_left, sign, false);
    text.push(' ');
    text.push_str(sign);
    text.push(' ');
    write_side(text, &logical.right, logical.explicit_right, sign, true);
}

fn write_side(text: &mut String, body: &Body, explicit: bool, sign: &str, is_right: bool) {
    match body.as_slice() {
        [only] if !explicit => {
            let parentheses = !only.with.is_empty()
                || match &only.kind {
                    ExprKind::Or(_) => sign == "and" || is_right,
                    ExprKind::And(_) => sign == "and" && is_right,
                    ExprKind::Term(term) => begins_with_brace(&term.value),
                    ExprKind::Call(_)
                    | ExprKind::Some(_)
                    | ExprKind::Every(_)
                    | ExprKind::Not(_) => false,
                };
            if parentheses {
                text.push('(');
            }
            write_expr(text, only);
            if parentheses {
                text.push(')');
            }
        }
        _ => {
            text.push_str("{ ");
            write_body(text, body);
            text.push_str(" }");
        }
    }
}

fn begins_with_brace(value: &TermValue) -> bool {
    match value {
        TermValue::Set(members) => !members.is_empty(),
        TermValue::Object(_)
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. } => true,
        TermValue::Ref(terms) => terms.first().is_some_and(|head| begins_with_brace(&head.value)),
        _ => false,
    }
}

/// Whether an operator is the built-in of this name, which has no dot.
pub(crate) fn is_operator(operator: &Term, name: &str) -> bool {
    matches!(
        &operator.value,
        TermValue::Ref(terms)
            if matches!(terms.as_slice(), [Term { value: TermValue::Var(var), .. }] if &**var == name)
    )
}

/// A string in double quotes, escaped as Go's `strconv.Quote` does.
fn write_quoted(text: &mut String, string: &str) {
    use std::fmt::Write as _;

    text.push('"');
    for char in string.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{b}' => text.push_str("\\v"),
            char if is_printable(char) => text.push(char),
            // Writing to a string does not fail.
            char => {
                let _ = match u32::from(char) {
                    code @ (0..0x20 | 0x7f) => write!(text, "\\x{code:02x}"),
                    code @ 0..0x1_0000 => write!(text, "\\u{code:04x}"),
                    code => write!(text, "\\U{code:08x}"),
                };
            }
        }
    }
    text.push('"');
}

/// Whether Go prints a character unescaped. The standard library escapes the same ones, except for
/// marks at the beginning of a text, so a character is put before.
fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return char == ' ' || char.is_ascii_graphic();
    }
    let probe = format!("a{char}");
    probe.escape_debug().eq(probe.chars())
}
