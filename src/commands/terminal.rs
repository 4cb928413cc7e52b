//! Styled text for a terminal, and the same text without styles for everything else. Texts of
//! policies, files and values never reach a terminal unescaped.

use std::env;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use enforcer_rego::topdown::show;

/// Columns of an explanation, as far as its values allow.
const WIDTH: usize = 100;

/// The separator between two values of an explanation.
const SEPARATOR: &str = ", ";

/// How a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Error,
    Warning,
    Good,
    /// Places, gutters and help.
    Frame,
    /// Beside the point.
    Dim,
}

impl Style {
    /// The parameters of `ESC [ … m`.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Error => "1;31",
            Self::Warning => "1;33",
            Self::Good => "32",
            Self::Frame => "34",
            Self::Dim => "2",
        }
    }
}

/// The capabilities of an output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terminal {
    has_colours: bool,
    has_links: bool,
}

impl Terminal {
    /// Neither colours nor links.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { has_colours: false, has_links: false };

    /// As the stream and the environment have it: `NO_COLOR` and `TERM=dumb` turn colours off,
    /// `CLICOLOR_FORCE` turns them on where the stream is no terminal.
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        let variable = |name| env::var_os(name).unwrap_or_default();
        let is_forced = !variable("CLICOLOR_FORCE").is_empty() && variable("CLICOLOR_FORCE") != "0";
        let is_refused = !variable("NO_COLOR").is_empty();
        let is_terminal = stream.is_terminal() && variable("TERM") != "dumb";
        let has_colours = !is_refused && (is_terminal || is_forced);
        Self { has_colours, has_links: has_colours && is_terminal }
    }

    /// A text in a style, escaped.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        let text = printable(text);
        if self.has_colours && style != Style::Plain && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.parameters())
        } else {
            text
        }
    }

    /// A text that leads to a file, where the terminal has links (OSC 8).
    pub(super) fn link(self, style: Style, text: &str, file: &Path) -> String {
        let painted = self.paint(style, text);
        match file.canonicalize() {
            Ok(path) if self.has_links => {
                let mut target = String::from("file://");
                for byte in path.as_os_str().as_encoded_bytes() {
                    match byte {
                        b'/' | b'-' | b'_' | b'.' | b'~' => target.push(char::from(*byte)),
                        byte if byte.is_ascii_alphanumeric() => target.push(char::from(*byte)),
                        byte => {
                            let _ = write!(target, "%{byte:02X}");
                        }
                    }
                }
                format!("\u{1b}]8;;{target}\u{1b}\\{painted}\u{1b}]8;;\u{1b}\\")
            }
            _ => painted,
        }
    }

    /// A line of an explanation: as lines, where it lists more values than fit into [`WIDTH`].
    pub(super) fn lines(self, line: &show::Line) -> Vec<String> {
        let indent = line.0.first().map_or("", |part| part.text.as_str());
        let indent = if indent.trim().is_empty() { indent } else { "" };
        let mut lines = vec![String::new()];
        let mut width = 0;
        for group in line.0.split_inclusive(|part| part.text == SEPARATOR) {
            let length: usize = group.iter().map(|part| part.text.chars().count()).sum();
            if width > 0 && width + length > WIDTH {
                lines.push(indent.to_owned());
                width = indent.len();
            }
            width += length;
            if let Some(last) = lines.last_mut() {
                last.extend(group.iter().map(|part| self.part(part)));
            }
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }

    fn part(self, part: &show::Part) -> String {
        let style = match part.style {
            show::Style::Plain | show::Style::Source => Style::Plain,
            show::Style::Heading => Style::Bold,
            show::Style::Held => Style::Good,
            show::Style::Failed => Style::Error,
            show::Style::Skipped => Style::Dim,
            show::Style::Place | show::Style::Value => Style::Frame,
        };
        self.paint(style, &part.text)
    }
}

/// A text with U+FFFD for each character that a terminal would obey: control characters, and those
/// that turn the direction of writing, so that it shows something else than what is there.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a terminal obeys a character instead of showing it.
pub(super) fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_give_orders_to_the_terminal() {
        for has_colours in [false, true] {
            let terminal = Terminal { has_colours, has_links: has_colours };
            let shown = terminal.paint(Style::Plain, "a\u{1b}[31m\u{9b}2J\rb\u{202e}c\n\u{7}é");
            assert_eq!(shown, "a\u{fffd}[31m\u{fffd}2J\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}é");
        }
    }

    #[test]
    fn values_that_do_not_fit_into_a_line_are_on_the_next_at_the_same_column() {
        let part = |text: &str| show::Part { style: show::Style::Plain, text: text.to_owned() };
        let (long, short) = ("x".repeat(60), "y".repeat(20));
        let parts = [part("    "), part(&long), part(", "), part(&short), part(", "), part(&long)];
        let lines = Terminal::PLAIN.lines(&show::Line(parts.to_vec()));
        assert_eq!(lines, [format!("    {long}, {short},"), format!("    {long}")]);
        assert_eq!(Terminal::PLAIN.lines(&show::Line::default()), [""]);
    }

    #[test]
    fn a_link_s_target_has_no_character_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a b\u{1b}é.rego");
        std::fs::write(&file, "").unwrap();
        let terminal = Terminal { has_colours: true, has_links: true };
        let link = terminal.link(Style::Plain, "text", &file);
        assert!(link.contains("/a%20b%1B%C3%A9.rego\u{1b}\\text\u{1b}]8;;"), "{link:?}");
        assert_eq!(Terminal::PLAIN.link(Style::Plain, "text", &file), "text");
        assert_eq!(terminal.link(Style::Plain, "text", Path::new("/no/such/file")), "text");
    }
}
