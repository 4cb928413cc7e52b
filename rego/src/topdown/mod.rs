//! A second, slow evaluator that says why: it evaluates the compiled tree as OPA's own evaluator
//! does, statement by statement, and tells an observer what happens. It serves no requests.
pub(crate) mod calls;
pub(crate) mod definitions;
pub(crate) mod documents;
pub(crate) mod environment;
mod explainer;
pub(crate) mod index;
pub(crate) mod machine;
pub(crate) mod nodes;
pub(crate) mod partial;
pub(crate) mod prepare;
pub(crate) mod scope;
pub(crate) mod trace;
pub(crate) mod unify;
pub use explainer::{Explainer, Question};
