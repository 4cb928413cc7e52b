//! Diagnostics as rustc shows them: severity and code, message, place, the line with a mark under
//! the fault, and help.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use enforcer_protocol::{Diagnostic, DiagnosticCode, Location};
use enforcer_rego::CUT_BEFORE;

use super::terminal::{Style, Terminal};

/// Columns of a tab in a line that is shown.
const TAB: usize = 4;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Error => Style::Error,
            Self::Warning => Style::Warning,
        }
    }
}

/// Shows diagnostics of the bundle at a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renderer<'a> {
    pub(super) terminal: Terminal,
    pub(super) bundle: &'a Path,
}

impl Renderer<'_> {
    /// A diagnostic as lines, each with its end.
    pub(super) fn diagnostic(&self, severity: Severity, diagnostic: &Diagnostic) -> String {
        let Diagnostic { code, message, location, line, help } = diagnostic;
        let head = match severity {
            Severity::Error => format!("{}[{}]", severity.word(), code.as_str()),
            // OPA's codes are those of errors.
            Severity::Warning => severity.word().to_owned(),
        };
        let mut shown = self.message(severity, &head, message);
        let gutter = location.as_ref().map_or(1, |place| place.row.to_string().len());
        let place = match location {
            Some(place) => self.place(place),
            None => {
                let path = self.bundle.display().to_string();
                self.terminal.link(Style::Plain, &path, self.bundle)
            }
        };
        let arrow = self.frame(&format!("{:gutter$}-->", ""));
        let _ = writeln!(shown, "{arrow} {place}");
        let bar = self.frame(&format!("{:gutter$} |", ""));
        if let (Some(place), Some(line)) = (location, line) {
            let (text, mark) = marked(line, place, message);
            let row = self.frame(&format!("{:>gutter$} |", place.row));
            let mark = self.terminal.paint(severity.style(), &mark);
            let text = self.terminal.paint(Style::Plain, &text);
            let _ = writeln!(shown, "{bar}\n{row} {text}\n{bar} {mark}");
        }
        if let Some(help) = help.as_deref().or_else(|| advice(diagnostic)) {
            let equals = self.frame(&format!("{:gutter$} =", ""));
            let word = self.terminal.paint(Style::Bold, "help:");
            let mut lines = help.split('\n').map(|line| self.terminal.paint(Style::Plain, line));
            let _ = writeln!(shown, "{equals} {word} {}", lines.next().unwrap_or_default());
            for line in lines {
                let _ = writeln!(shown, "{:gutter$}         {line}", "");
            }
        }
        shown
    }

    /// A fault that is not at a place of the bundle.
    pub(super) fn message(&self, severity: Severity, head: &str, message: &str) -> String {
        // OPA's messages have details on lines of their own.
        let mut lines = message.split('\n').map(|line| self.terminal.paint(Style::Bold, line));
        let head = self.terminal.paint(severity.style(), head);
        let colon = self.terminal.paint(Style::Bold, ":");
        let mut shown = format!("{head}{colon} {}\n", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(shown, "  {line}");
        }
        shown
    }

    fn place(&self, Location { file, row, col }: &Location) -> String {
        let path = path_of(self.bundle, file);
        // The end of a file is a place without a column.
        let text = match col {
            0 => format!("{}:{row}", path.display()),
            col => format!("{}:{row}:{col}", path.display()),
        };
        self.terminal.link(Style::Plain, &text, &path)
    }

    fn frame(&self, text: &str) -> String {
        self.terminal.paint(Style::Frame, text)
    }
}

/// Help with a common fault that comes without: OPA's message says what is wrong, and not what to do.
fn advice(diagnostic: &Diagnostic) -> Option<&'static str> {
    let has = |part| diagnostic.message.contains(part);
    match diagnostic.code {
        DiagnosticCode::UnsafeVariable => Some(
            "no statement gives it a value: assign it, import it, or correct its name; inside of `not`, bind it with `some … in` before",
        ),
        DiagnosticCode::Recursion => {
            Some("Rego has no recursion: use a comprehension, `walk` or `graph.reachable`")
        }
        DiagnosticCode::Compile if has("assigned above") => {
            Some("a variable gets one value: use another name, or compare with ==")
        }
        DiagnosticCode::StaticType if has("conflicting rules") => Some(
            "all definitions of a name are of one kind: a value, a set, an object, or a function with as many arguments",
        ),
        DiagnosticCode::StaticType if has("multiple default rules") => Some("keep one of them"),
        DiagnosticCode::Bundle if has("not UTF-8") => Some("save the file as UTF-8"),
        _ => None,
    }
}

/// The path of a bundle's file for people: below the bundle's, as they wrote it.
pub(super) fn path_of(bundle: &Path, file: &str) -> PathBuf {
    if file.is_empty() {
        bundle.to_owned()
    } else if bundle == Path::new(".") {
        PathBuf::from(file)
    } else {
        bundle.join(file)
    }
}

/// A line with its tabs as spaces, and the mark that stands under the fault.
fn marked(line: &str, place: &Location, message: &str) -> (String, String) {
    let characters: Vec<char> = line.chars().collect();
    let column = usize::try_from(place.col).unwrap_or(usize::MAX).saturating_sub(1);
    let start = if characters.first() == Some(&'…') { CUT_BEFORE } else { column };
    let start = start.min(characters.len());
    let fault = characters.get(start..).unwrap_or_default();
    let (start, end) = match unsafe_variable(fault, message) {
        Some((offset, length)) => (start + offset, start + offset + length),
        None => (start, start + token_length(fault, message)),
    };
    let (mut text, mut mark) = (String::new(), String::new());
    for (position, character) in characters.iter().enumerate() {
        let width = if *character == '\t' { TAB } else { 1 };
        let under = if (start..end).contains(&position) { '^' } else { ' ' };
        mark.extend(std::iter::repeat_n(under, width));
        match character {
            '\t' => text.push_str(&" ".repeat(TAB)),
            other => text.push(*other),
        }
    }
    // The fault may be that the line ends.
    if start >= characters.len() {
        mark.push('^');
    }
    (text.trim_end().to_owned(), mark.trim_end().to_owned())
}

/// Where a statement has the variable that a message is about, and its length: OPA's place is that of
/// the statement.
fn unsafe_variable(statement: &[char], message: &str) -> Option<(usize, usize)> {
    let name = message.strip_prefix("var ")?.strip_suffix(" is unsafe")?;
    let name: Vec<char> = name.chars().collect();
    let is_word = |position: usize| statement.get(position).is_some_and(is_word);
    let found = (0..statement.len()).find(|start| {
        let end = start + name.len();
        // `input.usr` is a key and no variable.
        let is_key = start
            .checked_sub(1)
            .is_some_and(|before| is_word(before) || statement.get(before) == Some(&'.'));
        statement.get(*start..end) == Some(name.as_slice()) && !is_key && !is_word(end)
    });
    found.map(|start| (start, name.len()))
}

fn is_word(character: &char) -> bool {
    character.is_alphanumeric() || *character == '_'
}

/// How many characters of a text belong to its first token; at least 1.
fn token_length(text: &[char], message: &str) -> usize {
    const OPERATORS: [&str; 5] = [":=", "==", "!=", "<=", ">="];
    let length = match text {
        [quote @ ('"' | '`'), rest @ ..] => {
            let mut is_escaped = false;
            let inside = rest.iter().take_while(|character| {
                let ends = **character == *quote && !is_escaped;
                is_escaped = *quote == '"' && **character == '\\' && !is_escaped;
                !ends
            });
            let inside = inside.count();
            // Not closed on this line: the fault is that it begins here.
            if inside < rest.len() { inside + 2 } else { 1 }
        }
        [first, ..] if is_word(first) => {
            let word = text.iter().take_while(|character| is_word(character)).count();
            let dotted = |character: &&char| is_word(character) || **character == '.';
            let reference: String = text.iter().take_while(dotted).collect();
            let reference = reference.trim_end_matches('.');
            // `time.format` as a whole where the message is about it, else its first name.
            let is_meant = message.split_whitespace().any(|part| part == reference);
            if is_meant { reference.chars().count() } else { word }
        }
        [first, second, ..] => {
            let two = String::from_iter([first, second]);
            if OPERATORS.contains(&two.as_str()) { 2 } else { 1 }
        }
        _ => 1,
    };
    length.max(1)
}

#[cfg(test)]
mod tests {
    use enforcer_protocol::DiagnosticCode;

    use super::*;

    fn shown(line: &str, col: u32, message: &str) -> (String, String) {
        marked(line, &Location { file: String::new(), row: 1, col }, message)
    }

    #[test]
    fn a_diagnostic_has_its_place_line_mark_and_help() {
        let renderer = Renderer { terminal: Terminal::PLAIN, bundle: Path::new("policies/a") };
        let diagnostic = Diagnostic {
            location: Some(Location { file: "b/p.rego".to_owned(), row: 12, col: 5 }),
            line: Some("\tif usr == 1".to_owned()),
            help: Some("did you mean user?".to_owned()),
            ..Diagnostic::new(DiagnosticCode::UnsafeVariable, "var usr is unsafe\nsecond line")
        };
        assert_eq!(
            renderer.diagnostic(Severity::Error, &diagnostic),
            "error[rego_unsafe_var_error]: var usr is unsafe
  second line
  --> policies/a/b/p.rego:12:5
   |
12 |     if usr == 1
   |        ^^^
   = help: did you mean user?
"
        );
        let whole = Diagnostic::new(DiagnosticCode::Bundle, "no rule\u{1b}[2J");
        assert_eq!(
            renderer.diagnostic(Severity::Warning, &whole),
            "warning: no rule\u{fffd}[2J\n --> policies/a\n"
        );
    }

    #[test]
    fn the_mark_is_under_the_token_at_the_fault() {
        for (line, col, message, mark) in [
            ("x := startwith(a)", 6, "undefined function startwith", "     ^^^^^^^^^"),
            ("x := strings.foo(a)", 6, "undefined function strings.foo", "     ^^^^^^^^^^^"),
            ("x := usr.name", 6, "var usr is unsafe", "     ^^^"),
            ("input.usr == usr", 1, "var usr is unsafe", "             ^^^"),
            ("usrs == 1", 1, "var usr is unsafe", "^^^^"),
            ("x == \"a\\\"b\" + 1", 6, "", "     ^^^^^^"),
            ("x == \"abc", 6, "", "     ^"),
            ("x := 1", 3, "", "  ^^"),
            ("x = 1", 3, "", "  ^"),
            ("é = ü", 5, "", "    ^"),
            ("allow if {", 11, "", "          ^"),
            ("allow", 40, "", "     ^"),
            ("", 1, "", "^"),
        ] {
            assert_eq!(shown(line, col, message).1, mark, "{line}");
        }
    }

    #[test]
    fn a_line_whose_start_is_cut_off_is_marked_where_the_fault_is() {
        let line = format!("…{} fault", "x".repeat(CUT_BEFORE - 2));
        assert_eq!(shown(&line, 900, "").1, format!("{}^^^^^", " ".repeat(CUT_BEFORE)));
    }
}
