//! Parses tokens to trees.

use regorus::Value;

use super::DEPTH;
use super::lex::{Kind, Lexer, Token, wrong};
use super::shape::node;
use super::tree::Literal;
use crate::builtins::go::quote::quote;
use crate::builtins::{Answer, Failure, limits};

/// The tree of a query's text.
///
/// # Errors
/// The library's message.
pub(super) fn parse_query(text: &str) -> Answer {
    Parser::new(text)?.query_document()
}

/// The tree of a schema's text.
///
/// # Errors
/// The library's message.
pub(super) fn parse_schema(text: &str) -> Answer {
    Parser::new(text)?.schema_document()
}

/// The parser.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token.
    pub(super) next: Token,
    /// The token before.
    pub(super) before: Token,
    /// The comments before the next token.
    comment: Value,
    /// The fault of the next token.
    fault: Option<Failure>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Failure> {
        let token = Token { kind: Kind::End, text: String::new(), place: (1, 1) };
        let (next, before) = (token.clone(), token);
        let lexer = Lexer::new(text);
        let mut parser =
            Self { lexer, next, before, comment: Value::Null, fault: None, depth: DEPTH };
        parser.advance()?;
        Ok(parser)
    }

    fn advance(&mut self) -> Result<(), Failure> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut comments = Vec::new();
        loop {
            let token = self.lexer.read().unwrap_or_else(|fault| {
                self.fault = Some(fault);
                Token { kind: Kind::Invalid, text: String::new(), place: self.lexer.place() }
            });
            if token.kind != Kind::Comment {
                self.before = std::mem::replace(&mut self.next, token);
                break;
            }
            comments.push(node("Comment", [("Value", Value::from(token.text))]));
        }
        self.comment = if comments.is_empty() {
            Value::Null
        } else {
            node("CommentGroup", [("List", Value::from(comments))])
        };
        Ok(())
    }

    pub(super) fn take(&mut self) -> Result<Token, Failure> {
        self.advance()?;
        Ok(self.before.clone())
    }

    /// The comments before the next token.
    pub(super) fn comment(&self) -> Value {
        self.comment.clone()
    }

    pub(super) fn is(&self, kind: Kind) -> bool {
        self.next.kind == kind
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is(Kind::Name) && self.next.text == word
    }

    pub(super) fn skip(&mut self, kind: Kind) -> Result<bool, Failure> {
        let found = self.is(kind);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Result<Token, Failure> {
        if self.is(kind) {
            return self.take();
        }
        let (expected, found) = (kind.show(), self.next.kind.show());
        Err(wrong(self.next.place, &format!("Expected {expected}, found {found}")))
    }

    /// Takes a word, and returns the comments before it.
    pub(super) fn word(&mut self, word: &str) -> Answer {
        if self.is_word(word) {
            let comment = self.comment();
            self.advance()?;
            return Ok(comment);
        }
        let (expected, found) = (quote(word), self.next.show());
        Err(wrong(self.next.place, &format!("Expected {expected}, found {found}")))
    }

    pub(super) fn unexpected(&self, token: &Token) -> Failure {
        wrong(token.place, &format!("Unexpected {}", token.show()))
    }

    pub(super) fn name(&mut self) -> Answer {
        Ok(Value::from(self.expect(Kind::Name)?.text))
    }

    pub(super) fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let exceeded = || limits::exceeded("a document is too deep");
        self.depth = self.depth.checked_sub(1).ok_or_else(exceeded)?;
        let parsed = parse(self)?;
        self.depth += 1;
        Ok(parsed)
    }

    /// One or more items between two marks, or no list; and the comments before the second mark.
    pub(super) fn some(
        &mut self,
        open: char,
        close: char,
        mut parse: impl FnMut(&mut Self) -> Answer,
    ) -> Result<(Value, Value), Failure> {
        if !self.skip(Kind::Mark(open))? {
            return Ok((Value::Null, Value::Null));
        }
        let mut all = Vec::new();
        while !self.is(Kind::Mark(close)) {
            all.push(self.deeper(&mut parse)?);
        }
        if all.is_empty() {
            let found = self.next.kind.show();
            let what = format!("expected at least one definition, found {found}");
            return Err(wrong(self.next.place, &what));
        }
        let comment = self.comment();
        self.advance()?;
        Ok((Value::from(all), comment))
    }

    pub(super) fn arguments(&mut self, constant: bool) -> Answer {
        let (arguments, _) = self.some('(', ')', |parser| {
            let comment = parser.comment();
            let name = parser.name()?;
            parser.expect(Kind::Mark(':'))?;
            let value = parser.value(constant)?;
            Ok(node("Argument", [("Name", name), ("Value", value), ("Comment", comment)]))
        })?;
        Ok(arguments)
    }

    pub(super) fn directives(&mut self, constant: bool) -> Answer {
        let mut all = Vec::new();
        while self.skip(Kind::Mark('@'))? {
            let name = self.name()?;
            let arguments = self.arguments(constant)?;
            all.push(node("Directive", [("Name", name), ("Arguments", arguments)]));
        }
        Ok(Value::from(all))
    }

    pub(super) fn type_reference(&mut self) -> Answer {
        let mut parts = [("NamedType", Value::Null), ("NonNull", Value::from(false))];
        if self.skip(Kind::Mark('['))? {
            let element = self.deeper(Self::type_reference)?;
            self.expect(Kind::Mark(']'))?;
            let required = Value::from(self.skip(Kind::Mark('!'))?);
            let name = Value::from("");
            return Ok(node(
                "Type",
                [("NamedType", name), ("Elem", element), ("NonNull", required)],
            ));
        }
        for (part, value) in &mut parts {
            *value = match *part {
                "NamedType" => self.name()?,
                _ => Value::from(self.skip(Kind::Mark('!'))?),
            };
        }
        Ok(node("Type", parts))
    }

    pub(super) fn value(&mut self, constant: bool) -> Answer {
        let literal = |kind: Literal, raw: String| {
            let kind = Value::from(kind.number());
            node("Value", [("Raw", Value::from(raw)), ("Kind", kind)])
        };
        let kind = match self.next.kind {
            Kind::Mark('[') => return self.list(constant),
            Kind::Mark('{') => return self.object(constant),
            Kind::Mark('$') if !constant => {
                self.advance()?;
                let name = self.expect(Kind::Name)?;
                // The library looks for comments after it has read the name.
                let kind = Value::from(Literal::Variable.number());
                let parts = [("Raw", Value::from(name.text)), ("Kind", kind)];
                return Ok(node("Value", parts));
            }
            Kind::Integer => Literal::Integer,
            Kind::Float => Literal::Float,
            Kind::Text => Literal::Text,
            Kind::Block => Literal::Block,
            Kind::Name => match self.next.text.as_str() {
                "true" | "false" => Literal::Bool,
                "null" => Literal::Null,
                _ => Literal::Enum,
            },
            Kind::End | Kind::Invalid | Kind::Mark(_) | Kind::Spread | Kind::Comment => {
                return Err(self.unexpected(&self.next));
            }
        };
        Ok(literal(kind, self.take()?.text))
    }

    fn children(
        &mut self,
        close: char,
        kind: Literal,
        mut parse: impl FnMut(&mut Self) -> Answer,
    ) -> Answer {
        let comment = self.comment();
        self.advance()?;
        let mut children = Vec::new();
        while !self.is(Kind::Mark(close)) {
            children.push(self.deeper(&mut parse)?);
        }
        self.advance()?;
        let kind = Value::from(kind.number());
        let children = Value::from(children);
        Ok(node("Value", [("Children", children), ("Kind", kind), ("Comment", comment)]))
    }

    fn list(&mut self, constant: bool) -> Answer {
        self.children(']', Literal::List, |parser| {
            Ok(node("ChildValue", [("Value", parser.value(constant)?)]))
        })
    }

    fn object(&mut self, constant: bool) -> Answer {
        self.children('}', Literal::Object, |parser| {
            let comment = parser.comment();
            let name = parser.name()?;
            parser.expect(Kind::Mark(':'))?;
            let value = parser.value(constant)?;
            Ok(node("ChildValue", [("Name", name), ("Value", value), ("Comment", comment)]))
        })
    }
}
