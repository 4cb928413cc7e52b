//! Terms: infix operators, literals, references, calls.

use crate::ast::{Name, Term, TermValue};
use crate::compile::text;

use super::number;
use super::parser::Parser;
use super::string::unescape;
use super::token::Token;

/// The precedence of an infix operator; `in` binds weakest.
const fn strength(operator: Token) -> Option<u8> {
    Some(match operator {
        Token::Equal | Token::Neq | Token::Lt | Token::Gt | Token::Lte | Token::Gte => 1,
        Token::Or => 2,
        Token::And => 3,
        Token::Add | Token::Sub => 4,
        Token::Mul | Token::Quo | Token::Rem => 5,
        _ => return None,
    })
}

/// A term that is read already, and its height.
pub(super) struct Read {
    pub(super) term: Term,
    pub(super) height: usize,
}

impl Parser<'_> {
    /// Reads a term with infix operators, `k, v in xs` included.
    pub(super) fn infix_term(&mut self) -> Option<Term> {
        self.membership_term(None, true)
    }

    /// The same where a comma ends the term.
    pub(super) fn list_term(&mut self) -> Option<Term> {
        self.membership_term(None, false)
    }

    /// Continues after a term at the position of a list's element.
    pub(super) fn list_term_after(&mut self, first: Read) -> Option<Term> {
        self.membership_term(Some(first), false)
    }

    fn membership_term(&mut self, first: Option<Read>, takes_pairs: bool) -> Option<Term> {
        let mut left = self.binary(first, 0)?;
        loop {
            let height = self.height;
            if takes_pairs && self.s.token == Token::Comma {
                let before = self.s;
                self.scan();
                if let Some(value) = self.binary(None, 0)
                    && self.s.token == Token::In
                {
                    let height = height.max(self.height);
                    let operator = self.member_operator("member_3");
                    if let Some(domain) = self.binary(None, 0) {
                        left = self.call(vec![operator, left, value, domain], height)?;
                        if self.s.token == Token::In {
                            continue;
                        }
                        return Some(left);
                    }
                }
                self.s = before;
                self.height = height;
            }
            // A name such as `in.x` begins the next statement.
            self.keyword_as_ref();
            if self.s.token != Token::In {
                return Some(left);
            }
            let operator = self.member_operator("member_2");
            let Some(domain) = self.binary(None, 0) else {
                self.height = height;
                return Some(left);
            };
            left = self.call(vec![operator, left, domain], height)?;
            if self.s.token != Token::In {
                return Some(left);
            }
        }
    }

    /// Reads terms joined by operators that bind at least as strongly as `floor`. As in OPA, the
    /// term so far is returned if an operator's right side is faulty; the fault is recorded.
    fn binary(&mut self, first: Option<Read>, floor: u8) -> Option<Term> {
        let mut left = match first {
            Some(Read { term, height }) => {
                self.height = height;
                term
            }
            None => self.term()?,
        };
        let mut ceiling = u8::MAX;
        while let Some(level) = strength(self.s.token)
            && (floor..=ceiling).contains(&level)
        {
            let height = self.height;
            let operator = self.operator();
            match self.binary(None, level + 1) {
                Some(right) => {
                    left = self.call(vec![operator, left, right], height)?;
                    ceiling = level;
                }
                None => {
                    self.height = height;
                    ceiling = level - 1;
                }
            }
        }
        Some(left)
    }

    /// An infix call, placed at its left side.
    fn call(&mut self, terms: Vec<Term>, left_height: usize) -> Option<Term> {
        let left = terms.get(1)?.span;
        self.made(self.height.max(left_height) + 1)?;
        Some(Term { span: self.extend(left), value: TermValue::Call(terms) })
    }

    /// Reads the token as an operator.
    pub(super) fn operator(&mut self) -> Term {
        let span = self.token_span();
        let name = self.name(self.s.token.name());
        self.scan();
        let variable = Term { value: TermValue::Var(name), span };
        Term { value: TermValue::Ref(vec![variable]), span }
    }

    fn member_operator(&mut self, name: &'static str) -> Term {
        let span = self.token_span();
        let root = Term { value: TermValue::Var(self.name("internal")), span };
        let key = Term { value: TermValue::String(self.name(name)), span };
        self.scan();
        Term { value: TermValue::Ref(vec![root, key]), span }
    }

    /// Reads a term without infix operators.
    pub(super) fn term(&mut self) -> Option<Term> {
        self.nested(|parser| parser.remembered(Self::term_at))
    }

    fn term_at(&mut self) -> Option<Term> {
        // At the position of a term, `and(…)` can only be a call.
        if matches!(self.s.token, Token::LogicalAnd | Token::LogicalOr)
            && self.peek(false) == Token::LParen
        {
            self.s.token = Token::Ident;
        }
        let span = self.token_span();
        self.height = 1;
        let value = match self.s.token {
            Token::Null => TermValue::Null,
            Token::True => TermValue::Bool(true),
            Token::False => TermValue::Bool(false),
            Token::Sub => return self.minus(),
            Token::Dot | Token::Number => return self.number().and_then(|term| self.finish(term)),
            Token::String => TermValue::String(self.string()?),
            Token::TemplatePart | Token::TemplateEnd => {
                return self.template(false).and_then(|term| self.finish(term));
            }
            Token::RawTemplatePart | Token::RawTemplateEnd => {
                return self.template(true).and_then(|term| self.finish(term));
            }
            Token::Ident | Token::Contains => {
                let variable = self.variable();
                return self.finish(variable);
            }
            Token::LBrack => return self.array().and_then(|term| self.finish(term)),
            Token::LBrace => return self.set_or_object().and_then(|term| self.finish(term)),
            Token::LParen => return self.parenthesized(),
            _ => {
                self.illegal_token();
                return None;
            }
        };
        self.finish(Term { value, span })
    }

    fn parenthesized(&mut self) -> Option<Term> {
        self.scan();
        let term = self.infix_term()?;
        if self.s.token != Token::RParen {
            self.error_here("non-terminated expression");
            return None;
        }
        self.finish(term)
    }

    /// `-1`, or `-x`, which is `0 - x`.
    fn minus(&mut self) -> Option<Term> {
        let sign = self.token_span();
        let before = self.s;
        self.scan();
        if !matches!(self.s.token, Token::Ident | Token::Contains) {
            self.s = before;
            return self.number().and_then(|term| self.finish(term));
        }
        let variable = self.variable();
        let term = self.finish(variable)?;
        let span = self.extend(sign);
        // The operator is not in the text.
        let nowhere = sign.emptied();
        let operator = Term { value: TermValue::Var(self.name("minus")), span: nowhere };
        let operator = Term { value: TermValue::Ref(vec![operator]), span: nowhere };
        let zero = Term { value: TermValue::Number(self.name("0")), span: sign };
        self.made(self.height + 1)?;
        Some(Term { value: TermValue::Call(vec![operator, zero, term]), span })
    }

    /// Advances past a term's last token, and reads the keys and calls that follow it without a
    /// space.
    fn finish(&mut self, term: Term) -> Option<Term> {
        self.scan_whitespace();
        match self.s.token {
            Token::LParen | Token::Dot | Token::LBrack => return self.reference(term),
            Token::Whitespace => self.scan(),
            _ => {}
        }
        Some(as_root(term))
    }

    /// The same for a rule's name, where spaces are allowed before keys and parameters.
    pub(super) fn head_finish(&mut self, term: Term) -> Option<Term> {
        self.scan_whitespace();
        match self.s.token {
            Token::Add
            | Token::Sub
            | Token::Mul
            | Token::Quo
            | Token::Rem
            | Token::And
            | Token::Or
            | Token::Equal
            | Token::Neq
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => self.illegal_token(),
            Token::Whitespace => self.scan(),
            _ => {}
        }
        if matches!(self.s.token, Token::LParen | Token::Dot | Token::LBrack) {
            return self.reference(term);
        }
        Some(as_root(term))
    }

    fn number(&mut self) -> Option<Term> {
        let span = self.token_span();
        let mut text = String::new();
        if self.s.token == Token::Sub {
            text.push('-');
            self.scan();
            if !matches!(self.s.token, Token::Number | Token::Dot) {
                self.illegal("expected number");
                return None;
            }
        }
        let begins_with_point = self.s.token == Token::Dot;
        if begins_with_point {
            text.push('.');
            self.scan();
            if self.s.token != Token::Number {
                self.illegal("expected number");
                return None;
            }
        }
        let literal = self.literal();
        if !begins_with_point && number::has_leading_zero(literal, self.is_glued()) {
            self.illegal("expected number without leading zero");
            return None;
        }
        let checked = if text.is_empty() {
            number::check(literal).map(|()| self.name(literal))
        } else {
            text.push_str(literal);
            number::check(&text).map(|()| text.into())
        };
        match checked {
            // In OPA's scanner, a part of the next character belongs to the number.
            Ok(_) if self.is_glued() => self.illegal(number::Fault::Invalid.message()),
            Ok(number) => {
                let end = self.token_span().end;
                let span = crate::source::Span { end, ..span };
                return Some(Term { value: TermValue::Number(number), span });
            }
            Err(number::Fault::TooBig) => self.error_here(number::Fault::TooBig.message()),
            Err(fault @ number::Fault::Invalid) => self.illegal(fault.message()),
        }
        None
    }

    fn string(&mut self) -> Option<Name> {
        let literal = self.literal();
        let inner = literal.get(1..literal.len().saturating_sub(1))?;
        if literal.starts_with('`') || !inner.contains('\\') {
            return Some(self.name(inner));
        }
        let value = unescape(inner).filter(|_| !self.is_glued());
        if value.is_none() {
            self.error_here(format!("illegal string literal: {literal}"));
        }
        value.map(Into::into)
    }

    /// Reads `(…)` after an operator.
    fn arguments(&mut self, operator: Term) -> Option<Term> {
        self.nested(|parser| {
            let span = operator.span;
            let height = parser.height;
            parser.scan();
            let mut terms = vec![operator];
            if parser.s.token != Token::RParen {
                parser.list(Token::RParen, &mut terms)?;
            }
            parser.height = parser.height.max(height);
            let end = parser.token_span().end;
            parser.scan_whitespace();
            let value = match terms.as_slice() {
                [operator] if is_set(operator) => TermValue::Set(Vec::new()),
                _ => TermValue::Call(terms),
            };
            parser.made(parser.height + 1)?;
            Some(Term { value, span: crate::source::Span { end, ..span } })
        })
    }

    /// Reads the keys and arguments after a reference's head.
    fn reference(&mut self, head: Term) -> Option<Term> {
        self.nested(|parser| {
            let span = head.span;
            let can_be_head = match &head.value {
                TermValue::Var(_)
                | TermValue::Array(_)
                | TermValue::Object(_)
                | TermValue::Set(_)
                | TermValue::ArrayComprehension { .. }
                | TermValue::ObjectComprehension { .. }
                | TermValue::SetComprehension { .. }
                | TermValue::Call(_) => true,
                TermValue::Null
                | TermValue::Bool(_)
                | TermValue::Number(_)
                | TermValue::String(_)
                | TermValue::Ref(_)
                | TermValue::TemplateString { .. } => false,
            };
            if !can_be_head {
                let kind = text::kind(&head.value);
                parser.error(span, format!("illegal ref (head cannot be {kind})"));
            }
            let mut height = parser.height;
            let mut terms = vec![head];
            loop {
                match parser.s.token {
                    Token::Dot => {
                        parser.scan_whitespace();
                        if parser.s.token != Token::Ident
                            && !parser.is_allowed_ref_keyword(parser.s.token)
                        {
                            parser.illegal("expected identifier");
                            return None;
                        }
                        let value = TermValue::String(parser.key());
                        terms.push(Term { value, span: parser.token_span() });
                        parser.scan_whitespace();
                    }
                    Token::LBrack => {
                        parser.scan();
                        let key = parser.infix_term()?;
                        height = height.max(parser.height);
                        if parser.s.token != Token::RBrack {
                            parser.illegal("expected [");
                            return None;
                        }
                        terms.push(key);
                        parser.scan_whitespace();
                    }
                    Token::LParen => {
                        let end = parser.s.start;
                        parser.made(height + 1)?;
                        let span = span_to(span, end);
                        let operator = Term { value: TermValue::Ref(terms), span };
                        return parser.call_reference(operator);
                    }
                    other => {
                        let end = parser.s.last_end;
                        if other == Token::Whitespace {
                            parser.scan();
                        }
                        parser.made(height + 1)?;
                        let span = span_to(span, end);
                        return Some(Term { value: TermValue::Ref(terms), span });
                    }
                }
            }
        })
    }

    /// Reads the arguments of a call, and the keys after it.
    fn call_reference(&mut self, operator: Term) -> Option<Term> {
        let term = self.arguments(operator)?;
        match self.s.token {
            Token::Whitespace => self.scan(),
            Token::Dot | Token::LBrack => return self.reference(term),
            _ => {}
        }
        let span = self.extend(term.span);
        Some(Term { span, ..term })
    }

    /// The key after a dot. OPA takes `&` and `|` for the keywords `and` and `or`, without a text.
    fn key(&mut self) -> Name {
        match self.s.token {
            Token::And | Token::Or => self.name(""),
            _ => self.word(),
        }
    }
}

fn span_to(span: crate::source::Span, end: usize) -> crate::source::Span {
    let end = u32::try_from(end).unwrap_or(u32::MAX);
    crate::source::Span { end: end.max(span.start), ..span }
}

/// `data` and `input` alone are references.
fn as_root(term: Term) -> Term {
    match &term.value {
        TermValue::Var(name) if matches!(&**name, "data" | "input") => {
            Term { span: term.span, value: TermValue::Ref(vec![term]) }
        }
        _ => term,
    }
}

fn is_set(operator: &Term) -> bool {
    matches!(
        &operator.value,
        TermValue::Ref(name) if matches!(
            name.as_slice(),
            [Term { value: TermValue::Var(name), .. }] if &**name == "set"
        )
    )
}
