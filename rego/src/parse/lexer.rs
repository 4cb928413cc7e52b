//! Splits text into tokens, one at a time and from any position.
//!
//! OPA's scanner reads one character ahead, and reports a fault of that character (a NUL, a second
//! byte order mark) together with the token before it. This lexer has no state, and does the same
//! with a list of such characters.

use super::digits::is_unicode_digit;
use super::token::{Keywords, Token};

/// A token and the text it was read from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    /// Its end (exclusive), in bytes.
    pub(super) end: usize,
    /// Its faults.
    pub(super) fault: Option<Fault>,
}

/// A fault of a token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: &'static str,
    /// The next character when the fault was found.
    pub(super) at: usize,
    /// A further fault in the same token.
    pub(super) more: bool,
}

/// The text of a module.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Characters that are invalid everywhere in Rego, by position.
    strange: Vec<(usize, &'static str)>,
}

/// The mode for the next token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    /// After the `}` of a template string's expression.
    Template,
    /// The same within back quotes.
    RawTemplate,
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut strange: Vec<_> =
            text.match_indices('\0').map(|(at, _)| (at, "illegal null character")).collect();
        strange.extend(
            text.match_indices(BYTE_ORDER_MARK)
                .filter(|(at, _)| *at > 0)
                .map(|(at, _)| (at, "illegal byte-order mark")),
        );
        strange.sort_unstable();
        Self { text, strange }
    }

    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// The beginning of the first token.
    pub(super) fn start(&self) -> usize {
        if self.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
    }

    /// Whether [`Lexer::faults`] is never needed.
    pub(super) fn is_clean(&self) -> bool {
        self.strange.is_empty()
    }

    /// The faults of a token and of the character after it, in the order of the text.
    pub(super) fn faults(&self, start: usize, lexeme: Lexeme, mode: Mode) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if let Some(fault) = lexeme.fault {
            if fault.more {
                all_faults(self.text, start, mode, &mut faults);
            } else {
                faults.push((fault.at, 1, fault.message));
            }
        }
        // The first token also reports its first character.
        let from = if start == self.start() { start } else { start + 1 };
        let first = self.strange.partition_point(|(at, _)| *at < from);
        faults.extend(
            self.strange
                .iter()
                .skip(first)
                .take_while(|(at, _)| *at <= lexeme.end)
                .map(|(at, message)| (*at, 0, *message)),
        );
        faults.sort_by_key(|(at, order, _)| (*at, *order));
        faults.into_iter().map(|(_, _, message)| message).collect()
    }

    /// Skips spaces, tabs and line ends; returns where it stopped and whether there was a line end.
    pub(super) fn skip_whitespace(&self, mut at: usize) -> (usize, bool) {
        let mut newline = false;
        for byte in self.text.as_bytes().iter().skip(at) {
            match byte {
                b'\n' => newline = true,
                b' ' | b'\t' | b'\r' => {}
                _ => break,
            }
            at += 1;
        }
        (at, newline)
    }

    /// The token at a position.
    pub(super) fn token(&self, at: usize, keywords: Keywords, mode: Mode) -> Lexeme {
        let mut reader = Reader::new(self.text, at);
        let token = match mode {
            Mode::Template => reader.template(),
            Mode::RawTemplate => reader.raw_template(),
            Mode::Plain => reader.plain(keywords),
        };
        Lexeme { token, end: reader.at, fault: reader.fault }
    }
}

/// The faults of a token with more than one.
fn all_faults(text: &str, start: usize, mode: Mode, faults: &mut Vec<(usize, u8, &'static str)>) {
    let mut reader = Reader::new(text, start);
    reader.log = Some(Vec::new());
    match mode {
        Mode::Template => reader.template(),
        Mode::RawTemplate => reader.raw_template(),
        Mode::Plain => reader.plain(Keywords::NONE),
    };
    let log = reader.log.unwrap_or_default();
    faults.extend(log.into_iter().map(|(at, message)| (at, 1, message)));
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    fault: Option<Fault>,
    log: Option<Vec<(usize, &'static str)>>,
}

impl<'a> Reader<'a> {
    const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, fault: None, log: None }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Advances by one character.
    fn skip(&mut self) {
        self.at += match self.byte() {
            None => 0,
            Some(byte) if byte.is_ascii() => 1,
            Some(_) => self
                .text
                .get(self.at..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8),
        };
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn skip_digits(&mut self) -> bool {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > start
    }

    fn wrong(&mut self, message: &'static str) {
        if let Some(log) = &mut self.log {
            log.push((self.at, message));
        }
        self.fault = Some(match self.fault {
            Some(first) => Fault { more: true, ..first },
            None => Fault { message, at: self.at, more: false },
        });
    }

    fn plain(&mut self, keywords: Keywords) -> Token {
        let Some(byte) = self.byte() else { return Token::Eof };
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.word(keywords),
            b'0'..=b'9' => return self.number(),
            _ => self.skip(),
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => Token::Whitespace,
            b'#' => self.comment(),
            b'"' => self.string(),
            b'`' => self.raw_string(),
            b'[' => Token::LBrack,
            b']' => Token::RBrack,
            b'{' => Token::LBrace,
            b'}' => Token::RBrace,
            b'(' => Token::LParen,
            b')' => Token::RParen,
            b',' => Token::Comma,
            b':' => self.or_equals(Token::Assign, Token::Colon),
            b'+' => Token::Add,
            b'-' => Token::Sub,
            b'*' => Token::Mul,
            b'/' => Token::Quo,
            b'%' => Token::Rem,
            b'&' => Token::And,
            b'|' => Token::Or,
            b'=' => self.or_equals(Token::Equal, Token::Unify),
            b'>' => self.or_equals(Token::Gte, Token::Gt),
            b'<' => self.or_equals(Token::Lte, Token::Lt),
            b';' => Token::Semicolon,
            b'.' => Token::Dot,
            b'!' => {
                if self.skip_if(b'=') {
                    return Token::Neq;
                }
                self.wrong("illegal ! character");
                Token::Illegal
            }
            b'$' if self.skip_if(b'`') => self.raw_template(),
            b'$' if self.skip_if(b'"') => self.template(),
            b'$' => {
                self.wrong("illegal $ character");
                Token::Illegal
            }
            _ => {
                let begins = self.at.checked_sub("\u{a0}".len());
                if begins.and_then(|from| self.text.get(from..self.at)) == Some("\u{a0}") {
                    self.wrong("illegal non-breaking space character, use a regular space instead");
                }
                Token::Illegal
            }
        }
    }

    fn or_equals(&mut self, with: Token, without: Token) -> Token {
        if self.skip_if(b'=') { with } else { without }
    }

    /// Skips letters and digits; digits of other scripts are treated as in OPA.
    fn skip_word(&mut self) {
        while let Some(byte) = self.byte() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' => self.at += 1,
                _ if byte.is_ascii() => return,
                _ => {
                    let next = self.text.get(self.at..).and_then(|rest| rest.chars().next());
                    match next.filter(|next| is_unicode_digit(*next)) {
                        Some(digit) => self.at += digit.len_utf8(),
                        None => return,
                    }
                }
            }
        }
    }

    fn word(&mut self, keywords: Keywords) -> Token {
        let start = self.at;
        self.skip_word();
        // OPA's scanner counts a part of the character after a word to the word.
        if self.byte().is_some_and(|byte| !byte.is_ascii()) {
            return Token::Ident;
        }
        self.text.get(start..self.at).map_or(Token::Ident, |word| keywords.token(word))
    }

    fn number(&mut self) -> Token {
        self.skip_digits();
        if self.skip_if(b'.') && !self.skip_digits() {
            self.wrong("expected fraction");
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            let _signed = self.skip_if(b'+') || self.skip_if(b'-');
            if !self.skip_digits() {
                self.wrong("expected exponent");
            }
        }
        if self.byte().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            self.wrong("illegal number format");
            self.skip_word();
        }
        Token::Number
    }

    fn comment(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at = rest.find('\n').map_or(self.text.len(), |newline| self.at + newline);
        Token::Comment
    }

    fn raw_string(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if let Some(quote) = rest.find('`') {
            self.at += quote + 1;
        } else {
            self.at = self.text.len();
            self.wrong("non-terminated string");
        }
        Token::String
    }

    fn string(&mut self) -> Token {
        while self.goes_on() {
            match self.next_special(b'"', b'\\') {
                Some(b'"') => break,
                Some(_) => self.escape(false),
                None => {}
            }
        }
        Token::String
    }

    fn template(&mut self) -> Token {
        while self.goes_on() {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Token::TemplateEnd;
                }
                Some(b'{') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(true);
                }
                _ => self.skip(),
            }
        }
        Token::TemplatePart
    }

    fn raw_template(&mut self) -> Token {
        loop {
            match self.byte() {
                None => {
                    self.wrong("non-terminated string");
                    return Token::RawTemplatePart;
                }
                Some(b'`') => {
                    self.at += 1;
                    return Token::RawTemplateEnd;
                }
                Some(b'{') => {
                    self.at += 1;
                    return Token::RawTemplatePart;
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.skip_if(b'{');
                }
                Some(_) => self.skip(),
            }
        }
    }

    /// Whether the line continues; records the fault where it does not.
    fn goes_on(&mut self) -> bool {
        let goes_on = !matches!(self.byte(), None | Some(b'\n'));
        if !goes_on {
            self.wrong("non-terminated string");
        }
        goes_on
    }

    /// Advances past the next of two bytes in this line, or to the line's end.
    fn next_special(&mut self, one: u8, other: u8) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| *byte == one || *byte == other || *byte == b'\n';
        match rest.iter().position(ends) {
            Some(length) => {
                self.at += length;
                let found = self.byte().filter(|byte| *byte != b'\n');
                if found.is_some() {
                    self.at += 1;
                }
                found
            }
            None => {
                self.at = self.text.len();
                None
            }
        }
    }

    /// The escape after a backslash.
    fn escape(&mut self, in_template: bool) {
        match self.byte() {
            Some(b'\\' | b'"' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'{') if in_template => self.at += 1,
            Some(b'u') => (0..4).for_each(|_| self.skip()),
            _ => self.wrong("illegal escape sequence"),
        }
    }
}
