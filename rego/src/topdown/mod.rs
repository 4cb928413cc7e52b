//! A second, slow evaluator that says why. It serves no requests.
//!
//! It evaluates the compiled tree as OPA's own evaluator does, statement by statement, and tells an
//! observer what happens, in OPA's order. Its values are the machine's.
//!
//! - [`nodes`], [`rules`]: the tree as the evaluator walks it, made by [`prepare`]
//! - [`machine`]: bodies and statements; [`unify`]; [`documents`]: references into `data`;
//!   [`definitions`]: complete rules and functions; [`partial`]: sets and objects; [`calls`]
//! - [`index`]: which rules OPA would evaluate, by [`conditions`] that [`requirements`] reads
//! - [`trace`]: events; observers make of them a [`record`] or a [`why`], and coverage
//! - [`explainer`], [`query`]: a loaded bundle, and queries of it
//!
//! Recursion over values, terms and syntax is as deep as their parsers allow; that of an evaluation
//! is bounded by the stack that it takes.

pub(crate) mod calls;
pub(crate) mod conditions;
pub(crate) mod definitions;
pub(crate) mod documents;
pub(crate) mod environment;
mod explainer;
pub(crate) mod frame;
pub(crate) mod index;
pub(crate) mod machine;
pub(crate) mod nodes;
mod observe_why;
pub(crate) mod partial;
mod policies;
pub(crate) mod prepare;
mod query;
mod record;
pub(crate) mod requirements;
pub(crate) mod rules;
pub(crate) mod scope;
pub mod show;
pub(crate) mod trace;
pub(crate) mod unify;
pub mod why;
pub use explainer::{Explainer, Question};
pub use policies::Policy;
pub use query::{MAX_SOLUTIONS, Query, QueryError, Solution};
pub use record::{MAX_BYTES, MAX_EVENTS, Mode, Trace};
pub use trace::Op;

#[cfg(test)]
mod tests;

/// What observers in other modules need.
pub(crate) mod observed {
    pub(crate) use super::index::Shortcuts;
    pub(crate) use super::nodes::{Expr, ExprKind, Operator};
    pub(crate) use super::prepare::statement_span;
    pub(crate) use super::scope::Cell;
    pub(crate) use super::trace::{Event, Node, Observer, Op};
}
