//! The policy engine: Rego as OPA 1.22 accepts it, compiled to a small core language that regorus'
//! VM runs. It starts no processes, does no I/O, and reads only the clock that it is given.
//!
//! ```text
//! files ─► parse ─► compile ─► lower ─► core ─► emit ─► regorus' VM
//!                                         └───► print ─► regorus' interpreter (cross-check, fall-back)
//! ```
//!
//! This crate is the only user of regorus.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "developers of the crate read its documentation in the source"
)]

pub mod ast;
pub mod builtins;
mod bundle;
pub mod compile;
pub mod core;
pub mod diagnostic;
pub mod emit;
pub mod interpreter;
pub mod json;
pub mod lower;
pub mod machine;
mod manifest;
pub mod number;
pub mod opa_json;
pub mod parse;
pub(crate) mod policy;
mod report;
pub mod request;
pub mod source;
pub mod tester;
pub mod topdown;
pub mod types;
mod yaml;

pub use builtins::table::capabilities;
pub use bundle::{File, MAX_IGNORED_FILES, Tests, is_test};
pub use policy::{
    DocumentQuery, Evaluation, EvaluationError, Evaluator, FailureKind, Moment, Namespace, Policy,
    Settings,
};
pub use regorus::Value;
pub use report::{CUT_BEFORE, Report};
