//! What a directive says of how its argument is written.

/// What a directive asks for beside its verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`: accepted, and means nothing for these arguments.
    pub(super) plus_v: bool,
    /// `%#v`: Go's syntax.
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}
