//! Bodies and statements: `not`, `some`, `every`, `with`.

use crate::ast::{Body, Every, Expr, ExprKind, NotBlock, Term, TermValue, With};
use crate::source::Span;

use super::parser::Parser;
use super::rules::expr;
use super::token::{Future, Token};

/// The operator of `x in xs`.
const MEMBER: &str = "internal.member_2";
/// The operator of `k, v in xs`.
const MEMBER_WITH_KEY: &str = "internal.member_3";

/// The operator of a membership test, as a name.
pub(super) fn membership(terms: &[Term]) -> Option<&'static str> {
    let TermValue::Ref(operator) = &terms.first()?.value else { return None };
    match operator.as_slice() {
        [Term { value: TermValue::Var(root), .. }, Term { value: TermValue::String(name), .. }]
            if &**root == "internal" =>
        {
            match &**name {
                "member_2" => Some(MEMBER),
                "member_3" => Some(MEMBER_WITH_KEY),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Parser<'_> {
    /// Reads statements up to a token that the caller handles.
    pub(super) fn body(&mut self, end: Token) -> Option<Body> {
        self.nested(|parser| parser.query(false, end))
    }

    pub(super) fn query(&mut self, requires_semicolon: bool, end: Token) -> Option<Body> {
        if self.s.token == end {
            self.error_here("found empty body");
            return None;
        }
        let mut body = Body::new();
        let mut height = 0;
        loop {
            body.push(self.statement()?);
            height = height.max(self.height);
            self.height = height;
            if self.s.token == Token::Semicolon {
                self.scan();
                continue;
            }
            if self.s.token == end || requires_semicolon {
                return Some(body);
            }
            if !self.s.skipped_newline {
                if !self.has_faults() {
                    self.hint_missing_infix_keyword();
                    self.illegal(&format!("expected \\n or ; or {}", end.name()));
                }
                return None;
            }
        }
    }

    /// Reads a statement.
    pub(super) fn statement(&mut self) -> Option<Expr> {
        let start = self.s.start;
        let mut read = self.statement_at()?;
        let span = self.span_from(start);
        read.span = span;
        if let ExprKind::Not(NotBlock { body, explicit: false }) = &mut read.kind {
            body.iter_mut().for_each(|inner| inner.span = span);
        }
        self.made(self.height + 1)?;
        Some(read)
    }

    fn statement_at(&mut self) -> Option<Expr> {
        if self.s.keywords.has_logical() {
            if self.s.token == Token::LBrace
                && let Some(result) = self.braced_operand_first()
            {
                return result;
            }
            if self.s.token == Token::LParen
                && let Some(group) = self.group(false, "")
            {
                return self.fold_logical(group?);
            }
        }
        if self.keyword_as_ref() {
            return self.expression_statement(None);
        }
        let not = self.take_not();
        if let Some(not) = not
            && self.not_bodies
            && self.s.token == Token::LBrace
        {
            let block = self.not_body(not)?;
            return self.fold_logical(block);
        }
        match self.s.token {
            Token::Some if not.is_some() => {
                self.illegal("illegal negation of 'some'");
                None
            }
            Token::Every if not.is_some() => {
                self.illegal("illegal negation of 'every'");
                None
            }
            Token::Some => self.some(),
            Token::Every => self.every(),
            _ => self.expression_statement(not),
        }
    }

    /// Skips `not`, unless a name begins with it (`not.x`).
    pub(super) fn take_not(&mut self) -> Option<Span> {
        if self.s.token != Token::Not || matches!(self.peek(false), Token::Dot | Token::LBrack) {
            return None;
        }
        let span = self.token_span();
        self.scan();
        Some(span)
    }

    /// Reads an expression, its modifiers, and the `and` and `or` that follow.
    fn expression_statement(&mut self, not: Option<Span>) -> Option<Expr> {
        let before = self.s;
        if let Some(not) = not
            && self.not_bodies
            && self.s.token == Token::LParen
            && let Some(group) = self.group(true, "not ")
        {
            let negated = self.negate(group?, not);
            return self.fold_logical(negated);
        }
        let mut read = self.expression()?;
        let mut height = self.height;
        let with = (self.s.token == Token::With).then(|| self.token_span());
        if with.is_some() {
            read.with = self.with()?;
            height = height.max(self.height);
            self.height = height;
        }
        self.hint_every(&read, before);
        if let Some(not) = not {
            if self.not_bodies {
                let with = std::mem::take(&mut read.with);
                let span = self.extend(not);
                let block = NotBlock { body: vec![read], explicit: false };
                read = Expr { with, ..expr(ExprKind::Not(block), span) };
                self.height += 1;
            } else {
                read.negated = true;
            }
        }
        if !matches!(self.s.token, Token::LogicalAnd | Token::LogicalOr) {
            return Some(read);
        }
        let operator = self.s.token.name();
        if let Some(with) = with {
            self.refuse_with_on_operand(with, operator);
            return None;
        }
        if not.is_none() && self.text(before.start, self.s.last_end).starts_with('{') {
            let is_empty_object = matches!(
                &read.kind,
                ExprKind::Term(Term { value: TermValue::Object(pairs), .. }) if pairs.is_empty()
            );
            if is_empty_object {
                self.error(read.span, "found empty body");
            } else {
                let operand = self.text(before.start, self.s.last_end);
                self.refuse_brace(read.span, operand, operator);
            }
            return None;
        }
        self.fold_logical_of(vec![read])
    }

    /// A plain `every` where `every x in xs {…}` was meant.
    fn hint_every(&mut self, read: &Expr, before: super::parser::State) {
        let is_every = !self.is_trial
            && self.is_future_keyword(Future::Every)
            && matches!(&read.kind, ExprKind::Term(Term { value: TermValue::Var(name), .. }) if &**name == "every");
        if !is_every {
            return;
        }
        let after = self.s;
        let hint = self.try_with_all_keywords(|parser| {
            let keywords = parser.s.keywords;
            parser.s = before;
            parser.s.keywords = keywords;
            parser.every().is_some()
        });
        self.s = after;
        if hint {
            self.hint("`import future.keywords.every` for `every x in xs { ... }` expressions");
        }
    }

    /// Hints at the missing import of a statement that is followed by `in`, `and`, `or` or a comma.
    /// Only for an immediately following fault: an unused hint would go to a later one.
    fn hint_missing_infix_keyword(&mut self) {
        if self.is_trial || self.has_hints() {
            return;
        }
        let (keyword, example) = match self.s.token {
            Token::Ident => match self.literal() {
                "in" => ("in", "x in xs"),
                "and" => ("and", "x and y"),
                "or" => ("or", "x or y"),
                _ => return,
            },
            Token::Comma => {
                let state = self.s;
                self.scan();
                let term = self.try_with_all_keywords(Self::infix_term);
                self.s = state;
                match term.map(|term| term.value) {
                    Some(TermValue::Call(terms)) if membership(&terms).is_some() => {
                        ("in", "x in xs")
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        self.hint(format!("`import future.keywords.{keyword}` for `{example}` expressions"));
    }

    /// Reads all `with target as value`.
    pub(super) fn with(&mut self) -> Option<Vec<With>> {
        let mut all = Vec::new();
        let mut height = 0;
        while self.s.token == Token::With {
            let start = self.s.start;
            self.scan();
            if self.s.token != Token::Ident {
                self.illegal("expected ident");
                return None;
            }
            let target = self.term()?;
            height = height.max(self.height);
            if !matches!(target.value, TermValue::Ref(_) | TermValue::Var(_)) {
                self.illegal("expected with target path");
            }
            if self.s.token != Token::As {
                self.illegal("expected as keyword");
                return None;
            }
            self.scan();
            let value = self.infix_term()?;
            height = height.max(self.height);
            all.push(With { target, value, span: self.span_from(start) });
        }
        self.height = height;
        Some(all)
    }

    /// Reads the modifiers of a statement that is otherwise complete.
    pub(super) fn attach_with(&mut self, mut read: Expr) -> Option<Expr> {
        if self.s.token == Token::With {
            let height = self.height;
            read.with = self.with()?;
            self.height = self.height.max(height);
        }
        Some(read)
    }

    fn some(&mut self) -> Option<Expr> {
        let span = self.token_span();
        let before = self.s;
        self.scan();
        if let Some(term) = self.infix_term()
            && let TermValue::Call(terms) = &term.value
        {
            let operands = match membership(terms) {
                Some(MEMBER) => 2,
                Some(_) => 3,
                None => {
                    self.illegal("expected `x in xs` or `x, y in xs` expression");
                    return None;
                }
            };
            if terms.len() != operands + 1 {
                self.illegal("illegal domain");
                return None;
            }
            let read = expr(ExprKind::Some(vec![term]), span);
            return self.attach_with(read);
        }
        self.s = before;
        self.hint_some(before);
        let mut symbols = Vec::new();
        loop {
            self.scan();
            if self.s.token != Token::Ident {
                self.illegal("expected var");
                return None;
            }
            symbols.push(self.variable());
            self.scan();
            if self.s.token != Token::Comma {
                self.height = 1;
                return Some(expr(ExprKind::Some(symbols), span));
            }
        }
    }

    /// `some x in xs` where `in` is not a keyword.
    fn hint_some(&mut self, before: super::parser::State) {
        if self.is_trial || !self.is_future_keyword(Future::In) {
            return;
        }
        self.scan();
        let term = self.try_with_all_keywords(Self::infix_term);
        self.s = before;
        if let Some(Term { value: TermValue::Call(terms), .. }) = term
            && membership(&terms).is_some()
        {
            self.hint("`import future.keywords.in` for `some x in xs` expressions");
        }
    }

    fn every(&mut self) -> Option<Expr> {
        let span = self.token_span();
        self.scan();
        let term = self.infix_term()?;
        let mut height = self.height;
        let what = "expected `x[, y] in xs { ... }` expression";
        let TermValue::Call(mut terms) = term.value else {
            self.illegal(what);
            return None;
        };
        let has_key = match membership(&terms) {
            Some(MEMBER) => false,
            Some(_) => true,
            None => {
                self.illegal(what);
                return None;
            }
        };
        if terms.len() != if has_key { 4 } else { 3 } {
            self.illegal("illegal domain");
            return None;
        }
        let (domain, value) = terms.pop().zip(terms.pop())?;
        let key = terms.pop().filter(|_| has_key);
        let is_var = |term: &Term| matches!(term.value, TermValue::Var(_));
        if !key.as_ref().is_none_or(is_var) {
            self.illegal("expected key to be a variable");
            return None;
        }
        if !is_var(&value) {
            self.illegal("expected value to be a variable");
            return None;
        }
        if self.s.token != Token::LBrace {
            self.illegal("missing body");
            return None;
        }
        let body = self.braced_body()?;
        height = height.max(self.height);
        self.height = height + 1;
        let every = Every { key, value, domain, body, span };
        self.attach_with(expr(ExprKind::Every(Box::new(every)), span))
    }

    /// Reads `x`, `x := y` or `x = y`.
    pub(super) fn expression(&mut self) -> Option<Expr> {
        let start = self.s.start;
        let left = self.infix_term()?;
        let height = self.height;
        if matches!(self.s.token, Token::Assign | Token::Unify) {
            let operator = self.operator();
            let right = self.infix_term()?;
            self.height = self.height.max(height);
            let span = self.span_from(start);
            return Some(expr(ExprKind::Call(vec![operator, left, right]), span));
        }
        let kind = match left.value {
            TermValue::Call(terms) => ExprKind::Call(terms),
            _ => ExprKind::Term(left),
        };
        Some(expr(kind, self.span_from(start)))
    }
}
