//! Parses tokens to the trees of a template and of those that it defines.

use std::collections::HashMap;

use super::lex::{self, Kind, Token};
use super::{DEPTH, functions, unquote};
use crate::builtins::go::parse_float;
use crate::builtins::go::parse_int::{self, Integer};
use crate::builtins::go::quote::quote;
use crate::builtins::{Failure, limits};

/// The name of the template that OPA renders.
pub(super) const MAIN: &str = "template";

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    Break,
    Continue,
    If(Branches),
    With(Branches),
    Range(Branches),
    Template { at: usize, name: String, pipe: Option<Pipe> },
}

/// The branches for a true and a false pipeline.
#[derive(Debug)]
pub(super) struct Branches {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Option<Vec<Node>>,
}

/// Commands, each of which gets the result of the one before.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) assigns: bool,
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    /// The original text.
    pub(super) text: String,
    pub(super) words: Vec<Word>,
}

/// A word of a command.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) at: usize,
    pub(super) kind: WordKind,
}

#[derive(Debug)]
pub(super) enum WordKind {
    Dot,
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// An integer beyond a word.
    Overflow,
    /// A complex number, which no operation accepts.
    Complex,
    Text(String),
    Function(String),
    /// Names below the dot.
    Field(Vec<String>),
    /// A variable and names below it.
    Variable(String, Vec<String>),
    /// A pipeline in parentheses and names below it.
    Pipe(Box<Pipe>, Vec<String>),
    /// Names below the result of a function.
    Chain(String, Vec<String>),
}

/// The templates of a text, by their names.
#[derive(Debug)]
pub(super) struct Templates<'a> {
    pub(super) source: &'a str,
    pub(super) trees: HashMap<String, Vec<Node>>,
}

/// Reads a text.
///
/// # Errors
/// Go's message.
pub(super) fn parse(source: &str) -> Result<Templates<'_>, Failure> {
    let templates = Templates { source, trees: HashMap::new() };
    let mut parser = Parser {
        tokens: lex::lex(source),
        next: 0,
        variables: vec!["$".to_owned()],
        loops: 0,
        depth: DEPTH,
        templates,
    };
    let mut nodes = Vec::new();
    loop {
        match parser.peek().kind {
            Kind::End => break,
            Kind::LeftDelimiter if parser.is_definition() => {
                parser.definition()?;
                continue;
            }
            _ => {}
        }
        match parser.item()? {
            Item::Node(node) => nodes.push(node),
            Item::End => return Err(parser.wrong("unexpected {{end}}")),
            Item::Else => return Err(parser.wrong("unexpected {{else}}")),
        }
    }
    parser.add(MAIN.to_owned(), nodes)?;
    Ok(parser.templates)
}

enum Item {
    Node(Node),
    End,
    Else,
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    /// The names of the variables that are in scope.
    variables: Vec<String>,
    /// The number of enclosing loops.
    loops: usize,
    depth: usize,
    templates: Templates<'a>,
}

fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

impl Parser<'_> {
    fn token_at(&self, index: usize) -> Token {
        let end = || Token { kind: Kind::End, text: String::new(), at: 0, line: 1 };
        self.tokens.get(index).or(self.tokens.last()).cloned().unwrap_or_else(end)
    }

    fn peek(&self) -> Token {
        self.token_at(self.next)
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn peek_word(&mut self) -> Token {
        self.skip_space();
        self.peek()
    }

    fn take_word(&mut self) -> Token {
        self.skip_space();
        self.take()
    }

    fn wrong(&self, what: &str) -> Failure {
        let line = self.token_at(self.next.saturating_sub(1)).line;
        Failure::Builtin(format!("template: {MAIN}:{line}: {what}"))
    }

    fn unexpected(&self, token: &Token, context: &str) -> Failure {
        match token.kind {
            Kind::Error => self.wrong(&token.text),
            _ => self.wrong(&format!("unexpected {} in {context}", token.show())),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, Failure> {
        let token = self.take_word();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let exceeded = || limits::exceeded("a template is too deep");
        self.depth = self.depth.checked_sub(1).ok_or_else(exceeded)?;
        let parsed = parse(self)?;
        self.depth += 1;
        Ok(parsed)
    }

    /// Adds a template. An existing one may be replaced if it is empty.
    fn add(&mut self, name: String, nodes: Vec<Node>) -> Result<(), Failure> {
        match self.templates.trees.get(&name) {
            Some(known) if !is_empty(known) => {
                if is_empty(&nodes) {
                    return Ok(());
                }
                let name = quote(&name);
                Err(self.wrong(&format!("template: multiple definition of template {name}")))
            }
            _ => {
                self.templates.trees.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn is_definition(&self) -> bool {
        let mut rest = self.next + 1;
        while self.token_at(rest).kind == Kind::Space {
            rest += 1;
        }
        self.token_at(rest).kind == Kind::Define
    }

    fn definition(&mut self) -> Result<(), Failure> {
        const CONTEXT: &str = "define clause";
        self.next += 1;
        self.take_word();
        let token = self.take_word();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let nodes = self.body(CONTEXT)?;
        self.add(name, nodes)
    }

    /// The nodes of a nested template, which has its own variables.
    fn body(&mut self, context: &str) -> Result<Vec<Node>, Failure> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, is_end) = self.deeper(Self::list)?;
        (self.variables, self.loops) = (outer, loops);
        if !is_end {
            return Err(self.wrong(&format!("unexpected {{{{else}}}} in {context}")));
        }
        Ok(nodes)
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Result<String, Failure> {
        match token.kind {
            Kind::QuotedText | Kind::RawText => {
                unquote::text(&token.text).map_err(|what| self.wrong(&what))
            }
            _ => Err(self.unexpected(token, context)),
        }
    }

    /// Nodes up to an end or an else: whether it is the end.
    fn list(&mut self) -> Result<(Vec<Node>, bool), Failure> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::End {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::End => return Ok((nodes, true)),
                Item::Else => return Ok((nodes, false)),
            }
        }
        self.next += 1;
        Err(self.wrong("unexpected EOF"))
    }

    fn item(&mut self) -> Result<Item, Failure> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::LeftDelimiter => self.action(),
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Failure> {
        let token = self.take_word();
        let node = match token.kind {
            Kind::Block => {
                let name_token = self.take_word();
                let name = self.template_name(&name_token, "block clause")?;
                let pipe = Some(self.pipeline("block clause", Kind::RightDelimiter)?);
                let nodes = self.body("block clause")?;
                self.add(name.clone(), nodes)?;
                Node::Template { at: name_token.at, name, pipe }
            }
            Kind::Break | Kind::Continue => {
                let word = format!("{{{{{}}}}}", token.text);
                self.expect(Kind::RightDelimiter, &word)?;
                if self.loops == 0 {
                    return Err(self.wrong(&format!("{word} outside {{{{range}}}}")));
                }
                if token.kind == Kind::Break { Node::Break } else { Node::Continue }
            }
            Kind::Else => {
                if !matches!(self.peek_word().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelimiter, "else")?;
                }
                return Ok(Item::Else);
            }
            Kind::EndWord => {
                self.expect(Kind::RightDelimiter, "end")?;
                return Ok(Item::End);
            }
            Kind::If => Node::If(self.deeper(|parser| parser.control("if", Kind::If))?),
            Kind::With => Node::With(self.deeper(|parser| parser.control("with", Kind::With))?),
            Kind::Range => Node::Range(self.deeper(|parser| parser.control("range", Kind::Range))?),
            Kind::Template => {
                let name_token = self.take_word();
                let name = self.template_name(&name_token, "template clause")?;
                let pipe = if self.peek_word().kind == Kind::RightDelimiter {
                    self.next += 1;
                    None
                } else {
                    Some(self.pipeline("template clause", Kind::RightDelimiter)?)
                };
                Node::Template { at: name_token.at, name, pipe }
            }
            _ => {
                self.next -= 1;
                Node::Action(self.pipeline("command", Kind::RightDelimiter)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn control(&mut self, context: &str, word: Kind) -> Result<Branches, Failure> {
        let mark = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        self.loops += usize::from(word == Kind::Range);
        let (then, is_end) = self.list()?;
        self.loops -= usize::from(word == Kind::Range);
        let mut otherwise = None;
        if !is_end {
            if word != Kind::Range && self.peek().kind == word {
                self.next += 1;
                let chained = self.deeper(|parser| parser.control(context, word))?;
                let node = if word == Kind::If { Node::If(chained) } else { Node::With(chained) };
                otherwise = Some(vec![node]);
            } else {
                let (nodes, is_end) = self.list()?;
                if !is_end {
                    return Err(self.wrong("expected end; found {{else}}"));
                }
                otherwise = Some(nodes);
            }
        }
        self.variables.truncate(mark);
        Ok(Branches { pipe, then, otherwise })
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Failure> {
        loop {
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let before = self.next;
            self.next += 1;
            let next = self.peek_word();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.next += 1;
                    pipe.assigns = next.kind == Kind::Assign;
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Char if next.text == "," => {
                    self.next += 1;
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return Err(self.wrong(&format!("too many declarations in {context}")));
                    }
                    let follows = self.peek_word().kind;
                    let may_follow = [Kind::Variable, Kind::RightDelimiter, Kind::RightParenthesis];
                    if !may_follow.contains(&follows) {
                        return Err(self.wrong("range can only initialize variables"));
                    }
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Failure> {
        let at = self.peek_word().at;
        let mut pipe = Pipe { at, assigns: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.take_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawText
                | Kind::QuotedText
                | Kind::Variable
                | Kind::LeftParenthesis => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
        if pipe.commands.is_empty() {
            return Err(self.wrong(&format!("missing value for {context}")));
        }
        for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
            let is_constant = matches!(
                command.words.first().map(|word| &word.kind),
                Some(
                    WordKind::Bool(_)
                        | WordKind::Dot
                        | WordKind::Nil
                        | WordKind::Integer(_)
                        | WordKind::Float(_)
                        | WordKind::Overflow
                        | WordKind::Complex
                        | WordKind::Text(_)
                )
            );
            if is_constant {
                let stage = stage + 1;
                return Err(
                    self.wrong(&format!("non executable command in pipeline stage {stage}"))
                );
            }
        }
        Ok(pipe)
    }

    fn command(&mut self) -> Result<Command, Failure> {
        let at = self.peek_word().at;
        let mut command = Command { at, text: String::new(), words: Vec::new() };
        loop {
            self.skip_space();
            command.words.extend(self.operand()?);
            let token = self.take();
            let text = self.templates.source.get(at..token.at).unwrap_or_default();
            text.trim().clone_into(&mut command.text);
            match token.kind {
                Kind::Space => {}
                Kind::RightDelimiter | Kind::RightParenthesis => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return Err(self.unexpected(&token, "operand")),
            }
        }
        if command.words.is_empty() {
            return Err(self.wrong("empty command"));
        }
        Ok(command)
    }

    fn operand(&mut self) -> Result<Option<Word>, Failure> {
        let Some(mut word) = self.term()? else { return Ok(None) };
        let mut names = Vec::new();
        let chain_at = self.peek().at;
        while self.peek().kind == Kind::Field {
            names.push(self.take().text.trim_start_matches('.').to_owned());
        }
        if names.is_empty() {
            return Ok(Some(word));
        }
        word.kind = match word.kind {
            WordKind::Field(mut own) => {
                own.extend(names);
                WordKind::Field(own)
            }
            WordKind::Variable(name, mut own) => {
                own.extend(names);
                WordKind::Variable(name, own)
            }
            WordKind::Pipe(pipe, _) => WordKind::Pipe(pipe, names),
            WordKind::Function(name) => WordKind::Chain(name, names),
            _ => {
                let text = self.templates.source.get(word.at..chain_at).unwrap_or_default();
                let text = quote(text.trim());
                return Err(self.wrong(&format!("unexpected . after term {text}")));
            }
        };
        word.at = chain_at;
        Ok(Some(word))
    }

    fn term(&mut self) -> Result<Option<Word>, Failure> {
        let token = self.take_word();
        let kind = match token.kind {
            Kind::Identifier => {
                if !functions::is_known(&token.text) {
                    let name = quote(&token.text);
                    return Err(self.wrong(&format!("function {name} not defined")));
                }
                WordKind::Function(token.text)
            }
            Kind::Dot => WordKind::Dot,
            Kind::Nil => WordKind::Nil,
            Kind::Variable => {
                if !self.variables.contains(&token.text) {
                    let name = quote(&token.text);
                    return Err(self.wrong(&format!("undefined variable {name}")));
                }
                WordKind::Variable(token.text, Vec::new())
            }
            Kind::Field => WordKind::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => WordKind::Bool(token.text == "true"),
            Kind::CharConstant => WordKind::Integer(
                unquote::character(&token.text).map_err(|what| self.wrong(&what))?,
            ),
            Kind::Complex => WordKind::Complex,
            Kind::Number => number(&token.text).map_err(|what| self.wrong(&what))?,
            Kind::LeftParenthesis => {
                let pipe = self.deeper(|parser| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParenthesis)
                })?;
                WordKind::Pipe(Box::new(pipe), Vec::new())
            }
            Kind::QuotedText | Kind::RawText => {
                WordKind::Text(unquote::text(&token.text).map_err(|what| self.wrong(&what))?)
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Word { at: token.at, kind }))
    }
}

/// A number in Go's source, as a constant.
fn number(text: &str) -> Result<WordKind, String> {
    let is_hex = |text: &str| {
        let text = text.trim_start_matches(['+', '-']);
        (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P'])
    };
    let plain = text.replace('_', "");
    if !is_hex(text) && plain.ends_with('i') {
        return Ok(WordKind::Complex);
    }
    match parse_int::parse(&plain) {
        Some(Integer::Signed(integer)) => return Ok(WordKind::Integer(integer)),
        Some(Integer::Unsigned(_)) => return Ok(WordKind::Overflow),
        None => {}
    }
    let wrong = || format!("illegal number syntax: {}", quote(text));
    let float: f64 = if plain.contains(['x', 'X']) {
        hex_float(&plain).ok_or_else(wrong)?
    } else {
        plain.parse().map_err(|_| wrong())?
    };
    if !float.is_finite() {
        return Err(wrong());
    }
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quote(text)));
    }
    Ok(WordKind::Float(float))
}

/// `0x1.8p3`
fn hex_float(text: &str) -> Option<f64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = unsigned.get(2..)?.split_once(['p', 'P'])?;
    let size = parse_float::hexadecimal(mantissa, exponent.parse().ok()?)?;
    Some(if negative { -size } else { size })
}
