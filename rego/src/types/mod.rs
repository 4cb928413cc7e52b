//! Static types, as OPA's (`v1/types`), and the check of a policy's calls and references.
//!
//! A type says what a value can be. It is inferred from constants, from the results of built-ins
//! and rules, and from the uses of a variable; an unknown type can be anything. A policy is refused
//! where two types can have no value in common: the statement could never hold.
//!
//! | file | content |
//! |---|---|
//! | `constant`, `model`, `union`, `members`, `text` | types, their keys, unions, parts and texts |
//! | `unify`, `infer` | whether types and terms can have a value in common |
//! | `tree`, `dependents`, `checker`, `env` | the known types of rules, documents and variables |
//! | `check`, `calls`, `references`, `with` | the check of rules, statements and their parts |
//! | `fault` | faults with OPA's messages |

#![allow(
    clippy::mutable_key_type,
    reason = "the cells in a type keep what was found out of it, and its order does not depend on them"
)]

mod calls;
mod check;
mod checker;
mod constant;
mod dependents;
mod env;
mod fault;
mod infer;
mod members;
mod model;
mod path;
mod references;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod unify;
mod union;
mod with;

use crate::compile::{CheckedTypes, Compiled};
use crate::diagnostic::Diagnostic;
use crate::source::Sources;

/// Steps that a check may always take.
const MIN_STEPS: u64 = 1 << 24;

/// Steps that a check may take for each byte of the policy.
const STEPS_PER_BYTE: u64 = 1 << 10;

/// Checks the types of compiled modules, as OPA's `CheckTypes` stage.
///
/// All faults, in order of their places, and the types that paths are checked with. Time grows about linearly with the size of the policy; where
/// types would need much more, that is the last fault.
#[must_use]
pub fn check(sources: &Sources, compiled: &Compiled) -> CheckedTypes {
    let files = compiled.modules.iter().filter_map(|module| sources.file(module.file));
    let bytes: usize = files.map(|file| file.text.len()).sum();
    let steps = STEPS_PER_BYTE.saturating_mul(u64::try_from(bytes).unwrap_or(u64::MAX));
    let (faults, data) = check::rules(compiled, steps.saturating_add(MIN_STEPS));
    let mut found: Vec<Diagnostic> =
        faults.into_iter().map(fault::Fault::into_diagnostic).collect();
    found.sort_by_cached_key(|fault| {
        let path = |file| sources.file(file).map(|file| file.path.clone());
        let place = fault.span.map(|span| (path(span.file), span.start));
        (place, fault.message.clone())
    });
    CheckedTypes { faults: found, paths: Box::new(path::Documents(data)) }
}
