//! Email addresses, as Go's `net/mail` reads them (RFC 5322).

use crate::builtins::{bytes, net};

/// Whether a text is one address, with a name and comments or without.
pub(super) fn is_address(text: &str) -> bool {
    let mut reader = Reader { rest: text };
    reader.address(true) == Some(1) && reader.comments().is_some() && reader.rest.is_empty()
}

struct Reader<'a> {
    rest: &'a str,
}

/// Visible characters; bytes outside of valid UTF-8 are not visible.
fn is_visible(c: char) -> bool {
    c.is_ascii_graphic() || !c.is_ascii() && !bytes::is_byte(c)
}

fn is_of_atom(c: char) -> bool {
    is_visible(c) && !"()<>[]:;@\\,\"".contains(c)
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Comments and the space around them.
    fn comments(&mut self) -> Option<()> {
        self.space();
        while self.skip('(') {
            self.comment()?;
            self.space();
        }
        Some(())
    }

    /// The rest of a comment, which may contain comments.
    fn comment(&mut self) -> Option<&'a str> {
        let whole = self.rest;
        let mut depth = 1;
        let mut chars = whole.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    chars.next();
                }
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = chars.as_str();
                return whole.get(..at);
            }
        }
        None
    }

    /// The number of addresses: a group may have any number.
    fn address(&mut self, may_be_group: bool) -> Option<usize> {
        self.space();
        if self.rest.is_empty() {
            return None;
        }
        let before = self.rest;
        if self.specification().is_some() {
            self.space();
            if self.skip('(') {
                let comment = self.comment()?;
                if comment.split([' ', '\t']).any(|word| encoded(word) == Some(false)) {
                    return None;
                }
            }
            return Some(1);
        }
        self.rest = before;
        if !self.rest.starts_with('<') {
            self.phrase()?;
        }
        self.space();
        if may_be_group && self.skip(':') {
            return self.group();
        }
        if !self.skip('<') {
            return None;
        }
        self.specification()?;
        self.skip('>').then_some(1)
    }

    fn group(&mut self) -> Option<usize> {
        self.space();
        if self.skip(';') {
            self.comments()?;
            return Some(0);
        }
        let mut count = 0;
        loop {
            self.space();
            count += self.address(false)?;
            self.comments()?;
            if self.skip(';') {
                self.comments()?;
                return Some(count);
            }
            if !self.skip(',') {
                return None;
            }
        }
    }

    /// `local@domain`
    fn specification(&mut self) -> Option<()> {
        self.space();
        if self.rest.starts_with('"') {
            self.quoted().filter(|is_empty| !is_empty)?;
        } else {
            self.dotted(true)?;
        }
        if !self.skip('@') {
            return None;
        }
        self.space();
        if !self.skip('[') {
            return self.dotted(true).map(drop);
        }
        let (literal, rest) = self.rest.split_once(']')?;
        self.rest = rest;
        net::is_address(literal).then_some(())
    }

    /// Words, at least one.
    fn phrase(&mut self) -> Option<()> {
        let mut words = 0;
        loop {
            if words > 0 {
                self.comments()?;
            }
            self.space();
            if self.rest.is_empty() {
                return (words > 0).then_some(());
            }
            let word = if self.rest.starts_with('"') {
                self.quoted().map(drop)
            } else {
                // A word in an unknown character set is invalid.
                self.dotted(false).filter(|word| encoded(word) != Some(false)).map(drop)
            };
            match word {
                Some(()) => words += 1,
                None => return (words > 0).then_some(()),
            }
        }
    }

    /// A text in quotation marks: whether it is empty.
    fn quoted(&mut self) -> Option<bool> {
        let mut chars = self.rest.strip_prefix('"')?.chars();
        let mut is_empty = true;
        loop {
            match chars.next()? {
                '"' => {
                    self.rest = chars.as_str();
                    return Some(is_empty);
                }
                '\\' => {
                    chars.next().filter(|c| is_visible(*c) || matches!(c, ' ' | '\t'))?;
                }
                c if is_visible(c) || matches!(c, ' ' | '\t') => {}
                _ => return None,
            }
            is_empty = false;
        }
    }

    /// Atoms with dots between them; where it is not strict, dots may be anywhere.
    fn dotted(&mut self, strict: bool) -> Option<&'a str> {
        let end = self.rest.find(|c| !is_of_atom(c)).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at_checked(end)?;
        if atom.is_empty() || rest.starts_with(bytes::is_byte) {
            return None;
        }
        if strict && (atom.starts_with('.') || atom.contains("..") || atom.ends_with('.')) {
            return None;
        }
        self.rest = rest;
        Some(atom)
    }
}

/// Whether the character set of an encoded word (RFC 2047) is known; `None` where it is not an
/// encoded word.
fn encoded(word: &str) -> Option<bool> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let (charset, rest) = inner.split_once('?')?;
    let (encoding, text) = rest.split_once('?')?;
    let is_known =
        ["utf-8", "iso-8859-1", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    if charset.is_empty() || text.contains('?') || !matches!(encoding, "B" | "b" | "Q" | "q") {
        return None;
    }
    Some(is_known)
}
