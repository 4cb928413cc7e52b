//! Splits templates into tokens.

use crate::builtins::go::quote::quote;
use crate::builtins::go::unicode;

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    End,
    Field,
    Identifier,
    LeftDelimiter,
    LeftParenthesis,
    Number,
    Pipe,
    RawText,
    RightDelimiter,
    RightParenthesis,
    Space,
    QuotedText,
    Text,
    Variable,
    /// The following ones are keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    EndWord,
    If,
    Nil,
    Range,
    Template,
    With,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// In bytes from the beginning.
    pub(super) at: usize,
    /// From 1.
    pub(super) line: usize,
}

impl Token {
    /// Go's name of it in messages.
    pub(super) fn show(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Block
            | Kind::Break
            | Kind::Continue
            | Kind::Dot
            | Kind::Define
            | Kind::Else
            | Kind::EndWord
            | Kind::If
            | Kind::Nil
            | Kind::Range
            | Kind::Template
            | Kind::With => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", quote(&head))
            }
            _ => quote(&self.text),
        }
    }
}

fn keyword(word: &str) -> Option<Kind> {
    Some(match word {
        "block" => Kind::Block,
        "break" => Kind::Break,
        "continue" => Kind::Continue,
        "define" => Kind::Define,
        "else" => Kind::Else,
        "end" => Kind::EndWord,
        "if" => Kind::If,
        "nil" => Kind::Nil,
        "range" => Kind::Range,
        "template" => Kind::Template,
        "with" => Kind::With,
        _ => return None,
    })
}

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

fn is_of_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii() && c.is_alphanumeric()
}

/// The tokens of a template; the last one is its end, or a fault.
pub(super) fn lex(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, start: 0, line: 1, tokens: Vec::new(), depth: 0 };
    if let Err(what) = lexer.all() {
        lexer.line = lexer.line_of(lexer.start);
        lexer.tokens.push(Token {
            kind: Kind::Error,
            text: what,
            at: lexer.start,
            line: lexer.line,
        });
    }
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    start: usize,
    line: usize,
    tokens: Vec<Token>,
    /// The number of open parentheses.
    depth: usize,
}

type Done = Result<(), String>;

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn taken(&self) -> &'a str {
        self.source.get(self.start..self.at).unwrap_or_default()
    }

    /// The line of a place that is not before the last token's.
    fn line_of(&self, at: usize) -> usize {
        let before = self.tokens.last().map_or(0, |token| token.at);
        let line = self.tokens.last().map_or(1, |token| token.line);
        let between = self.source.get(before..at).unwrap_or_default();
        line + between.matches('\n').count()
    }

    fn emit(&mut self, kind: Kind) {
        let line = self.line_of(self.start);
        let text = self.taken().to_owned();
        self.tokens.push(Token { kind, text, at: self.start, line });
        self.start = self.at;
    }

    fn ignore(&mut self) {
        self.start = self.at;
    }

    fn all(&mut self) -> Done {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.at = self.source.len();
                if self.start < self.at {
                    self.emit(Kind::Text);
                }
                self.emit(Kind::End);
                return Ok(());
            };
            let open = self.at + length;
            let trims = self.source.get(open + LEFT.len()..).is_some_and(trims_left);
            let text = self.source.get(self.start..open).unwrap_or_default();
            let text = if trims { text.trim_end_matches(SPACES) } else { text };
            if !text.is_empty() {
                self.at = self.start + text.len();
                self.emit(Kind::Text);
            }
            (self.at, self.start) = (open, open);
            self.action(trims)?;
        }
    }

    fn action(&mut self, trims: bool) -> Done {
        self.at += LEFT.len();
        let marker = if trims { 2 } else { 0 };
        let inner = self.source.get(self.at + marker..).unwrap_or_default();
        if inner.starts_with("/*") {
            self.at += marker;
            self.ignore();
            return self.comment();
        }
        self.emit(Kind::LeftDelimiter);
        self.at += marker;
        self.ignore();
        self.depth = 0;
        while !self.right()? {
            self.inside()?;
        }
        Ok(())
    }

    fn comment(&mut self) -> Done {
        let Some(length) = self.rest().find("*/").filter(|length| *length >= 2) else {
            return Err("unclosed comment".to_owned());
        };
        self.at += length + 2;
        let (is_end, trims) = self.at_right();
        if !is_end {
            return Err("comment ends before closing delimiter".to_owned());
        }
        self.close(trims);
        Ok(())
    }

    /// Whether an action ends here, and whether the space after it is trimmed.
    fn at_right(&self) -> (bool, bool) {
        let rest = self.rest();
        let mut chars = rest.chars();
        let has_marker = chars.next().is_some_and(is_space) && chars.next() == Some('-');
        if has_marker && rest.get(2..).is_some_and(|rest| rest.starts_with(RIGHT)) {
            return (true, true);
        }
        (rest.starts_with(RIGHT), false)
    }

    fn close(&mut self, trims: bool) {
        self.at += if trims { 2 } else { 0 } + RIGHT.len();
        if trims {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
        self.ignore();
    }

    fn right(&mut self) -> Result<bool, String> {
        let (is_end, trims) = self.at_right();
        if !is_end {
            return Ok(false);
        }
        if self.depth > 0 {
            return Err("unclosed left paren".to_owned());
        }
        if trims {
            self.at += 2;
            self.ignore();
        }
        self.at += RIGHT.len();
        self.emit(Kind::RightDelimiter);
        self.at -= RIGHT.len() + if trims { 2 } else { 0 };
        self.close(trims);
        Ok(true)
    }

    fn inside(&mut self) -> Done {
        let Some(c) = self.next() else { return Err("unclosed action".to_owned()) };
        match c {
            c if is_space(c) => {
                // A space before a marker belongs to the marker.
                while self.peek().is_some_and(is_space) && !self.at_right().1 {
                    self.next();
                }
                self.emit(Kind::Space);
            }
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err("expected :=".to_owned());
                }
                self.emit(Kind::Declare);
            }
            '|' => self.emit(Kind::Pipe),
            '"' => return self.quoted('"', Kind::QuotedText, "unterminated quoted string"),
            '\'' => {
                return self.quoted('\'', Kind::CharConstant, "unterminated character constant");
            }
            '`' => {
                let end = self.rest().find('`');
                let end = end.ok_or("unterminated raw quoted string")?;
                self.at += end + 1;
                self.emit(Kind::RawText);
            }
            '$' => return self.name(Kind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return self.name(Kind::Field);
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = self.start;
                return self.number();
            }
            '(' => {
                self.depth += 1;
                self.emit(Kind::LeftParenthesis);
            }
            ')' => {
                self.depth =
                    self.depth.checked_sub(1).ok_or("unexpected right paren".to_owned())?;
                self.emit(Kind::RightParenthesis);
            }
            c if is_of_word(c) => return self.word(),
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => return Err(format!("unrecognized character in action: {}", code(c))),
        }
        Ok(())
    }

    fn quoted(&mut self, mark: char, kind: Kind, unterminated: &str) -> Done {
        loop {
            match self.next() {
                None | Some('\n') => return Err(unterminated.to_owned()),
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(unterminated.to_owned());
                    }
                }
                Some(c) if c == mark => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn is_at_end_of_word(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn check_end_of_word(&self) -> Done {
        if self.is_at_end_of_word() {
            return Ok(());
        }
        Err(format!("bad character {}", self.peek().map_or_else(String::new, code)))
    }

    fn skip_word(&mut self) {
        while self.peek().is_some_and(is_of_word) {
            self.next();
        }
    }

    /// A name after a dot or a dollar sign.
    fn name(&mut self, kind: Kind) -> Done {
        if self.is_at_end_of_word() {
            self.emit(if kind == Kind::Field { Kind::Dot } else { kind });
            return Ok(());
        }
        self.skip_word();
        self.check_end_of_word()?;
        self.emit(kind);
        Ok(())
    }

    fn word(&mut self) -> Done {
        self.skip_word();
        self.check_end_of_word()?;
        let kind = match self.taken() {
            "true" | "false" => Kind::Bool,
            word => keyword(word).unwrap_or(Kind::Identifier),
        };
        self.emit(kind);
        Ok(())
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|c| valid.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn accept_all(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn number(&mut self) -> Done {
        let wrong = |lexer: &Self| format!("bad number syntax: {}", quote(lexer.taken()));
        if !self.scan_number() {
            return Err(wrong(self));
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.taken().ends_with('i') {
                return Err(wrong(self));
            }
            self.emit(Kind::Complex);
        } else {
            self.emit(Kind::Number);
        }
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_all(digits);
        if self.accept(".") {
            self.accept_all(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_all("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_of_word) {
            self.next();
            return false;
        }
        true
    }
}

fn trims_left(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// `U+0040 '@'`
fn code(c: char) -> String {
    let shown = if unicode::is_printable(c) { format!(" '{c}'") } else { String::new() };
    format!("U+{:04X}{shown}", u32::from(c))
}
