//! `strconv.Quote`.

use std::fmt::Write as _;

use super::unicode::is_printable;

/// A text in double quotes, with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    quoted(text, '"', false)
}

/// A text in quotes of some kind.
pub(crate) fn quoted(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        escape(&mut out, c, mark, ascii);
    }
    out.push(mark);
    out
}

fn escape(out: &mut String, c: char, mark: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == mark => {
            out.push('\\');
            out.push(c);
        }
        c if (c.is_ascii() || !ascii) && is_printable(c) => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c => {
            let code = u32::from(c);
            // Writing to a string does not fail.
            let _ = match code {
                ..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                ..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// Whether a text is allowed between backquotes: it has no control characters except tabs, no
/// backquote and no byte order mark.
pub(crate) fn can_be_backquoted(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\t' => true,
        '`' | '\u{feff}' | '\u{7f}' => false,
        c => c >= ' ',
    })
}
