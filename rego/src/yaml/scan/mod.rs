//! Splits YAML texts into tokens, as Go's `yaml.v3` scans them (a port of libyaml): where a key
//! begins is known only at its colon, so places that may begin one are kept until then.

mod names;
mod scalars;

use std::collections::{HashMap, VecDeque};

use super::YamlError;

/// Characters of a key that stands before its colon without a `?`, at most.
const KEY: usize = 1024;

/// Levels of brackets and of indents at most; the parser has a lower bound.
const LEVELS: usize = 10_000;

/// A token that does not exist: no key precedes it.
const NO_TOKEN: usize = usize::MAX;

/// How many tokens are read ahead, as Go does for comments.
const AHEAD: usize = 3;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// In quotation marks, or as a block.
    Marked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    StreamEnd,
    Version { is_known: bool },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, style: Style },
}

/// A place in the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// In bytes.
    pub(super) offset: usize,
    /// In characters.
    index: usize,
    /// From 0.
    pub(super) line: usize,
    column: usize,
}

/// A token and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) mark: Mark,
}

/// A position where a key may have begun.
#[derive(Debug, Clone, Copy)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token: usize,
    mark: Mark,
}

/// The scanner of a text.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    mark: Mark,
    tokens: VecDeque<Placed>,
    /// How many tokens have been taken.
    taken: usize,
    flow_level: usize,
    /// The columns of the open blocks.
    indents: Vec<Option<usize>>,
    indent: Option<usize>,
    simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    /// The places in `simple_keys` by the tokens that they would precede.
    by_token: HashMap<usize, usize>,
}

type Done = Result<(), YamlError>;

/// A failure with Go's message: the context's line, or else the problem's.
fn wrong(context: Mark, problem: Mark, what: &str) -> YamlError {
    let line = if context.line != 0 { context.line } else { problem.line };
    let place = if line == 0 { String::new() } else { format!("line {}: ", line + 1) };
    YamlError::at(problem.offset, format!("{place}{what}"))
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// The end of the text is a zero byte, which no text has.
fn is_break_or_end(c: char) -> bool {
    is_break(c) || c == '\0'
}

fn is_blank_or_end(c: char) -> bool {
    is_blank(c) || is_break_or_end(c)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// A character that YAML texts may have.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, YamlError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_lost = |c: char| crate::builtins::bytes::is_byte(c);
        if let Some((offset, c)) = text.char_indices().find(|(_, c)| !is_allowed(*c) || is_lost(*c))
        {
            let what = if is_lost(c) {
                "invalid leading UTF-8 octet"
            } else {
                "control characters are not allowed"
            };
            return Err(YamlError::at(offset, what.to_owned()));
        }
        let mark = Mark::default();
        let first = SimpleKey { possible: false, required: false, token: NO_TOKEN, mark };
        Ok(Self {
            text: text.as_bytes(),
            mark,
            tokens: VecDeque::new(),
            taken: 0,
            flow_level: 0,
            indents: Vec::new(),
            indent: None,
            simple_key_allowed: true,
            simple_keys: vec![first],
            by_token: HashMap::new(),
        })
    }

    /// The next token.
    pub(super) fn peek(&mut self) -> Result<&Placed, YamlError> {
        while self.needs_more()? {
            self.fetch()?;
        }
        self.tokens.front().ok_or_else(|| YamlError::at(self.mark.offset, String::new()))
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Placed, YamlError> {
        self.peek()?;
        self.taken += 1;
        let end = || YamlError::at(0, String::new());
        self.tokens.pop_front().ok_or_else(end)
    }

    fn needs_more(&mut self) -> Result<bool, YamlError> {
        if self.tokens.len() < AHEAD {
            return Ok(true);
        }
        let Some(place) = self.by_token.get(&self.taken).copied() else { return Ok(false) };
        self.is_valid(place)
    }

    // --- characters

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.mark.offset..).unwrap_or_default()
    }

    /// The character at an offset; all characters before it must be ASCII.
    fn ahead(&self, bytes: usize) -> char {
        let rest = self.text.get(self.mark.offset + bytes..).unwrap_or_default();
        match rest.first() {
            None => '\0',
            Some(byte) if byte.is_ascii() => char::from(*byte),
            Some(_) => {
                let head = rest.get(..rest.len().min(4)).unwrap_or_default();
                let chunk = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                chunk.chars().next().unwrap_or('\0')
            }
        }
    }

    fn current(&self) -> char {
        self.ahead(0)
    }

    fn skip(&mut self) -> char {
        let c = self.current();
        if c != '\0' {
            self.mark.offset += c.len_utf8();
            self.mark.index += 1;
            self.mark.column += 1;
        }
        c
    }

    fn skip_many(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    /// Skips the end of a line, and returns its form in a scalar.
    fn skip_line(&mut self) -> Option<char> {
        let c = self.current();
        if !is_break(c) {
            return None;
        }
        self.skip();
        if c == '\r' && self.current() == '\n' {
            self.skip();
        }
        self.mark.line += 1;
        self.mark.column = 0;
        Some(if matches!(c, '\r' | '\u{85}') { '\n' } else { c })
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.current()) {
            self.skip();
        }
    }

    fn skip_comment(&mut self) {
        if self.current() == '#' {
            while !is_break_or_end(self.current()) {
                self.skip();
            }
        }
    }

    /// Whether a line begins here that separates documents.
    fn is_at_document_mark(&self) -> bool {
        let rest = self.rest();
        self.mark.column == 0
            && (rest.starts_with(b"---") || rest.starts_with(b"..."))
            && is_blank_or_end(self.ahead(3))
    }

    // --- keys and indents

    fn is_valid(&mut self, place: usize) -> Result<bool, YamlError> {
        let now = self.mark;
        let Some(key) = self.simple_keys.get_mut(place).filter(|key| key.possible) else {
            return Ok(false);
        };
        if key.mark.line < now.line || key.mark.index + KEY < now.index {
            if key.required {
                return Err(wrong(key.mark, now, "could not find expected ':'"));
            }
            key.possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn save_key(&mut self) -> Done {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let required = self.flow_level == 0 && self.indent == Some(self.mark.column);
        let token = self.taken + self.tokens.len();
        self.remove_key()?;
        let place = self.simple_keys.len().saturating_sub(1);
        if let Some(key) = self.simple_keys.last_mut() {
            *key = SimpleKey { possible: true, required, token, mark: self.mark };
        }
        self.by_token.insert(token, place);
        Ok(())
    }

    fn remove_key(&mut self) -> Done {
        let now = self.mark;
        if let Some(key) = self.simple_keys.last_mut().filter(|key| key.possible) {
            if key.required {
                return Err(wrong(key.mark, now, "could not find expected ':'"));
            }
            key.possible = false;
            let token = key.token;
            self.by_token.remove(&token);
        }
        Ok(())
    }

    fn push(&mut self, token: Token, mark: Mark) {
        self.tokens.push_back(Placed { token, mark });
    }

    /// Opens a block at a greater column; its token is inserted before one that is not taken yet.
    fn roll(&mut self, column: usize, before: Option<usize>, token: Token, mark: Mark) -> Done {
        if self.flow_level > 0 || self.indent.is_some_and(|indent| indent >= column) {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = Some(column);
        if self.indents.len() > LEVELS {
            return Err(wrong(mark, mark, &format!("exceeded max depth of {LEVELS}")));
        }
        let placed = Placed { token, mark };
        match before.and_then(|before| before.checked_sub(self.taken)) {
            Some(at) if at <= self.tokens.len() => self.tokens.insert(at, placed),
            _ => self.tokens.push_back(placed),
        }
        Ok(())
    }

    /// Closes the blocks at greater columns. They end where the last token did.
    fn unroll(&mut self, column: Option<usize>, end: Mark) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd, end);
            self.indent = self.indents.pop().flatten();
        }
    }

    // --- tokens

    fn fetch(&mut self) -> Done {
        let end = self.mark;
        self.skip_to_token();
        self.unroll(Some(self.mark.column), end);
        let c = self.current();
        let next = self.ahead(1);
        if c == '\0' {
            return self.fetch_end();
        }
        if self.mark.column == 0 && c == '%' {
            self.unroll(None, self.mark);
            self.remove_key()?;
            self.simple_key_allowed = false;
            return self.directive();
        }
        if self.is_at_document_mark() {
            self.unroll(None, self.mark);
            self.remove_key()?;
            self.simple_key_allowed = false;
            let token = if c == '-' { Token::DocumentStart } else { Token::DocumentEnd };
            self.push(token, self.mark);
            self.skip_many(3);
            return Ok(());
        }
        let in_flow = self.flow_level > 0;
        match c {
            '[' => self.open(Token::FlowSequenceStart),
            '{' => self.open(Token::FlowMappingStart),
            ']' => self.close(Token::FlowSequenceEnd),
            '}' => self.close(Token::FlowMappingEnd),
            ',' => {
                self.remove_key()?;
                self.simple_key_allowed = true;
                self.indicator(Token::FlowEntry);
                Ok(())
            }
            '-' if is_blank_or_end(next) => self.block_entry(),
            '?' if in_flow || is_blank_or_end(next) => self.key(),
            ':' if in_flow || is_blank_or_end(next) => self.colon(),
            '*' | '&' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.anchor(c == '*')
            }
            '!' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.tag()
            }
            '|' | '>' if !in_flow => {
                self.remove_key()?;
                self.simple_key_allowed = true;
                self.block_scalar(c == '|')
            }
            '\'' | '"' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.quoted(c == '\'')
            }
            _ => {
                let is_indicator = is_blank_or_end(c) || "-?:,[]{}#&*!|>'\"%@`".contains(c);
                let is_plain = !is_indicator
                    || c == '-' && !is_blank(next)
                    || !in_flow && matches!(c, '?' | ':') && !is_blank_or_end(next);
                if !is_plain {
                    let what = "found character that cannot start any token";
                    return Err(wrong(self.mark, self.mark, what));
                }
                self.save_key()?;
                self.simple_key_allowed = false;
                self.plain()
            }
        }
    }

    fn indicator(&mut self, token: Token) {
        self.push(token, self.mark);
        self.skip();
    }

    fn skip_to_token(&mut self) {
        loop {
            let may_be_tab = self.flow_level > 0 || !self.simple_key_allowed;
            while self.current() == ' ' || may_be_tab && self.current() == '\t' {
                self.skip();
            }
            self.skip_comment();
            if self.skip_line().is_none() {
                return;
            }
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    fn fetch_end(&mut self) -> Done {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll(None, self.mark);
        self.remove_key()?;
        self.simple_key_allowed = false;
        self.push(Token::StreamEnd, self.mark);
        Ok(())
    }

    fn open(&mut self, token: Token) -> Done {
        self.save_key()?;
        let key = SimpleKey { possible: false, required: false, token: NO_TOKEN, mark: self.mark };
        self.simple_keys.push(key);
        self.flow_level += 1;
        if self.flow_level > LEVELS {
            return Err(wrong(self.mark, self.mark, &format!("exceeded max depth of {LEVELS}")));
        }
        self.simple_key_allowed = true;
        self.indicator(token);
        Ok(())
    }

    fn close(&mut self, token: Token) -> Done {
        self.remove_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(key) = self.simple_keys.pop() {
                self.by_token.remove(&key.token);
            }
        }
        self.simple_key_allowed = false;
        self.indicator(token);
        Ok(())
    }

    fn block_entry(&mut self) -> Done {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                let what = "block sequence entries are not allowed in this context";
                return Err(wrong(self.mark, self.mark, what));
            }
            self.roll(self.mark.column, None, Token::BlockSequenceStart, self.mark)?;
        }
        self.remove_key()?;
        self.simple_key_allowed = true;
        self.indicator(Token::BlockEntry);
        Ok(())
    }

    fn key(&mut self) -> Done {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                let what = "mapping keys are not allowed in this context";
                return Err(wrong(self.mark, self.mark, what));
            }
            self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
        }
        self.remove_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.indicator(Token::Key);
        Ok(())
    }

    fn colon(&mut self) -> Done {
        let place = self.simple_keys.len().saturating_sub(1);
        if self.is_valid(place)? {
            let Some(key) = self.simple_keys.last().copied() else { return Ok(()) };
            let at = key.token.saturating_sub(self.taken).min(self.tokens.len());
            self.tokens.insert(at, Placed { token: Token::Key, mark: key.mark });
            let (column, before) = (key.mark.column, Some(key.token));
            self.roll(column, before, Token::BlockMappingStart, key.mark)?;
            if let Some(key) = self.simple_keys.last_mut() {
                key.possible = false;
            }
            self.by_token.remove(&key.token);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    let what = "mapping values are not allowed in this context";
                    return Err(wrong(self.mark, self.mark, what));
                }
                self.roll(self.mark.column, None, Token::BlockMappingStart, self.mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.indicator(Token::Value);
        Ok(())
    }
}
