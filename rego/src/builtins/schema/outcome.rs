//! The findings of validation and their places.

/// The name of the document in places.
const ROOT: &str = "(Root)";

/// A problem of a document.
#[derive(Debug)]
pub(super) struct Problem {
    /// The library's name of the kind.
    pub(super) kind: &'static str,
    pub(super) field: String,
    pub(super) description: String,
}

impl Problem {
    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.field.len() + self.description.len()
    }
}

/// A place in the document.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    name: &'a str,
    parent: Option<&'a Self>,
}

impl Place<'_> {
    /// The document itself.
    pub(super) const ROOT: Place<'static> = Place { name: ROOT, parent: None };

    pub(super) fn below<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { name, parent: Some(self) }
    }

    /// The names from the document on; only the document where there are no others.
    pub(super) fn field(&self) -> String {
        let mut names = vec![self.name];
        let mut place = self;
        while let Some(parent) = place.parent {
            names.push(parent.name);
            place = parent;
        }
        names.reverse();
        let text = names.join(".");
        text.strip_prefix(ROOT)
            .and_then(|rest| rest.strip_prefix('.'))
            .map_or_else(|| text.clone(), str::to_owned)
    }
}

/// The problems, and a score of the valid parts: of many schemas the nearest one's problems are
/// shown.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) problems: Vec<Problem>,
    pub(super) score: i64,
}

impl Outcome {
    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.score += other.score;
    }
}
