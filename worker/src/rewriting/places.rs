//! Changes of a text, and where what stands in the changed text stood before.

use std::collections::BTreeMap;

use enforcer_protocol::Location;

use crate::diagnostics::shortened;

/// How many columns a tab is to regorus.
const TAB: usize = 4;

/// A part of a module's text and what stands there instead.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) pieces: Vec<Piece>,
}

/// A part of a new text.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// What in the old text it stands for.
    pub(super) offset: usize,
    /// Whether the old text goes on as this one does.
    pub(super) is_kept: bool,
}

/// `text` from `start` to `end`, with the edits inside.
pub(super) fn applied(text: &str, start: usize, end: usize, edits: &[Edit]) -> String {
    let mut new = String::new();
    let mut done = start;
    for edit in edits {
        new.push_str(text.get(done..edit.start).unwrap_or_default());
        new.extend(edit.pieces.iter().map(|piece| piece.text.as_str()));
        done = edit.end;
    }
    new.push_str(text.get(done..end).unwrap_or_default());
    new
}

/// Where the modules that were written anew say what they said before.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Vec<Mark>>);

/// From here on, up to the next mark, a new text stands for what is at an old place.
#[derive(Debug)]
struct Mark {
    new: (usize, usize),
    old: (usize, usize),
    is_kept: bool,
}

impl Places {
    /// The text with the edits, which follow one another; keeps where they are.
    pub(super) fn applied(&mut self, path: &str, text: &str, edits: &[Edit]) -> String {
        let marks = self.0.entry(shortened(path)).or_default();
        let mut new = String::new();
        let (mut new_place, mut old_place) = ((1, 1), (1, 1));
        let mut done = 0;
        for edit in edits {
            let kept = text.get(done..edit.start).unwrap_or_default();
            new.push_str(kept);
            new_place = moved(new_place, kept);
            old_place = moved(old_place, kept);
            for piece in &edit.pieces {
                let before = text.get(edit.start..piece.offset).unwrap_or_default();
                let (old, is_kept) = (moved(old_place, before), piece.is_kept);
                marks.push(Mark { new: new_place, old, is_kept });
                new.push_str(&piece.text);
                new_place = moved(new_place, &piece.text);
            }
            old_place = moved(old_place, text.get(edit.start..edit.end).unwrap_or_default());
            marks.push(Mark { new: new_place, old: old_place, is_kept: true });
            done = edit.end;
        }
        new.push_str(text.get(done..).unwrap_or_default());
        new
    }

    /// Puts a location that regorus knows where its owner wrote it.
    pub(crate) fn restore(&self, location: &mut Location) {
        let Some(marks) = self.0.get(&location.file) else { return };
        let (Ok(row), Ok(col)) = (usize::try_from(location.row), usize::try_from(location.col))
        else {
            return;
        };
        let count = marks.partition_point(|mark| mark.new <= (row, col));
        let Some(mark) = count.checked_sub(1).and_then(|last| marks.get(last)) else { return };
        let (old_row, old_col) = match (mark.is_kept, mark.new.0 == row) {
            (true, true) => (mark.old.0, mark.old.1 + (col - mark.new.1)),
            // Lines stay where they are.
            (true, false) => (row, col),
            (false, _) => mark.old,
        };
        if let (Ok(row), Ok(col)) = (u32::try_from(old_row), u32::try_from(old_col)) {
            (location.row, location.col) = (row, col);
        }
    }
}

/// The place behind `text` that begins at `place`, as regorus counts.
fn moved((row, col): (usize, usize), text: &str) -> (usize, usize) {
    let width = |line: &str| line.len() + line.matches('\t').count() * (TAB - 1);
    match text.rsplit_once('\n') {
        None => (row, col + width(text)),
        Some((before, last)) => (row + before.matches('\n').count() + 1, 1 + width(last)),
    }
}
