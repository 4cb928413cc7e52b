//! Character classes and escapes.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::error::{SyntaxError, head, invalid};

/// Unicode's scripts that Go finds by name: it searches without underscores, so names with an
/// underscore are never found.
#[rustfmt::skip]
static SCRIPTS: &[&str] = &[
    "Adlam", "Ahom", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Batak", "Bengali", "Bhaiksuki",
    "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "Carian", "Chakma", "Cham", "Cherokee", "Chorasmian",
    "Common", "Coptic", "Cuneiform", "Cypriot", "Cyrillic", "Deseret", "Devanagari", "Dogra", "Duployan",
    "Elbasan", "Elymaic", "Ethiopic", "Georgian", "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati",
    "Gurmukhi", "Han", "Hangul", "Hanunoo", "Hatran", "Hebrew", "Hiragana", "Inherited", "Javanese", "Kaithi",
    "Kannada", "Katakana", "Kawi", "Kharoshthi", "Khmer", "Khojki", "Khudawadi", "Lao", "Latin", "Lepcha",
    "Limbu", "Lisu", "Lycian", "Lydian", "Mahajani", "Makasar", "Malayalam", "Mandaic", "Manichaean", "Marchen",
    "Medefaidrin", "Miao", "Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "Nandinagari", "Newa",
    "Nko", "Nushu", "Ogham", "Oriya", "Osage", "Osmanya", "Palmyrene", "Phoenician", "Rejang", "Runic",
    "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "Sinhala", "Sogdian", "Soyombo", "Sundanese",
    "Syriac", "Tagalog", "Tagbanwa", "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai",
    "Tibetan", "Tifinagh", "Tirhuta", "Toto", "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Yezidi", "Yi",
];

/// Unicode's general categories and their long names without underscores, as Go compares them.
#[rustfmt::skip]
static CATEGORIES: &[&str] = &[
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "Lc", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd",
    "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
    "Casedletter", "Closepunctuation", "Cntrl", "Combiningmark", "Connectorpunctuation", "Control",
    "Currencysymbol", "Dashpunctuation", "Decimalnumber", "Digit", "Enclosingmark", "Finalpunctuation", "Format",
    "Initialpunctuation", "Letter", "Letternumber", "Lineseparator", "Lowercaseletter", "Mark", "Mathsymbol",
    "Modifierletter", "Modifiersymbol", "Nonspacingmark", "Number", "Openpunctuation", "Other", "Otherletter",
    "Othernumber", "Otherpunctuation", "Othersymbol", "Paragraphseparator", "Privateuse", "Punct", "Punctuation",
    "Separator", "Spaceseparator", "Spacingmark", "Surrogate", "Symbol", "Titlecaseletter", "Unassigned",
    "Uppercaseletter",
];

const ALL: &[(u32, u32)] = &[(0, 0x10_ffff)];
const DIGIT: &[(u32, u32)] = &[(0x30, 0x39)];
const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)];

/// The class of some ranges, without surrogates, which never occur in texts.
pub(super) fn of_ranges(ranges: &[(u32, u32)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().flat_map(|&(first, last)| {
        let below = (first, last.min(0xd7ff));
        let above = (first.max(0xe000), last);
        [below, above].into_iter().filter_map(|(first, last)| {
            let (first, last) = (char::from_u32(first)?, char::from_u32(last)?);
            (first <= last).then(|| ClassUnicodeRange::new(first, last))
        })
    }))
}

/// Adds the other cases of all letters.
pub(super) fn fold(class: &mut ClassUnicode) {
    // It fails only where the tables are not compiled in.
    let _ = class.try_case_fold_simple();
}

/// Reads classes in brackets and after a backslash.
pub(super) struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    fold: bool,
}

impl<'a> Reader<'a> {
    /// At a bracket or a backslash.
    pub(super) fn new(text: &'a str, fold: bool) -> Self {
        Self { whole: text, rest: text, fold }
    }

    /// The unread text.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    /// A class in brackets.
    pub(super) fn class(&mut self) -> Result<ClassUnicode, SyntaxError> {
        self.next();
        let negated = match self.rest.strip_prefix('^') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        };
        let mut class = ClassUnicode::empty();
        let mut first = true;
        // A bracket in the first place is a character.
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(named) = self.named_class()? {
                class.union(&named);
                continue;
            }
            if let Some(escaped) = self.class_escape()? {
                class.union(&escaped);
                continue;
            }
            let mut range = of_ranges(&[self.range()?]);
            if self.fold {
                fold(&mut range);
            }
            class.union(&range);
        }
        self.next();
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// A character or a range of them.
    fn range(&mut self) -> Result<(u32, u32), SyntaxError> {
        let text = self.rest;
        let first = self.class_character()?;
        // A hyphen before the closing bracket is a character.
        if self.rest.len() < 2 || !self.rest.starts_with('-') || self.rest.starts_with("-]") {
            return Ok((first, first));
        }
        self.next();
        let last = self.class_character()?;
        if last < first {
            return Err(invalid("invalid character class range", head(text, self.rest)));
        }
        Ok((first, last))
    }

    fn class_character(&mut self) -> Result<u32, SyntaxError> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        self.next().map(u32::from).ok_or_else(|| invalid("missing closing ]", self.whole))
    }

    /// `[:alpha:]` within brackets.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let Some(inner) = self.rest.strip_prefix("[:") else { return Ok(None) };
        let Some((name, after)) = inner.split_once(":]") else { return Ok(None) };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let ranges: &[(u32, u32)] = match name {
            "alnum" => &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)],
            "alpha" => &[(0x41, 0x5a), (0x61, 0x7a)],
            "ascii" => &[(0, 0x7f)],
            "blank" => &[(9, 9), (0x20, 0x20)],
            "cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
            "digit" => DIGIT,
            "graph" => &[(0x21, 0x7e)],
            "lower" => &[(0x61, 0x7a)],
            "print" => &[(0x20, 0x7e)],
            "punct" => &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)],
            "space" => &[(9, 0xd), (0x20, 0x20)],
            "upper" => &[(0x41, 0x5a)],
            "word" => WORD,
            "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
            _ => return Err(invalid("invalid character class range", head(self.rest, after))),
        };
        self.rest = after;
        Ok(Some(self.finished(ranges, negated)))
    }

    /// `\d`, `\pL` and the like.
    pub(super) fn class_escape(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let Some(letter) = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
            return Ok(None);
        };
        let ranges = match letter {
            'd' | 'D' => DIGIT,
            's' | 'S' => &[(9, 0xa), (0xc, 0xd), (0x20, 0x20)],
            'w' | 'W' => WORD,
            'p' | 'P' => return self.property(letter == 'P').map(Some),
            _ => return Ok(None),
        };
        self.rest = self.rest.get(2..).unwrap_or_default();
        Ok(Some(self.finished(ranges, letter.is_uppercase())))
    }

    fn finished(&self, ranges: &[(u32, u32)], negated: bool) -> ClassUnicode {
        let mut class = of_ranges(ranges);
        if self.fold {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        class
    }

    fn property(&mut self, negated: bool) -> Result<ClassUnicode, SyntaxError> {
        let text = self.rest;
        self.rest = text.get(2..).unwrap_or_default();
        let name = match self.next() {
            Some('{') => {
                let (name, after) = self
                    .rest
                    .split_once('}')
                    .ok_or_else(|| invalid("invalid character class range", text))?;
                self.rest = after;
                name
            }
            _ => head(text, self.rest).get(2..).unwrap_or_default(),
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name, negated),
        };
        let mut class = property(name)
            .ok_or_else(|| invalid("invalid character class range", head(text, self.rest)))?;
        if self.fold {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// The character of an escape.
    pub(super) fn escape(&mut self) -> Result<u32, SyntaxError> {
        let text = self.rest;
        self.next();
        let Some(c) = self.next() else {
            return Err(invalid("trailing backslash at end of expression", ""));
        };
        let octal = |rest: &str| rest.starts_with(|c| matches!(c, '0'..='7'));
        let code = match c {
            '0' => Some(self.octal(0)),
            '1'..='7' if octal(self.rest) => Some(self.octal(u32::from(c) - 0x30)),
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(0xc),
            'n' => Some(0xa),
            'r' => Some(0xd),
            't' => Some(9),
            'v' => Some(0xb),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code.ok_or_else(|| invalid("invalid escape sequence", head(text, self.rest)))
    }

    fn octal(&mut self, first: u32) -> u32 {
        let mut code = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            self.next();
            code = code * 8 + digit;
        }
        code
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.next()?;
        if first != '{' {
            let second = self.next();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let mut code = 0_u32;
        let mut digits = 0;
        loop {
            match self.next()? {
                '}' => return (digits > 0).then_some(code),
                c => code = code * 16 + c.to_digit(16)?,
            }
            if code > 0x10_ffff {
                return None;
            }
            digits += 1;
        }
    }
}

/// The characters of a Unicode category or script.
fn property(name: &str) -> Option<ClassUnicode> {
    let name = canonical(name);
    match name.as_str() {
        "Any" => return Some(of_ranges(ALL)),
        "Ascii" => return Some(of_ranges(&[(0, 0x7f)])),
        "Cs" | "Surrogate" => return Some(ClassUnicode::empty()),
        "Assigned" => {
            let mut class = property("Cn")?;
            class.negate();
            return Some(class);
        }
        _ => {}
    }
    if !CATEGORIES.contains(&name.as_str()) && !SCRIPTS.contains(&name.as_str()) {
        return None;
    }
    // The name is one of the lists, so only a property can be read here.
    let hir = regex_syntax::Parser::new().parse(&format!("\\p{{{name}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    }
}

/// The first letter in upper case, the others in lower case, without separators of words.
fn canonical(name: &str) -> String {
    let mut letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect()
}
