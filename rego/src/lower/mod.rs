//! Compiled modules to core.

use crate::compile::Compiled;
use crate::core::Program;
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

/// Lowers compiled modules.
///
/// # Errors
/// What core cannot say, with its place.
pub fn lower(_sources: &Sources, _compiled: &Compiled) -> Result<Program, Vec<Diagnostic>> {
    Ok(Program::default())
}
