//! Text to syntax tree.

use crate::ast::{Module, RegoVersion};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Sources};

/// Reads a module.
///
/// # Errors
/// All faults that recovery at the next rule finds, up to a bound.
pub fn parse_module(
    _sources: &Sources,
    _file: FileId,
    _version: RegoVersion,
) -> Result<Module, Vec<Diagnostic>> {
    Err(Vec::new())
}
