//! Splits GraphQL texts into tokens.

use crate::builtins::Failure;
use crate::builtins::go::quote::quote;

use super::broken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// An invalid token; its fault is reported when it is taken.
    Invalid,
    /// One of `! $ & ( ) : = @ [ ] { } |`.
    Mark(char),
    Spread,
    Name,
    Integer,
    Float,
    Text,
    Block,
    Comment,
}

impl Kind {
    pub(super) fn show(self) -> String {
        match self {
            Self::End => "<EOF>".to_owned(),
            Self::Invalid => "<Invalid>".to_owned(),
            Self::Mark(c) => c.to_string(),
            Self::Spread => "...".to_owned(),
            Self::Name => "Name".to_owned(),
            Self::Integer => "Int".to_owned(),
            Self::Float => "Float".to_owned(),
            Self::Text => "String".to_owned(),
            Self::Block => "BlockString".to_owned(),
            Self::Comment => "Comment".to_owned(),
        }
    }
}

/// A token and its beginning, in lines and characters from 1.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) place: (usize, usize),
}

impl Token {
    pub(super) fn show(&self) -> String {
        if self.text.is_empty() {
            return self.kind.show();
        }
        format!("{} {}", self.kind.show(), quote(&self.text))
    }
}

/// A failure at a place.
pub(super) fn wrong((line, column): (usize, usize), what: &str) -> Failure {
    broken(format!("{what} in GraphQL string at location {line}:{column}"))
}

/// The lexer.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, column: 1 }
    }

    /// Its position.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.column += 1;
        Some(c)
    }

    /// Skips the examined text.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    fn new_line(&mut self) {
        self.line += 1;
        self.column = 1;
    }

    fn space(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                '\t' | ' ' | ',' | '\u{feff}' => {
                    self.next();
                }
                '\n' => {
                    self.next();
                    self.new_line();
                }
                '\r' => {
                    self.next();
                    self.new_line();
                    if self.peek() == Some('\n') {
                        self.next();
                    }
                }
                _ => return,
            }
        }
    }

    fn wrong(&self, what: &str) -> Failure {
        wrong(self.place(), what)
    }

    /// The next token.
    pub(super) fn read(&mut self) -> Result<Token, Failure> {
        self.space();
        let place = self.place();
        let token = |kind, text: &str| Token { kind, text: text.to_owned(), place };
        let Some(c) = self.peek() else { return Ok(token(Kind::End, "")) };
        match c {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '}' | '|' => {
                self.next();
                Ok(token(Kind::Mark(c), ""))
            }
            '.' if self.rest.starts_with("...") => {
                self.skip(3);
                Ok(token(Kind::Spread, ""))
            }
            '#' => {
                let end = self.rest.find(|c: char| c < ' ' && c != '\t');
                let text = self.rest.get(..end.unwrap_or(self.rest.len())).unwrap_or_default();
                self.skip(text.chars().count());
                Ok(token(Kind::Comment, text))
            }
            '_' | 'a'..='z' | 'A'..='Z' => {
                let is_of_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
                let end = self.rest.find(|c| !is_of_name(c)).unwrap_or(self.rest.len());
                let text = self.rest.get(..end).unwrap_or_default();
                self.skip(text.len());
                Ok(token(Kind::Name, text))
            }
            '-' | '0'..='9' => self.number(place),
            '"' if self.rest.starts_with("\"\"\"") => self.block(place),
            '"' => self.text(place),
            '\0'..='\x1f' => {
                let code = u32::from(c);
                Err(self.wrong(&format!("Cannot contain the invalid character \"\\u{code:04x}\"")))
            }
            '\'' => Err(self.wrong(
                "Unexpected single quote character ('), did you mean to use a double quote (\")?",
            )),
            c => {
                // Go takes a byte for a character.
                let mut buffer = [0; 4];
                let first = c.encode_utf8(&mut buffer).bytes().next().map_or(c, char::from);
                Err(self.wrong(&format!("Cannot parse the unexpected character \"{first}\".")))
            }
        }
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|c| valid.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn digits(&mut self) -> Result<(), Failure> {
        if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
            let next = self.describe();
            return Err(self.wrong(&format!("Invalid number, expected digit but got: {next}.")));
        }
        while self.accept("0123456789") {}
        Ok(())
    }

    fn describe(&self) -> String {
        match self.rest.bytes().next() {
            Some(byte) => format!("\"{}\"", char::from(byte)),
            None => "<EOF>".to_owned(),
        }
    }

    fn number(&mut self, place: (usize, usize)) -> Result<Token, Failure> {
        let whole = self.rest;
        let mut kind = Kind::Integer;
        self.accept("-");
        if self.accept("0") {
            if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                let next = self.describe();
                let what = format!("Invalid number, unexpected digit after 0: {next}.");
                return Err(self.wrong(&what));
            }
        } else {
            self.digits()?;
        }
        if self.accept(".") {
            kind = Kind::Float;
            self.digits()?;
        }
        if self.accept("eE") {
            kind = Kind::Float;
            self.accept("-+");
            self.digits()?;
        }
        let length = whole.len() - self.rest.len();
        let text = whole.get(..length).unwrap_or_default().to_owned();
        Ok(Token { kind, text, place })
    }

    fn text(&mut self, (line, column): (usize, usize)) -> Result<Token, Failure> {
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None | Some('\n' | '\r') => return Err(self.wrong("Unterminated string.")),
                Some(c) if c < ' ' && c != '\t' => {
                    let code = u32::from(c);
                    let what = format!("Invalid character within String: \"\\u{code:04x}\".");
                    return Err(self.wrong(&what));
                }
                Some('"') => {
                    self.next();
                    // The place is that of the first character within.
                    return Ok(Token { kind: Kind::Text, text, place: (line, column + 1) });
                }
                Some('\\') => text.push(self.escape()?),
                Some(c) => {
                    text.push(c);
                    self.next();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        self.next();
        let wrong = |lexer: &Self, shown: &str| {
            lexer.wrong(&format!("Invalid character escape sequence: \\{shown}."))
        };
        let c = match self.peek() {
            None => return Err(self.wrong("Invalid character escape sequence.")),
            Some(c @ ('"' | '/' | '\\')) => c,
            Some('b') => '\x08',
            Some('f') => '\x0c',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                if self.rest.len() < 6 {
                    return Err(wrong(self, self.rest));
                }
                let digits = self.rest.get(1..5).unwrap_or_default();
                let is_hex = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
                if !is_hex {
                    return Err(wrong(self, self.rest.get(..5).unwrap_or_default()));
                }
                let code = u32::from_str_radix(digits, 16).unwrap_or(0);
                self.skip(5);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            Some(c) => return Err(wrong(self, &c.to_string())),
        };
        self.next();
        Ok(c)
    }

    fn block(&mut self, _: (usize, usize)) -> Result<Token, Failure> {
        self.skip(3);
        let mut raw = String::new();
        loop {
            let quotes = self.rest.bytes().take_while(|byte| *byte == b'"').count();
            if quotes >= 3 {
                raw.extend(std::iter::repeat_n('"', quotes - 3));
                let place = self.place();
                self.skip(quotes);
                return Ok(Token { kind: Kind::Block, text: without_indent(&raw), place });
            }
            if self.rest.starts_with("\\\"\"\"") {
                raw.push_str("\"\"\"");
                self.skip(4);
                continue;
            }
            match self.next() {
                None => return Err(self.wrong("Unterminated string.")),
                Some('\n') => {
                    raw.push('\n');
                    self.new_line();
                }
                Some('\r') => {
                    if self.peek() == Some('\n') {
                        self.next();
                    }
                    raw.push('\n');
                    self.new_line();
                }
                Some(c) if c < ' ' && c != '\t' => {
                    self.column -= 1;
                    let code = u32::from(c);
                    let what = format!("Invalid character within String: \"\\u{code:04x}\".");
                    return Err(self.wrong(&what));
                }
                Some(c) => raw.push(c),
            }
        }
    }
}

/// The text of a block: without the indent that its lines share, and without empty lines around.
fn without_indent(raw: &str) -> String {
    let indent = |line: &str| line.find(|c| c != ' ' && c != '\t');
    let mut lines: Vec<&str> = raw.split('\n').collect();
    let common = lines.iter().filter_map(|line| indent(line)).min();
    if let Some(common) = common {
        for line in lines.iter_mut().skip(1) {
            *line = line.get(common..).unwrap_or_default();
        }
    }
    let is_blank = |line: &&str| indent(line).is_none();
    let start = lines.iter().take_while(|line| is_blank(line)).count();
    let lines = lines.get(start..).unwrap_or_default();
    let end = lines.len() - lines.iter().rev().take_while(|line| is_blank(line)).count();
    lines.get(..end).unwrap_or_default().join("\n")
}
