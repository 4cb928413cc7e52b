//! The text of a bundle's files, and places in it.

use std::fmt;
use std::sync::Arc;

/// A file's number in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A range of bytes in a file. Generated syntax has the span of the text that it was generated
/// from, or an empty one at the beginning of that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Its beginning, in bytes.
    pub start: u32,
    /// Its end (exclusive), in bytes.
    pub end: u32,
}

impl Span {
    /// The same without its text, for generated syntax without a text.
    #[must_use]
    pub const fn emptied(self) -> Self {
        Self { end: self.start, ..self }
    }

    /// Whether its text is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// A place, as OPA counts: rows and columns from 1, columns in characters. A line's end is in
/// column 0 of the next line, a file's end at its last character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file's path below the bundle's root.
    pub file: Arc<str>,
    /// The line.
    pub row: u32,
    /// The column.
    pub col: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.row, self.col)
    }
}

/// A file's path and original text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path below the bundle's root.
    pub path: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    lines: Lines,
}

/// All modules' texts.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file and returns its number.
    pub fn add(&mut self, path: &str, text: &str) -> FileId {
        let id = FileId(number(self.files.len()));
        let lines = Lines::of(text);
        self.files.push(SourceFile { path: path.into(), text: text.into(), lines });
        id
    }

    /// The file with this number.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        let range = usize::try_from(span.start).ok().zip(usize::try_from(span.end).ok());
        self.file(span.file)
            .zip(range)
            .and_then(|(file, (start, end))| file.text.get(start..end))
            .unwrap_or_default()
    }

    /// The beginning of a span.
    #[must_use]
    pub fn location(&self, span: Span) -> Location {
        match self.file(span.file) {
            Some(file) => {
                let start = usize::try_from(span.start).unwrap_or(usize::MAX);
                let (row, col) = file.lines.place(&file.text, start);
                Location { file: Arc::clone(&file.path), row, col }
            }
            None => Location { file: "".into(), row: 1, col: 1 },
        }
    }
}

/// The beginnings of a text's lines, and the number of characters before each block of bytes: a
/// place is found in time independent of the text's and the line's length.
#[derive(Debug, Clone)]
struct Lines {
    /// In bytes, the first one 0.
    starts: Arc<[u32]>,
    /// The characters before each block; empty where each character is a byte.
    characters: Arc<[u32]>,
}

/// The size of a block; its characters are counted for each place.
const BLOCK: usize = 1024;

impl Lines {
    fn of(text: &str) -> Self {
        let newlines = text.match_indices('\n').map(|(at, _)| number(at + 1));
        let starts = std::iter::once(0).chain(newlines).collect();
        let mut before = 0;
        let characters = if text.is_ascii() {
            Arc::default()
        } else {
            text.as_bytes()
                .chunks(BLOCK)
                .map(|block| {
                    let count = before;
                    before += number(begun(block));
                    count
                })
                .collect()
        };
        Self { starts, characters }
    }

    fn place(&self, text: &str, at: usize) -> (u32, u32) {
        let at = at.min(text.len());
        if text.as_bytes().get(at) == Some(&b'\n') {
            let row = self.starts.partition_point(|start| *start <= number(at));
            return (number(row + 1), 0);
        }
        let row = self.starts.partition_point(|start| *start <= number(at));
        let start = row.checked_sub(1).and_then(|row| self.starts.get(row)).copied().unwrap_or(0);
        let line = usize::try_from(start).unwrap_or(0);
        let before = self.characters_before(text, at) - self.characters_before(text, line);
        // OPA's scanner does not advance past the last character.
        let is_end = at == text.len();
        (number(row), number(before) + u32::from(!is_end))
    }

    fn characters_before(&self, text: &str, at: usize) -> usize {
        if self.characters.is_empty() {
            return at;
        }
        let block = at / BLOCK;
        let counted = self.characters.get(block).copied().unwrap_or(0);
        let rest = text.as_bytes().get(block * BLOCK..at).unwrap_or_default();
        usize::try_from(counted).unwrap_or(0) + begun(rest)
    }
}

/// How many characters begin in these bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{FileId, Sources, Span};

    fn place(text: &str, at: u32) -> (u32, u32) {
        let mut sources = Sources::default();
        let file = sources.add("a.rego", text);
        let location = sources.location(Span { file, start: at, end: at });
        (location.row, location.col)
    }

    #[test]
    fn columns_are_characters_and_tabs_are_one() {
        assert_eq!(place("é\tb\r\nc d", 3), (1, 3));
        assert_eq!(place("é\tb\r\nc d", 8), (2, 3));
    }

    #[test]
    fn the_end_of_a_line_stands_before_the_next() {
        assert_eq!(place("ab\nc", 2), (2, 0));
        assert_eq!(place("ab\nc", 3), (2, 1));
    }

    #[test]
    fn the_end_of_a_text_stands_at_its_last_character() {
        assert_eq!(place("ab", 2), (1, 2));
        assert_eq!(place("ab\n", 3), (2, 0));
        assert_eq!(place("", 0), (1, 0));
    }

    #[test]
    fn a_place_in_a_long_line_of_any_script_is_the_one_that_counting_finds() {
        let text = "aé€𝕊\t".repeat(2_000);
        for (count, (at, _)) in text.char_indices().enumerate().step_by(97) {
            let at = u32::try_from(at).unwrap();
            assert_eq!(place(&text, at), (1, u32::try_from(count).unwrap() + 1));
        }
    }

    #[test]
    fn a_file_that_does_not_exist_has_no_text() {
        let sources = Sources::default();
        assert_eq!(sources.text(Span { file: FileId(3), start: 0, end: 1 }), "");
    }
}
