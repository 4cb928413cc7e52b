//! The text of a bundle's files, and places in it.

use std::fmt;
use std::sync::Arc;

/// A file's number in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A range of bytes in a file. Generated syntax has the span of the text it was generated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Where it begins, in bytes.
    pub start: u32,
    /// Where it ends (exclusive), in bytes.
    pub end: u32,
}

/// Where something stands, as OPA counts: rows and columns from 1.
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

/// A file's path and text, as the tenant wrote it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path below the bundle's root.
    pub path: Arc<str>,
    /// The text.
    pub text: Arc<str>,
}

/// All modules' texts.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file and returns its number.
    pub fn add(&mut self, path: &str, text: &str) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile { path: path.into(), text: text.into() });
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

    /// Where a span begins, as OPA counts rows and columns.
    #[must_use]
    pub fn location(&self, span: Span) -> Location {
        let Some(file) = self.file(span.file) else {
            return Location { file: "".into(), row: 1, col: 1 };
        };
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let before = file.text.get(..start).unwrap_or(&file.text);
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Location {
            file: Arc::clone(&file.path),
            row: number(before.matches('\n').count() + 1),
            col: number(before.get(line..).unwrap_or_default().chars().count() + 1),
        }
    }
}
