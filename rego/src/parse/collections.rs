//! Arrays, sets, objects and comprehensions.
//!
//! `{x | …}` is a comprehension if a body follows up to the brace, and otherwise a set whose first
//! element is a union. The parser tries the former and backtracks; failed attempts are recorded.

use crate::ast::{Body, Term, TermValue};

use super::parser::{Parser, State};
use super::terms::Read;
use super::token::Token;

impl Parser<'_> {
    pub(super) fn array(&mut self) -> Option<Term> {
        let start = self.s.start;
        self.scan();
        if self.s.token == Token::RBrack {
            return self.collection(start, TermValue::Array(Vec::new()), 0);
        }
        let may_be_comprehension = !self.skip_leading_comma();
        let first = self.term()?;
        let height = self.height;
        let mut elements = Vec::new();
        match self.s.token {
            Token::RBrack => elements.push(first),
            Token::Comma => {
                elements.push(first);
                self.scan();
                self.list(Token::RBrack, &mut elements)?;
            }
            Token::Or if may_be_comprehension => match self.comprehension(Token::RBrack) {
                Tried::Body(body) => {
                    let height = self.height.max(height);
                    let value = TermValue::ArrayComprehension { term: Box::new(first), body };
                    return self.collection(start, value, height);
                }
                Tried::Wrong => return None,
                Tried::List(before) => {
                    self.s = before;
                    self.list_after(Read { term: first, height }, Token::RBrack, &mut elements)?;
                }
            },
            _ => self.list_after(Read { term: first, height }, Token::RBrack, &mut elements)?,
        }
        let height = self.height.max(height);
        self.collection(start, TermValue::Array(elements), height)
    }

    pub(super) fn set_or_object(&mut self) -> Option<Term> {
        let start = self.s.start;
        self.scan();
        if self.s.token == Token::RBrace {
            return self.collection(start, TermValue::Object(Vec::new()), 0);
        }
        let may_be_comprehension = !self.skip_leading_comma();
        let mut first = self.term()?;
        if self.s.token == Token::Or && may_be_comprehension {
            return self.set_comprehension(start, first);
        }
        if !matches!(self.s.token, Token::RBrace | Token::Comma | Token::Colon) {
            let height = self.height;
            first = self.list_term_after(Read { term: first, height })?;
        }
        let height = self.height;
        match self.s.token {
            Token::RBrace => self.collection(start, TermValue::Set(vec![first]), height),
            Token::Comma => {
                self.scan();
                let mut elements = vec![first];
                self.height = 0;
                self.list(Token::RBrace, &mut elements)?;
                let height = self.height.max(height);
                self.collection(start, TermValue::Set(elements), height)
            }
            Token::Colon => {
                let (value, inner) = self.object(first, may_be_comprehension)?;
                self.collection(start, value, inner.max(height))
            }
            _ => {
                self.illegal("non-terminated set");
                None
            }
        }
    }

    fn set_comprehension(&mut self, start: usize, first: Term) -> Option<Term> {
        let height = self.height;
        match self.comprehension(Token::RBrace) {
            Tried::Body(body) => {
                let height = self.height.max(height);
                let value = TermValue::SetComprehension { term: Box::new(first), body };
                self.collection(start, value, height)
            }
            Tried::Wrong => None,
            Tried::List(before) => {
                let mut elements = Vec::new();
                self.s = before;
                self.list_after(Read { term: first, height }, Token::RBrace, &mut elements)?;
                let height = self.height;
                self.collection(start, TermValue::Set(elements), height)
            }
        }
    }

    /// Reads an object after its first key. Returns its value and height.
    fn object(&mut self, key: Term, may_be_comprehension: bool) -> Option<(TermValue, usize)> {
        self.scan();
        let mut value = self.term()?;
        let mut height = self.height;
        let is_at_end = |token| matches!(token, Token::RBrace | Token::Comma);
        if may_be_comprehension && self.s.token == Token::Or {
            // OPA reads the value as an element after any fault in the body.
            let before = self.s;
            if let Tried::Body(body) = self.comprehension(Token::RBrace) {
                let height = self.height.max(height);
                let value = TermValue::ObjectComprehension {
                    key: Box::new(key),
                    value: Box::new(value),
                    body,
                };
                return Some((value, height));
            }
            self.s = before;
            value = self.list_term_after(Read { term: value, height })?;
            height = self.height;
        } else if !(may_be_comprehension && is_at_end(self.s.token)) {
            value = self.list_term_after(Read { term: value, height })?;
            height = self.height;
        }
        let mut pairs = vec![(key, value)];
        match self.s.token {
            Token::RBrace => {}
            Token::Comma => {
                self.scan();
                self.height = height;
                self.pairs(&mut pairs)?;
                height = self.height;
            }
            _ => {
                self.illegal("non-terminated object");
                return None;
            }
        }
        Some((TermValue::Object(pairs), height))
    }

    /// OPA still takes `[, x]`.
    fn skip_leading_comma(&mut self) -> bool {
        let skips = self.s.token == Token::Comma;
        if skips {
            self.scan();
        }
        skips
    }

    /// Tries the body of a comprehension after the bar.
    fn comprehension(&mut self, end: Token) -> Tried {
        let before = self.s;
        let bar = before.start;
        if self.memo.no_comprehension.contains(&bar) {
            return Tried::List(before);
        }
        self.scan();
        match self.body(end) {
            Some(body) => Tried::Body(body),
            None if self.s.token == Token::Comma => {
                self.memo.no_comprehension.insert(bar);
                Tried::List(before)
            }
            None => Tried::Wrong,
        }
    }

    /// Reads elements up to an end that is left to the caller. The height is that of the highest
    /// element, including the part read before.
    pub(super) fn list(&mut self, end: Token, elements: &mut Vec<Term>) -> Option<()> {
        if self.s.token == end {
            return Some(());
        }
        let height = self.height;
        let first = self.list_term()?;
        let height = self.height.max(height);
        self.list_after(Read { term: first, height }, end, elements)
    }

    /// The same after the first element, or a part of it.
    fn list_after(&mut self, first: Read, end: Token, elements: &mut Vec<Term>) -> Option<()> {
        let mut height = first.height;
        elements.push(self.list_term_after(first)?);
        loop {
            height = height.max(self.height);
            self.height = height;
            if self.s.token == end {
                return Some(());
            }
            if self.s.token != Token::Comma {
                self.illegal(&format!("expected \",\" or \"{}\"", end.name()));
                return None;
            }
            self.scan();
            if self.s.token == end {
                return Some(());
            }
            elements.push(self.list_term()?);
        }
    }

    fn pairs(&mut self, pairs: &mut Vec<(Term, Term)>) -> Option<()> {
        let mut height = self.height;
        while self.s.token != Token::RBrace {
            let key = self.list_term()?;
            height = height.max(self.height);
            if self.s.token != Token::Colon {
                self.illegal("expected \":\"");
                return None;
            }
            self.scan();
            let value = self.list_term()?;
            height = height.max(self.height);
            pairs.push((key, value));
            match self.s.token {
                Token::RBrace => break,
                Token::Comma => self.scan(),
                _ => {
                    self.illegal("expected \",\" or \"}\"");
                    return None;
                }
            }
        }
        self.height = height;
        Some(())
    }

    /// A collection that ends with the token.
    fn collection(&mut self, start: usize, value: TermValue, inner: usize) -> Option<Term> {
        self.made(inner + 1)?;
        Some(Term { value, span: self.span(start, self.s.end) })
    }
}

/// The meaning of a bar.
enum Tried {
    /// A body up to the closing bracket.
    Body(Body),
    /// A comma: the term before it is an element of a list. The state is the one at the bar.
    List(State),
    /// Neither a body nor a list.
    Wrong,
}
