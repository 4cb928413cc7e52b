//! `rego.parse_module`

use std::fmt::Write as _;

use regorus::Value;

use super::operands::{argument, string, wrong_type};
use super::{Answer, Context, Failure, json, limits};
use crate::diagnostic::Diagnostic;
use crate::opa_json::write::{self, Form};
use crate::parse::{Plain, Refusal, parse_plain};
use crate::source::{SourceFile, Sources, Span};

/// The highest number of bytes of a module. A tree takes some hundred bytes for each byte of text,
/// and its construction does not check the clock.
const MODULE_BYTES: usize = 1 << 17;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A module's tree in OPA's form, which OPA writes as JSON and reads again.
pub(super) fn parse_module(context: &mut Context, args: &[Value]) -> Answer {
    let name = string(args, 1)?;
    let text = match argument(args, 2) {
        Value::String(text) => text,
        // OPA counts from the wrong position.
        other => return Err(wrong_type(1, other, &["string"])),
    };
    if text.len() > MODULE_BYTES {
        return Err(limits::exceeded("rego.parse_module"));
    }
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    let Plain { module, comments } = parse_plain(&sources, file)
        .map_err(|refusal| Failure::Builtin(refused(&sources, name, refusal)))?;
    limits::in_time(context)?;
    let tree = write::module(&sources, &module, Form::Plain { comments: &comments });
    limits::in_time(context)?;
    // OPA reads the JSON as Rego, whose texts must not have a byte order mark.
    if tree.contains(BYTE_ORDER_MARK) {
        let what = "failed to parse term: rego_parse_error: illegal byte-order mark";
        return Err(Failure::Builtin(what.to_owned()));
    }
    json::read::parse(&tree)
}

/// OPA's message for all faults together.
fn refused(sources: &Sources, name: &str, refusal: Refusal) -> String {
    let (faults, has_lines) = match refusal {
        // OPA gives no place for it.
        Refusal::Empty if name.is_empty() => {
            return "0:0: rego_parse_error: empty module".to_owned();
        }
        Refusal::Empty => return format!("{name}:0: rego_parse_error: empty module"),
        Refusal::Syntax(faults) => (faults, true),
        Refusal::Module(faults) => (faults, false),
    };
    let faults: Vec<String> =
        faults.iter().map(|fault| described(sources, fault, has_lines)).collect();
    match faults.as_slice() {
        [only] => format!("1 error occurred: {only}"),
        many => format!("{} errors occurred:\n{}", many.len(), many.join("\n")),
    }
}

fn described(sources: &Sources, fault: &Diagnostic, has_lines: bool) -> String {
    let mut words = String::new();
    if let Some(span) = fault.span {
        let location = sources.location(span);
        // Where a file has a name, OPA leaves out the column.
        let _ = match &*location.file {
            "" => write!(words, "{}:{}: ", location.row, location.col),
            name => write!(words, "{name}:{}: ", location.row),
        };
    }
    let _ = write!(words, "{}: {}", fault.code, fault.message);
    if let (true, Some(span)) = (has_lines, fault.span)
        && let Some(file) = sources.file(span.file)
    {
        pointed_at(&mut words, file, span);
    }
    words
}

/// Adds the line of a fault, and under it a mark at the fault.
fn pointed_at(words: &mut String, file: &SourceFile, span: Span) {
    let bytes = file.text.as_bytes();
    let start = usize::try_from(span.start).unwrap_or(usize::MAX);
    // At the end of a line, the mark is under the character before it.
    let mut at = start.min(bytes.len().saturating_sub(1));
    while at > 0 && bytes.get(at).is_some_and(|byte| is_space(*byte)) {
        at -= 1;
    }
    let is_newline = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let before = bytes.get(..=at).unwrap_or_default();
    let begin = before.iter().rposition(is_newline).map_or(0, |newline| newline + 1);
    let rest = bytes.get(at..).unwrap_or_default();
    let end = at + rest.iter().position(is_newline).unwrap_or(rest.len());
    let line = bytes.get(begin.min(end)..end).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let shown = line.trim_start_matches('\t');
    let indent = at.saturating_sub(begin.min(end)).saturating_sub(line.len() - shown.len());
    let _ = write!(words, "\n\t{shown}\n\t{}^", " ".repeat(indent));
}

/// Go's `unicode.IsSpace` of a byte taken for a character.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ' | 0x85 | 0xa0)
}

#[cfg(test)]
mod tests;
