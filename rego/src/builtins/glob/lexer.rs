//! The tokens of a glob pattern.

/// Why a pattern is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offence {
    pub(super) offset: usize,
    pub(super) reason: String,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Characters, without their escapes.
    Text(String),
    /// `*`
    Star,
    /// `**`
    DoubleStar,
    /// `?`
    Single,
    /// `[abc]`, `[!abc]`
    Set { negated: bool, characters: String },
    /// `[a-c]`, `[!a-c]`
    Range { negated: bool, first: char, last: char },
    /// `{`
    Open,
    /// `,` between braces
    Comma,
    /// `}`
    Close,
}

/// Reads a pattern from left to right.
pub(super) struct Lexer<'a> {
    whole: &'a str,
    rest: &'a str,
    /// How many braces are open.
    level: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(pattern: &'a str) -> Self {
        Self { whole: pattern, rest: pattern, level: 0 }
    }

    /// The number of bytes read.
    pub(super) fn offset(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    fn read(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn offence(&self, what: &str) -> Offence {
        Offence { offset: self.offset(), reason: what.to_owned() }
    }

    /// The next token; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Offence> {
        let inside = self.level > 0;
        let Some(c) = self.rest.chars().next() else { return Ok(None) };
        let token = match c {
            '{' => {
                self.level += 1;
                Token::Open
            }
            ',' if inside => Token::Comma,
            '}' if inside => {
                self.level -= 1;
                Token::Close
            }
            '?' => Token::Single,
            '*' if self.rest.starts_with("**") => {
                self.read();
                Token::DoubleStar
            }
            '*' => Token::Star,
            '[' => {
                self.read();
                return self.class().map(Some);
            }
            _ => {
                let breakers: &[char] =
                    if inside { &['?', '*', '[', '{', '}', ','] } else { &['?', '*', '[', '{'] };
                return self.text(breakers).map(|text| Some(Token::Text(text)));
            }
        };
        self.read();
        Ok(Some(token))
    }

    /// The characters up to one of some others.
    fn text(&mut self, breakers: &[char]) -> Result<String, Offence> {
        let mut text = String::new();
        while let Some(c) = self.rest.chars().next() {
            if breakers.contains(&c) {
                break;
            }
            self.read();
            if c == '\\' {
                text.push(self.read().ok_or_else(|| self.offence("trailing backslash"))?);
            } else {
                text.push(c);
            }
        }
        Ok(text)
    }

    /// The content of brackets: one range, or any number of characters.
    fn class(&mut self) -> Result<Token, Offence> {
        let negated = self.take('!');
        let start = self.rest;
        let first = self.read().ok_or_else(|| self.offence("unexpected end of input"))?;
        if self.take('-') {
            let last = self.read().ok_or_else(|| self.offence("unexpected end of input"))?;
            self.close()?;
            if last < first {
                return Err(self.offence("range hi character is less than lo"));
            }
            return Ok(Token::Range { negated, first, last });
        }
        self.rest = start;
        let characters = self.text(&[']'])?;
        self.close()?;
        if characters.is_empty() {
            return Err(self.offence("could not parse range"));
        }
        Ok(Token::Set { negated, characters })
    }

    fn close(&mut self) -> Result<(), Offence> {
        match self.read() {
            Some(']') => Ok(()),
            Some(_) => Err(self.offence("expected close range character")),
            None => Err(self.offence("unexpected end of input")),
        }
    }
}
