//! Template strings: `$"… {x} …"`.

use crate::ast::{Expr, ExprKind, RegoVersion, TemplatePart, Term, TermValue};

use super::parser::Parser;
use super::string::unescape;
use super::token::Token;

impl Parser<'_> {
    pub(super) fn template(&mut self, is_raw: bool) -> Option<Term> {
        let start = self.s.start;
        let span = self.token_span();
        if self.version != RegoVersion::V1 {
            self.error(span, "template strings are not supported by current capabilities");
            return None;
        }
        let mut parts = Vec::new();
        let mut height = 0;
        // `$"` or `}`
        let mut opening = 2;
        loop {
            let text = self.template_text(opening)?;
            if !text.is_empty() {
                let value = TermValue::String(text.into());
                parts.push(TemplatePart::Text(Term { value, span: self.token_span() }));
            }
            if matches!(self.s.token, Token::TemplateEnd | Token::RawTemplateEnd) {
                break;
            }
            let comments = self.s.comments;
            self.scan();
            let has_comments = self.s.comments != comments;
            let Some(read) = self.statement() else {
                self.error_here("invalid template-string expression");
                return None;
            };
            height = height.max(self.height);
            if let Some(what) = refused(&read) {
                self.error(read.span, format!("unexpected {what} in template-string expression"));
                return None;
            }
            parts.push(part(read, has_comments));
            if self.s.token != Token::RBrace {
                self.error_here("expected } to end template string expression");
                return None;
            }
            self.scan_template(is_raw);
            opening = 0;
        }
        self.made(height + 1)?;
        let value = TermValue::TemplateString { parts, multi_line: is_raw };
        Some(Term { value, span: self.span(start, self.s.end) })
    }

    /// The value of the token, without its delimiters.
    fn template_text(&mut self, opening: usize) -> Option<String> {
        let literal = self.literal();
        let Some(inner) = literal.get(opening..literal.len().saturating_sub(1)) else {
            self.error_here("expected template-string part");
            return None;
        };
        let is_raw = match self.s.token {
            Token::TemplatePart | Token::TemplateEnd => false,
            Token::RawTemplatePart | Token::RawTemplateEnd => true,
            _ => {
                self.error_here("expected template-string part");
                return None;
            }
        };
        let inner = unescape_braces(inner, is_raw);
        if is_raw || !inner.contains('\\') {
            return Some(inner);
        }
        let value = unescape(&inner).filter(|_| !self.is_glued());
        if value.is_none() {
            // OPA prints the part with the delimiters.
            let before = if opening == 0 { "}" } else { "\"" };
            let after = literal.get(literal.len().saturating_sub(1)..).unwrap_or_default();
            self.error_here(format!("illegal template-string part: {before}{inner}{after}"));
        }
        value
    }
}

/// `\{` to `{`.
fn unescape_braces(text: &str, is_raw: bool) -> String {
    if is_raw {
        return text.replace("\\{", "{");
    }
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('{') => value.push('{'),
                other => {
                    value.push('\\');
                    value.extend(other);
                }
            },
            _ => value.push(char),
        }
    }
    value
}

/// Checks for expressions that a template string must not have.
fn refused(read: &Expr) -> Option<&'static str> {
    if read.negated {
        return Some("negation ('not')");
    }
    match &read.kind {
        ExprKind::Call(terms) => match &terms.first()?.value {
            TermValue::Ref(operator) => match operator.as_slice() {
                [Term { value: TermValue::Var(name), .. }] => match &**name {
                    "eq" => Some("unification ('=')"),
                    "assign" => Some("assignment (':=')"),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        ExprKind::Every(_) => Some("'every'"),
        ExprKind::Some(_) => Some("'some'"),
        ExprKind::Term(_) | ExprKind::Not(_) | ExprKind::And(_) | ExprKind::Or(_) => None,
    }
}

/// Constants are handled as text.
fn part(read: Expr, has_comments: bool) -> TemplatePart {
    let is_constant = !has_comments
        && matches!(
            &read.kind,
            ExprKind::Term(Term {
                value: TermValue::Null
                    | TermValue::Bool(_)
                    | TermValue::Number(_)
                    | TermValue::String(_),
                ..
            })
        );
    match read.kind {
        ExprKind::Term(term) if is_constant => TemplatePart::Text(term),
        _ => TemplatePart::Expr(Box::new(read)),
    }
}
