//! `# METADATA` blocks.

use crate::ast::Module;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

use super::parser::Comment;

/// A block that is read, and not yet attached to what it is about.
pub(super) struct Block {
    span: Span,
}

impl Block {
    pub(super) const fn span(&self) -> Span {
        self.span
    }
}

/// Reads all blocks.
pub(super) fn read(
    _comments: &[Comment],
    _text: &str,
    _file: FileId,
    _faults: &mut Vec<Diagnostic>,
) -> Vec<Block> {
    Vec::new()
}

/// Attaches blocks to what follows them.
pub(super) fn attach(
    _module: &mut Module,
    _blocks: Vec<Block>,
    _text: &str,
) -> Result<(), Vec<Diagnostic>> {
    Ok(())
}
