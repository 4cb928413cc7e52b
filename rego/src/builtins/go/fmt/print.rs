//! Writes one argument by a verb.

use super::arg::Arg;
use super::flags::Flags;
use super::integer::Signed;
use crate::builtins::go::{float, quote};

/// The output, and the flags of the current directive.
#[derive(Debug, Default)]
pub(super) struct Printer {
    pub(super) out: String,
    pub(super) flags: Flags,
    /// Within the text of a verb that does not fit, where methods are not called.
    erroring: bool,
}

impl Printer {
    /// `%!d(MISSING)`
    pub(super) fn problem(&mut self, verb: char, what: &str) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        self.out.push_str(what);
        self.out.push(')');
    }

    /// `int64=1`
    pub(super) fn typed(&mut self, arg: &Arg) {
        self.out.push_str(arg.type_name());
        if *arg != Arg::Nil {
            self.out.push('=');
            self.arg(arg, 'v');
        }
    }

    /// `%!d(string=a)`
    fn bad_verb(&mut self, arg: &Arg, verb: char) {
        self.erroring = true;
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        self.typed(arg);
        self.out.push(')');
        self.erroring = false;
    }

    /// An argument.
    pub(super) fn arg(&mut self, arg: &Arg, verb: char) {
        match (verb, arg) {
            ('T' | 'v', Arg::Nil) => self.pad("<nil>"),
            ('T', _) => self.text(arg.type_name()),
            ('v' | 't', Arg::Bool(b)) => self.pad(if *b { "true" } else { "false" }),
            // Go writes an address for a map, slice or pointer, which is meaningless.
            (_, Arg::Nil | Arg::Bool(_)) | ('p', _) => self.bad_verb(arg, verb),
            (_, Arg::Int(i) | Arg::MachineInt(i)) => self.integer(arg, *i, verb),
            (_, Arg::Float(f)) => self.float(arg, *f, verb),
            (_, Arg::Text(text) | Arg::Number(text)) => self.string(arg, text, verb),
            ('w', Arg::Big(_) | Arg::List(_) | Arg::Map(_)) if !self.erroring => {
                self.bad_verb(arg, verb);
            }
            (_, Arg::Big(i)) if self.erroring => {
                let words: Vec<_> = i.iter_u64_digits().map(|word| word.to_string()).collect();
                let negative = i.sign() == num_bigint::Sign::Minus;
                self.out.push_str(&format!("&{{{negative} [{}]}}", words.join(" ")));
            }
            (_, Arg::Big(i)) => {
                let text = super::integer::big(i, verb, &self.flags);
                self.out.push_str(&text);
            }
            (_, Arg::List(elements)) => self.list(arg, elements, verb),
            (_, Arg::Map(entries)) => self.map(arg, entries, verb),
        }
    }

    fn list(&mut self, arg: &Arg, elements: &[Arg], verb: char) {
        let go = self.flags.sharp_v;
        self.out.push_str(if go { arg.type_name() } else { "" });
        self.out.push(if go { '{' } else { '[' });
        for (i, element) in elements.iter().enumerate() {
            self.separate(i);
            self.element(element, verb);
        }
        self.out.push(if go { '}' } else { ']' });
    }

    fn map(&mut self, arg: &Arg, entries: &[(String, Arg)], verb: char) {
        let go = self.flags.sharp_v;
        self.out.push_str(if go { arg.type_name() } else { "map" });
        self.out.push(if go { '{' } else { '[' });
        for (i, (key, value)) in entries.iter().enumerate() {
            self.separate(i);
            self.arg(&Arg::Text(key.clone()), verb);
            self.out.push(':');
            self.element(value, verb);
        }
        self.out.push(if go { '}' } else { ']' });
    }

    fn separate(&mut self, i: usize) {
        if i > 0 {
            self.out.push_str(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    fn element(&mut self, element: &Arg, verb: char) {
        match element {
            Arg::Nil if self.flags.sharp_v => self.out.push_str("interface {}(nil)"),
            Arg::Nil => self.out.push_str("<nil>"),
            other => self.arg(other, verb),
        }
    }

    fn integer(&mut self, arg: &Arg, i: i64, verb: char) {
        let flags = self.flags;
        // Go takes the bits of a negative integer for a character, which is invalid.
        let character =
            || char::from_u32(u32::try_from(i).unwrap_or(u32::MAX)).unwrap_or('\u{fffd}');
        match verb {
            'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' => {
                let text = Signed { negative: i < 0, size: i.unsigned_abs() }.format(verb, &flags);
                self.without_zeros(&text);
            }
            'c' => self.pad(&character().to_string()),
            'q' => self.pad(&quote::quoted(&character().to_string(), '\'', flags.plus)),
            'U' => {
                let digits = flags.precision.unwrap_or(0).max(4);
                let mut text = format!("U+{:0>digits$}", format!("{i:X}"));
                if let Some(c) = u32::try_from(i).ok().and_then(char::from_u32)
                    && flags.sharp
                    && crate::builtins::go::unicode::is_printable(c)
                {
                    text.push_str(&format!(" '{c}'"));
                }
                self.without_zeros(&text);
            }
            _ => self.bad_verb(arg, verb),
        }
    }

    fn string(&mut self, arg: &Arg, text: &str, verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.text(text),
            'q' => self.quoted(text),
            'x' | 'X' => self.bytes(text, verb),
            _ => self.bad_verb(arg, verb),
        }
    }

    fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self.flags.precision.and_then(|precision| text.char_indices().nth(precision));
        end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
    }

    fn text(&mut self, text: &str) {
        let text = self.cut(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &str) {
        let text = self.cut(text);
        if self.flags.sharp && quote::can_be_backquoted(text) {
            self.pad(&format!("`{text}`"));
        } else {
            self.pad(&quote::quoted(text, '"', self.flags.plus));
        }
    }

    /// Hexadecimal digits of the bytes.
    fn bytes(&mut self, text: &str, verb: char) {
        let count = self.flags.precision.unwrap_or(usize::MAX);
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (true, 'X') => "0X",
            (true, _) => "0x",
        };
        let bytes: Vec<_> = text
            .bytes()
            .take(count)
            .map(|byte| if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") })
            .collect();
        let digits = if bytes.is_empty() {
            String::new()
        } else if self.flags.space {
            format!("{prefix}{}", bytes.join(&format!(" {prefix}")))
        } else {
            format!("{prefix}{}", bytes.concat())
        };
        self.pad(&digits);
    }

    fn float(&mut self, arg: &Arg, f: f64, verb: char) {
        let flags = self.flags;
        let (by, default) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return self.bad_verb(arg, verb),
        };
        let precision = flags.precision.or(default);
        let text = float::format(f, by, precision);
        let (negative, mut digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits.to_owned()),
            None => (false, text),
        };
        if flags.sharp && by != 'b' {
            digits = with_point(&digits, by, precision);
        }
        let sign = match (negative, flags.plus, flags.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let length = sign.len() + digits.len();
        let width = flags.width.unwrap_or(0);
        if !sign.is_empty() && flags.zero && !flags.minus && width > length {
            self.out.push_str(sign);
            self.out.extend(std::iter::repeat_n('0', width - length));
            self.out.push_str(&digits);
        } else {
            self.pad(&format!("{sign}{digits}"));
        }
    }

    /// Padded to the width; with zeros where the flag says so.
    fn pad(&mut self, text: &str) {
        let length = text.chars().count();
        let missing = self.flags.width.unwrap_or(0).saturating_sub(length);
        let fill = if self.flags.zero && !self.flags.minus { '0' } else { ' ' };
        let padding = std::iter::repeat_n(fill, missing);
        if self.flags.minus {
            self.out.push_str(text);
            self.out.extend(padding);
        } else {
            self.out.extend(padding);
            self.out.push_str(text);
        }
    }

    fn without_zeros(&mut self, text: &str) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }
}

/// The flag `#`: always a decimal point, and the zeros that `%g` leaves out.
fn with_point(digits: &str, verb: char, precision: Option<usize>) -> String {
    let marks: &[char] = if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E'] };
    let (mantissa, tail) = digits.split_at(digits.find(marks).unwrap_or(digits.len()));
    let wanted = match verb {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    // The first digit of `0x1.8` counts too: Go counts the characters after the sign.
    let mut seen = mantissa.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    let mut text = mantissa.to_owned();
    if !text.contains('.') {
        if text == "0" {
            seen += 1;
        }
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', wanted.saturating_sub(seen)));
    text.push_str(tail);
    text
}
