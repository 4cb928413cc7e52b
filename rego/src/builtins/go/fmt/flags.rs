//! The flags, width and precision of a directive.

/// A directive without its verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`: accepted, without effect for these arguments.
    pub(super) plus_v: bool,
    /// `%#v`: Go's syntax.
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}
