//! Faults in the form for a policy's author.

use std::fmt;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Location, Sources};

/// Characters of a source line that a report shows. A longer line is truncated around the fault.
const SHOWN_LINE: usize = 160;

/// Characters before the fault in a line whose start is cut off, the `…` in their place included.
/// [`Report::line`] is documented with it, so that a reader can mark the fault.
pub const CUT_BEFORE: usize = SHOWN_LINE / 2;

/// Stands for the part of a line that is cut off.
const CUT: char = '…';

/// A fault or warning with its place in the author's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its kind, with OPA's codes.
    pub code: Code,
    /// The message: OPA's where OPA has one.
    pub message: String,
    /// The place; `None` for a fault of the whole bundle.
    pub location: Option<Location>,
    /// The author's line at that place. A `…` stands for a start or end that is cut off; behind one
    /// at the start, the fault is at the character [`CUT_BEFORE`], counted from 0.
    pub line: Option<String>,
    /// One line of advice, where the cause is common.
    pub help: Option<String>,
}

impl Report {
    /// A fault of the whole bundle.
    #[must_use]
    pub fn of_bundle(message: impl Into<String>) -> Self {
        Self { code: Code::Bundle, message: message.into(), location: None, line: None, help: None }
    }

    /// A fault at a byte of a file that is not Rego.
    #[must_use]
    pub fn in_file(path: &str, content: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = content.get(..offset).unwrap_or(content);
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = content.get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let column =
            String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let location = Location {
            file: path.into(),
            row: number(before.iter().filter(|byte| **byte == b'\n').count() + 1),
            col: number(column + 1),
        };
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        Self {
            code: Code::Bundle,
            message: message.into(),
            location: Some(location),
            line: shown(&line, column),
            help: None,
        }
    }

    /// The report of a diagnostic.
    #[must_use]
    pub fn of(diagnostic: Diagnostic, sources: &Sources) -> Self {
        let Diagnostic { code, message, span, help } = diagnostic;
        let line = span.and_then(|span| {
            let text = &sources.file(span.file)?.text;
            let offset = usize::try_from(span.start).ok()?.min(text.len());
            let before = text.get(..offset)?;
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let line = text.get(start..)?.lines().next()?;
            shown(line, before.get(start..)?.chars().count())
        });
        let location = span.map(|span| sources.location(span));
        Self { code, message, location, line, help }
    }

    /// The same with a line of help.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A line for display: without the end of line, and truncated around `column` where it is long.
fn shown(line: &str, column: usize) -> Option<String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return None;
    }
    if line.chars().nth(SHOWN_LINE).is_none() {
        return Some(line.to_owned());
    }
    let start = column.saturating_sub(CUT_BEFORE);
    let mut shown: Vec<char> = line.chars().skip(start).take(SHOWN_LINE).collect();
    if start > 0
        && let Some(first) = shown.first_mut()
    {
        *first = CUT;
    }
    if line.chars().nth(start + SHOWN_LINE).is_some()
        && let Some(last) = shown.last_mut()
    {
        *last = CUT;
    }
    Some(shown.into_iter().collect())
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(formatter, "{location}: ")?;
        }
        write!(formatter, "{}: {}", self.code, self.message)?;
        if let Some(help) = &self.help {
            write!(formatter, " ({help})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("{}fault{}", "x".repeat(1000), "y".repeat(1000));
        let shown = shown(&line, 1000).unwrap();
        assert!(shown.contains("xfaulty") && shown.chars().count() == SHOWN_LINE, "{shown}");
        assert!(shown.starts_with("…x") && shown.ends_with("y…"), "{shown}");
        assert_eq!(shown.chars().skip(CUT_BEFORE).take(5).collect::<String>(), "fault");
    }

    #[test]
    fn a_line_is_marked_where_it_is_cut_only() {
        let line = "y".repeat(SHOWN_LINE + 1);
        assert!(shown(&line, 0).unwrap().starts_with('y'));
        assert!(shown(&line, SHOWN_LINE).unwrap().ends_with('y'));
        assert_eq!(shown(&line[1..], 0).unwrap(), line[1..]);
    }

    #[test]
    fn a_place_in_a_file_is_counted_in_characters() {
        let report = Report::in_file("data.json", "{\n\"é\": x}".as_bytes(), 8, "no");
        assert_eq!(report.to_string(), "data.json:2:6: bundle_error: no");
        assert_eq!(report.line.as_deref(), Some("\"é\": x}"));
    }
}
