//! `strconv.Quote`.

use std::fmt::Write as _;

/// A text in double quotes, with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    quoted(text, '"', false)
}

/// The same, and what is not ASCII escaped too.
pub(crate) fn quote_to_ascii(text: &str) -> String {
    quoted(text, '"', true)
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

/// Whether Go's `strconv.IsPrint` holds: letters, marks, numbers, punctuation, symbols and the ASCII
/// space.
pub(crate) fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\x7f' => false,
        // What Rust escapes in a debug form is what Unicode calls no graphic character, and
        // combining marks, which Go prints.
        c => c == '\u{fffd}' || !c.escape_debug().to_string().starts_with("\\u") || is_mark(c),
    }
}

/// Combining marks: Rust's debug form escapes them at a text's beginning alone.
fn is_mark(c: char) -> bool {
    let after_a_letter = format!("{:?}", format!("a{c}"));
    !after_a_letter.contains("\\u")
}
