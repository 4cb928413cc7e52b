//! Directives, anchors, aliases and tags.

use super::{
    Done, Mark, Scanner, Token, is_blank, is_blank_or_end, is_break_or_end, is_word, wrong,
};
use crate::yaml::YamlError;

/// Digits of a version's number.
const VERSION_DIGITS: usize = 2;

impl Scanner<'_> {
    fn word(&mut self) -> String {
        let mut word = String::new();
        while is_word(self.current()) {
            word.push(self.skip());
        }
        word
    }

    pub(super) fn directive(&mut self) -> Done {
        let start = self.mark;
        self.skip();
        let name = self.word();
        if name.is_empty() {
            return Err(wrong(start, self.mark, "could not find expected directive name"));
        }
        if !is_blank_or_end(self.current()) {
            return Err(wrong(start, self.mark, "found unexpected non-alphabetical character"));
        }
        let token = match name.as_str() {
            "YAML" => {
                self.skip_blanks();
                let major = self.version_number(start)?;
                if self.current() != '.' {
                    let what = "did not find expected digit or '.' character";
                    return Err(wrong(start, self.mark, what));
                }
                self.skip();
                let minor = self.version_number(start)?;
                Token::Version { is_known: (major, minor) == (1, 1) }
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.tag_handle(true, start)?;
                if !is_blank(self.current()) {
                    return Err(wrong(start, self.mark, "did not find expected whitespace"));
                }
                self.skip_blanks();
                let prefix = self.tag_uri("", start)?;
                if !is_blank_or_end(self.current()) {
                    let what = "did not find expected whitespace or line break";
                    return Err(wrong(start, self.mark, what));
                }
                Token::TagDirective { handle, prefix }
            }
            _ => return Err(wrong(start, self.mark, "found unknown directive name")),
        };
        self.skip_blanks();
        self.skip_comment();
        if !is_break_or_end(self.current()) {
            return Err(wrong(start, self.mark, "did not find expected comment or line break"));
        }
        self.skip_line();
        self.push(token, start);
        Ok(())
    }

    fn version_number(&mut self, start: Mark) -> Result<u32, YamlError> {
        let (mut number, mut length) = (0, 0);
        while let Some(digit) = self.current().to_digit(10) {
            length += 1;
            if length > VERSION_DIGITS {
                return Err(wrong(start, self.mark, "found extremely long version number"));
            }
            number = number * 10 + digit;
            self.skip();
        }
        if length == 0 {
            return Err(wrong(start, self.mark, "did not find expected version number"));
        }
        Ok(number)
    }

    pub(super) fn anchor(&mut self, is_alias: bool) -> Done {
        let start = self.mark;
        self.skip();
        let name = self.word();
        let next = self.current();
        if name.is_empty() || !is_blank_or_end(next) && !"?:,]}%@`".contains(next) {
            let what = "did not find expected alphabetic or numeric character";
            return Err(wrong(start, self.mark, what));
        }
        self.push(if is_alias { Token::Alias(name) } else { Token::Anchor(name) }, start);
        Ok(())
    }

    pub(super) fn tag(&mut self) -> Done {
        let start = self.mark;
        let (handle, suffix);
        if self.ahead(1) == '<' {
            self.skip_many(2);
            (handle, suffix) = (String::new(), self.tag_uri("", start)?);
            if self.current() != '>' {
                return Err(wrong(start, self.mark, "did not find the expected '>'"));
            }
            self.skip();
        } else {
            let head = self.tag_handle(false, start)?;
            if head.len() > 1 && head.ends_with('!') {
                (handle, suffix) = (head, self.tag_uri("", start)?);
            } else {
                let rest = self.tag_uri(&head, start)?;
                (handle, suffix) = if rest.is_empty() {
                    (String::new(), "!".to_owned())
                } else {
                    ("!".to_owned(), rest)
                };
            }
        }
        if !is_blank_or_end(self.current()) {
            let what = "did not find expected whitespace or line break";
            return Err(wrong(start, self.mark, what));
        }
        self.push(Token::Tag { handle, suffix }, start);
        Ok(())
    }

    fn tag_handle(&mut self, in_directive: bool, start: Mark) -> Result<String, YamlError> {
        let missing = "did not find expected '!'";
        if self.current() != '!' {
            return Err(wrong(start, self.mark, missing));
        }
        let mut handle = String::from(self.skip());
        handle.push_str(&self.word());
        if self.current() == '!' {
            handle.push(self.skip());
        } else if in_directive && handle != "!" {
            return Err(wrong(start, self.mark, missing));
        }
        Ok(handle)
    }

    /// The text after the handle, without the first character.
    fn tag_uri(&mut self, head: &str, start: Mark) -> Result<String, YamlError> {
        let mut uri: Vec<u8> = head.bytes().skip(1).collect();
        let mut found = !head.is_empty();
        while is_word(self.current()) || ";/?:@&=+$,.!~*'()[]%".contains(self.current()) {
            if self.current() == '%' {
                self.escaped_octets(start, &mut uri)?;
            } else {
                let mut buffer = [0; 4];
                let c = self.skip();
                uri.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            found = true;
        }
        if !found {
            return Err(wrong(start, self.mark, "did not find expected tag URI"));
        }
        Ok(String::from_utf8_lossy(&uri).into_owned())
    }

    fn escaped_octets(&mut self, start: Mark, uri: &mut Vec<u8>) -> Done {
        let mut left = None;
        while left != Some(0) {
            let digits = [self.ahead(1), self.ahead(2)].map(|c| c.to_digit(16));
            let ('%', [Some(high), Some(low)]) = (self.current(), digits) else {
                return Err(wrong(start, self.mark, "did not find URI escaped octet"));
            };
            let octet = u8::try_from(high * 16 + low).unwrap_or(0);
            left = Some(match left {
                Some(left) if octet & 0xc0 == 0x80 => left - 1,
                Some(_) => {
                    let what = "found an incorrect trailing UTF-8 octet";
                    return Err(wrong(start, self.mark, what));
                }
                None => match octet {
                    0..0x80 => 0,
                    0xc0..0xe0 => 1,
                    0xe0..0xf0 => 2,
                    0xf0..0xf8 => 3,
                    _ => {
                        let what = "found an incorrect leading UTF-8 octet";
                        return Err(wrong(start, self.mark, what));
                    }
                },
            });
            uri.push(octet);
            self.skip_many(3);
        }
        Ok(())
    }
}
