//! Scalars: plain, in quotation marks, and blocks.

use super::{
    Done, Mark, Scanner, Style, Token, is_blank, is_blank_or_end, is_break, is_break_or_end, wrong,
};
use crate::yaml::YamlError;

/// The text between words of a scalar over several lines: a line's end is a space, empty lines are
/// kept.
#[derive(Default)]
struct Space {
    /// Before a line's end.
    blanks: String,
    /// Whether a line has ended.
    folded: bool,
    /// The first line's end; empty where it is escaped.
    first: Option<char>,
    /// Those that follow.
    breaks: String,
}

impl Space {
    fn append_to(self, text: &mut String) {
        if !self.folded {
            text.push_str(&self.blanks);
            return;
        }
        match self.first {
            Some('\n') if self.breaks.is_empty() => text.push(' '),
            Some('\n') | None => {}
            Some(other) => text.push(other),
        }
        text.push_str(&self.breaks);
    }
}

impl Scanner<'_> {
    pub(super) fn block_scalar(&mut self, literal: bool) -> Done {
        let start = self.mark;
        self.skip();
        let (mut keeps, mut strips, mut increment) = (false, false, None);
        for _ in 0..2 {
            match self.current() {
                '+' | '-' if !keeps && !strips => {
                    keeps = self.current() == '+';
                    strips = !keeps;
                    self.skip();
                }
                c @ '0'..='9' if increment.is_none() => {
                    if c == '0' {
                        let what = "found an indentation indicator equal to 0";
                        return Err(wrong(start, self.mark, what));
                    }
                    increment = c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                    self.skip();
                }
                _ => break,
            }
        }
        self.skip_blanks();
        self.skip_comment();
        if !is_break_or_end(self.current()) {
            return Err(wrong(start, self.mark, "did not find expected comment or line break"));
        }
        self.skip_line();
        let mut indent = increment.map(|increment| self.indent.unwrap_or(0) + increment);
        let mut text = String::new();
        let mut leading_break = None;
        let mut breaks = self.block_breaks(&mut indent, start)?;
        let mut leading_blank = false;
        while Some(self.mark.column) == indent && self.current() != '\0' {
            let trailing_blank = is_blank(self.current());
            if !literal && !leading_blank && !trailing_blank && leading_break == Some('\n') {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.extend(leading_break);
            }
            text.push_str(&breaks);
            leading_blank = is_blank(self.current());
            while !is_break_or_end(self.current()) {
                text.push(self.skip());
            }
            leading_break = self.skip_line();
            breaks = self.block_breaks(&mut indent, start)?;
        }
        if !strips {
            text.extend(leading_break);
        }
        if keeps {
            text.push_str(&breaks);
        }
        self.push(Token::Scalar { text, style: Style::Marked }, start);
        Ok(())
    }

    /// The empty lines of a block, and the indent, which the first line of text has.
    fn block_breaks(
        &mut self,
        indent: &mut Option<usize>,
        start: Mark,
    ) -> Result<String, YamlError> {
        let mut breaks = String::new();
        let mut deepest = 0;
        loop {
            let is_in = |column: usize| indent.is_none_or(|indent| column < indent);
            while is_in(self.mark.column) && self.current() == ' ' {
                self.skip();
            }
            deepest = deepest.max(self.mark.column);
            if is_in(self.mark.column) && self.current() == '\t' {
                let what = "found a tab character where an indentation space is expected";
                return Err(wrong(start, self.mark, what));
            }
            match self.skip_line() {
                Some(c) => breaks.push(c),
                None => break,
            }
        }
        if indent.is_none() {
            *indent = Some(deepest.max(self.indent.map_or(0, |indent| indent + 1)).max(1));
        }
        Ok(breaks)
    }

    pub(super) fn quoted(&mut self, single: bool) -> Done {
        let start = self.mark;
        let quote = self.skip();
        let mut text = String::new();
        loop {
            if self.is_at_document_mark() {
                return Err(wrong(start, self.mark, "found unexpected document indicator"));
            }
            if self.current() == '\0' {
                return Err(wrong(start, self.mark, "found unexpected end of stream"));
            }
            let mut folded = false;
            while !is_blank_or_end(self.current()) {
                let c = self.current();
                if single && c == '\'' && self.ahead(1) == '\'' {
                    text.push('\'');
                    self.skip_many(2);
                } else if c == quote {
                    break;
                } else if !single && c == '\\' && is_break(self.ahead(1)) {
                    self.skip();
                    self.skip_line();
                    folded = true;
                    break;
                } else if !single && c == '\\' {
                    text.push(self.escape(start)?);
                } else {
                    text.push(self.skip());
                }
            }
            if self.current() == quote {
                break;
            }
            let mut space = Space { folded, ..Space::default() };
            while self.skip_space(&mut space) {}
            space.append_to(&mut text);
        }
        self.skip();
        self.push(Token::Scalar { text, style: Style::Marked }, start);
        Ok(())
    }

    /// Skips a blank or a line's end between words.
    fn skip_space(&mut self, space: &mut Space) -> bool {
        if is_blank(self.current()) {
            let c = self.skip();
            if !space.folded {
                space.blanks.push(c);
            }
            return true;
        }
        let Some(end) = self.skip_line() else { return false };
        if space.folded {
            space.breaks.push(end);
        } else {
            *space = Space { folded: true, first: Some(end), ..Space::default() };
        }
        true
    }

    fn escape(&mut self, start: Mark) -> Result<char, YamlError> {
        let digits = match self.ahead(1) {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let c = match self.ahead(1) {
            '0' | 'x' | 'u' | 'U' => '\0',
            'a' => '\x07',
            'b' => '\x08',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            c @ (' ' | '"' | '\'' | '\\') => c,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            _ => return Err(wrong(start, self.mark, "found unknown escape character")),
        };
        self.skip_many(2);
        if digits == 0 {
            return Ok(c);
        }
        let mut code = 0;
        for at in 0..digits {
            let Some(digit) = self.ahead(at).to_digit(16) else {
                // A bug in Go, kept here.
                let what = "did not find expected hexdecimal number";
                return Err(wrong(start, self.mark, what));
            };
            code = code << 4 | digit;
        }
        let Some(c) = char::from_u32(code) else {
            let what = "found invalid Unicode character escape code";
            return Err(wrong(start, self.mark, what));
        };
        self.skip_many(digits);
        Ok(c)
    }

    pub(super) fn plain(&mut self) -> Done {
        let start = self.mark;
        let mut text = String::new();
        let indent = self.indent.map_or(0, |indent| indent + 1);
        let mut space = Space::default();
        while !self.is_at_document_mark() && self.current() != '#' {
            while !is_blank_or_end(self.current()) {
                let c = self.current();
                let ends = c == ':' && is_blank_or_end(self.ahead(1))
                    || self.flow_level > 0 && ",?[]{}".contains(c);
                if ends {
                    break;
                }
                std::mem::take(&mut space).append_to(&mut text);
                text.push(self.skip());
            }
            if !is_blank(self.current()) && !is_break(self.current()) {
                break;
            }
            loop {
                let is_tab = self.current() == '\t';
                if space.folded && self.mark.column < indent && is_tab {
                    let what = "found a tab character that violates indentation";
                    return Err(wrong(start, self.mark, what));
                }
                if !self.skip_space(&mut space) {
                    break;
                }
            }
            if self.flow_level == 0 && self.mark.column < indent {
                break;
            }
        }
        self.push(Token::Scalar { text, style: Style::Plain }, start);
        if space.folded {
            self.simple_key_allowed = true;
        }
        Ok(())
    }
}
