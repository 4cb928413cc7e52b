//! `regex.template_match`: a text with patterns between delimiters; and the `$1` and `${name}` of
//! `regex.replace`.

use regex_syntax::is_meta_character;

use super::program;
use super::simulate::Groups;
use crate::builtins::Failure;
use crate::builtins::go::quote::quote;

/// The pattern of a whole text of a template.
///
/// # Errors
/// When the delimiters are not one byte long or not balanced, or a pattern is invalid.
pub(super) fn pattern(template: &str, start: &str, end: &str) -> Result<String, Failure> {
    let [start] = start.as_bytes() else {
        return Err(wrong_delimiter("start", start.len()));
    };
    let [end] = end.as_bytes() else {
        // OPA's message has the other delimiter's length, which is one.
        return Err(wrong_delimiter("end", 1));
    };
    let mut whole = "^".to_owned();
    let mut literal_from = 0;
    for (from, to) in braces(template, *start, *end)? {
        quote_meta(&mut whole, template.get(literal_from..from).unwrap_or(""));
        let inner = template.get(from + 1..to - 1).unwrap_or("");
        // The inner pattern must be valid by itself.
        program::check(&format!("^{inner}$"))?;
        whole.push_str(&format!("({inner})"));
        literal_from = to;
    }
    quote_meta(&mut whole, template.get(literal_from..).unwrap_or(""));
    whole.push('$');
    Ok(whole)
}

fn wrong_delimiter(which: &str, length: usize) -> Failure {
    Failure::Builtin(format!(
        "{which} delimiter has to be exactly one character long but is {length} long"
    ))
}

/// The beginnings and ends of the outermost pairs of delimiters.
fn braces(template: &str, start: u8, end: u8) -> Result<Vec<(usize, usize)>, Failure> {
    let unbalanced = || Failure::Builtin(format!("unbalanced braces in {}", quote(template)));
    let mut pairs = Vec::new();
    let (mut level, mut from) = (0_u32, 0);
    for (at, byte) in template.bytes().enumerate() {
        if byte == start {
            level += 1;
            if level == 1 {
                from = at;
            }
        } else if byte == end {
            level = level.checked_sub(1).ok_or_else(unbalanced)?;
            if level == 0 {
                pairs.push((from, at + 1));
            }
        }
    }
    if level > 0 { Err(unbalanced()) } else { Ok(pairs) }
}

/// Go's `regexp.QuoteMeta`.
fn quote_meta(out: &mut String, text: &str) {
    for c in text.chars() {
        // Rust's crate escapes some more characters, which need no escape in RE2.
        if is_meta_character(c) && !matches!(c, '#' | '&' | '-' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Appends a replacement with its references to groups.
pub(super) fn expand(
    out: &mut String,
    template: &str,
    text: &str,
    groups: &Groups,
    names: &[Option<String>],
) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(after) else {
            out.push('$');
            rest = after;
            continue;
        };
        rest = after;
        let index = number(name);
        let group = match index {
            Some(index) => groups.get(index).copied().flatten(),
            None => names
                .iter()
                .zip(groups)
                .find(|(known, group)| known.as_deref() == Some(name) && group.is_some())
                .and_then(|(_, group)| *group),
        };
        if let Some(region) = group {
            out.push_str(text.get(region.start..region.end).unwrap_or(""));
        }
    }
    out.push_str(rest);
}

/// The name after a dollar sign, and the rest.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (inner, braced) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let end = inner.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(inner.len());
    let (name, after) = inner.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    Some((name, if braced { after.strip_prefix('}')? } else { after }))
}

/// The number of a group; `None` for names with other characters, or with leading zeros.
fn number(name: &str) -> Option<usize> {
    let plain =
        name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    // Go stops at nine digits, and takes longer ones for a name.
    if plain { name.parse().ok().filter(|_| name.len() <= 9) } else { None }
}
