//! A consumer's position in the stream, and whether it resumes from there.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A consumer's position in a stream, to resume there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// As the stream itself reported it.
    At { epoch: u32, position: u64 },
    /// After the event of this decision, whose id may be known from elsewhere.
    Behind(Uuid),
    /// An unknown position.
    Unknown,
}

/// Whether a consumer reconnects when its connection breaks, and asks for missed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// It starts afresh.
    Never,
    /// It may, later.
    Possible,
    /// It does so now, from this place.
    From(Cursor),
}

impl Resumption {
    pub(super) fn is_possible(self) -> bool {
        self != Self::Never
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { epoch, position } => write!(formatter, "{epoch:08x}.{position}"),
            Self::Behind(id) => write!(formatter, "{id}"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

impl From<&str> for Cursor {
    fn from(text: &str) -> Self {
        let at = |(epoch, position): (&str, &str)| {
            let epoch = u32::from_str_radix(epoch, 16).ok()?;
            Some(Self::At { epoch, position: position.parse().ok()? })
        };
        let behind = || Uuid::from_str(text).ok().map(Self::Behind);
        text.split_once('.').and_then(at).or_else(behind).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::new_id;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for cursor in
            [Cursor::At { epoch: 7, position: u64::MAX }, Cursor::Behind(new_id()), Cursor::Unknown]
        {
            assert_eq!(Cursor::from(cursor.to_string().as_str()), cursor);
        }
        for text in ["", ".", "1", "x.1", "1.x", "1.-1", "100000000.1"] {
            assert_eq!(Cursor::from(text), Cursor::Unknown, "{text}");
        }
    }
}
