//! A second, slow evaluator that says why: it evaluates the compiled tree as OPA's own evaluator
//! does, statement by statement, and tells an observer what happens. It serves no requests.
pub(crate) mod calls;
pub(crate) mod conditions;
pub(crate) mod definitions;
pub(crate) mod documents;
pub(crate) mod environment;
mod explainer;
pub(crate) mod index;
pub(crate) mod machine;
pub(crate) mod nodes;
mod observe_why;
pub(crate) mod partial;
pub(crate) mod prepare;
mod query;
mod record;
pub(crate) mod scope;
pub mod show;
pub(crate) mod trace;
pub(crate) mod unify;
pub mod why;
pub use explainer::{Explainer, Question};
pub use query::{MAX_SOLUTIONS, Query, QueryError, Solution};
pub use record::{MAX_BYTES, MAX_EVENTS, Mode, Trace};
pub use trace::Op;

#[cfg(test)]
mod tests;

/// What observers in other modules need.
pub(crate) mod observed {
    pub(crate) use super::index::Shortcuts;
    pub(crate) use super::nodes::{ExprKind, Operator};
    pub(crate) use super::prepare::head_span;
    pub(crate) use super::scope::Cell;
    pub(crate) use super::trace::{Event, Node, Observer, Op};
}
