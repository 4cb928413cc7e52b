//! Blocks in PEM, as Go's `encoding/pem` finds them.

use crate::builtins::go::base64;

/// A block.
#[derive(Debug)]
pub(in crate::builtins) struct Block {
    /// The label after `BEGIN`.
    pub(in crate::builtins) label: String,
    pub(in crate::builtins) bytes: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const END_OF_LINE: &[u8] = b"-----";

/// The first block, and the text after it. Text before a block, and blocks that are malformed, are
/// skipped; without a block, the rest is the whole text.
///
/// Each step removes the examined part from the front of the text, so that the time is linear,
/// except for lines that begin blocks within blocks.
pub(in crate::builtins) fn decode(data: &[u8]) -> (Option<Block>, &[u8]) {
    let mut rest = data;
    while let Some((begun, after_end)) = next_end(rest) {
        match begun.and_then(|begun| block(begun, after_end)) {
            Some((block, rest)) => return (Some(block), rest),
            None => rest = after_end,
        }
    }
    (None, data)
}

/// The text between the last `BEGIN` and the first `END`, where a line begins there, and the text
/// after the `END`.
fn next_end(rest: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let end = find(rest, END)?;
    let (before, after) = rest.split_at_checked(end)?;
    let after = after.get(END.len()..)?;
    let begun = before.windows(BEGIN.len()).rposition(|window| window == BEGIN);
    let at_line =
        begun.filter(|begin| *begin == 0 || before.get(begin.wrapping_sub(1)) == Some(&b'\n'));
    // The line break before the `END` belongs to both.
    let between = at_line.and_then(|begin| rest.get(begin + BEGIN.len()..=end));
    Some((between, after))
}

fn block<'a>(begun: &[u8], after_end: &'a [u8]) -> Option<(Block, &'a [u8])> {
    let (type_line, mut body) = line(begun);
    let label = type_line.strip_suffix(END_OF_LINE)?;
    let mut headers = false;
    loop {
        let (header, rest) = line(body);
        if !header.contains(&b':') {
            break;
        }
        if rest.is_empty() {
            // The headers extend to the `END`.
            return None;
        }
        headers = true;
        body = rest;
    }
    if headers && body.is_empty() {
        return None;
    }
    let trailer = after_end.strip_prefix(label)?.strip_prefix(END_OF_LINE)?;
    let (end_of_line, rest) = line(trailer);
    if !end_of_line.is_empty() {
        return None;
    }
    let encoded: Vec<u8> = body.iter().copied().filter(|b| !matches!(b, b' ' | b'\t')).collect();
    let bytes = base64::decode(&encoded, base64::STANDARD).ok()?;
    Some((Block { label: String::from_utf8_lossy(label).into_owned(), bytes }, rest))
}

/// The first line without trailing blanks, and the rest.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match data.iter().position(|b| *b == b'\n') {
        None => (data, [].as_slice()),
        Some(at) => {
            let line = data.get(..at).unwrap_or(data);
            (line.strip_suffix(b"\r").unwrap_or(line), data.get(at + 1..).unwrap_or(&[]))
        }
    };
    let blanks = line.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    (line.get(..line.len() - blanks).unwrap_or(line), rest)
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    data.windows(what.len()).position(|window| window == what)
}

/// A text as a block.
pub(in crate::builtins) fn is_pem(text: &[u8]) -> bool {
    text.starts_with(b"-----BEGIN")
}
