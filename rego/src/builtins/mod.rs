//! The built-ins: one table of names, types and functions.
//!
//! `table` has OPA's declarations (names, argument and result types); a file a family has the
//! functions. A built-in is a plain function of its arguments and of the evaluation's context
//! ([`Context`]): it uses no file, network or clock.

mod aggregates;
mod arithmetic;
mod arrays;
mod aws;
mod bits;
pub(crate) mod bytes;
mod comparison;
mod crypto;
mod encoding;
mod formats;
pub(crate) mod glob;
pub(crate) mod go;
mod graph;
mod graphql;
pub(crate) mod json;
mod jwt;
pub(crate) mod limits;
mod net;
pub(crate) mod number;
mod numbers;
mod objects;
mod opa;
mod operands;
pub(crate) mod order;
mod parse_module;
mod regex;
mod registry;
mod replace;
mod schema;
mod semver;
mod sets;
mod strings;
mod subset;
pub mod table;
mod template;
mod text;
pub(crate) mod time;
mod types;
mod units;
mod uri;
mod uuid;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Instant;

use regorus::Value;

/// The context and the records of one evaluation of a decision. Nested evaluations (`with`) share
/// it.
#[derive(Debug)]
pub struct Context {
    /// The time of the evaluation in nanoseconds since 1970, read once when it began.
    pub now_ns: i64,
    /// When the evaluation must have ended.
    pub deadline: Instant,
    /// Values that must stay the same within one evaluation: random values by their arguments
    /// (`rand.intn`, `uuid.rfc4122`), as in OPA.
    pub stable: HashMap<String, Value>,
    /// The requested keys below the evaluated document.
    pub asked: Vec<Value>,
    /// The lines that `print` printed, bounded by the caller.
    pub prints: Vec<String>,
    /// Errors of built-ins, in order; with `strict_builtin_errors`, the first is the evaluation's.
    /// Bounded: later ones are dropped.
    pub errors: Vec<Failure>,
}

impl Context {
    /// The context at the beginning of an evaluation.
    #[must_use]
    pub fn new(now_ns: i64, deadline: Instant) -> Self {
        let (stable, prints, errors) = (HashMap::new(), Vec::new(), Vec::new());
        Self { now_ns, deadline, stable, asked: Vec::new(), prints, errors }
    }
}

/// Why a built-in has no value. By default each makes the call undefined, as in OPA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `eval_builtin_error`: the arguments' values do not fit.
    #[error("{0}")]
    Builtin(String),
    /// `eval_type_error`: the arguments' types do not fit, with OPA's message.
    #[error("{0}")]
    Type(String),
    /// `eval_conflict_error`: two values for one key of a document, which always ends the
    /// evaluation.
    #[error("{0}")]
    Conflict(String),
    /// The deadline has passed, or a limit of this crate is reached, which always ends the
    /// evaluation.
    #[error("{0}")]
    Halt(String),
}

/// The result of a built-in: a value, which may be [`Value::Undefined`] where OPA's has neither a
/// value nor an error.
pub type Answer = Result<Value, Failure>;

/// The function of a built-in. It gets the declared number of arguments, all defined.
pub type Function = fn(&mut Context, &[Value]) -> Answer;

/// The function of a built-in by OPA's name (`plus`, `internal.member_2`, `json.patch`). An error's
/// text lacks the name of the built-in; OPA's messages begin with it and a colon.
///
/// A declared name without a function belongs to syntax (`assign`, `print`), or to a built-in that
/// no policy may call. Where `with` puts such a name in a function's place, the evaluation ends.
#[must_use]
pub fn function(name: &str) -> Option<Function> {
    let declared = || table::declaration(name).map(|_| unsupported as Function);
    index_of(name).and_then(by_index).or_else(declared)
}

fn unsupported(_: &mut Context, _: &[Value]) -> Answer {
    Err(Failure::Halt("unsupported built-in".to_owned()))
}

/// The index of a built-in among all that have a function, below [`COUNT`].
#[must_use]
pub fn index_of(name: &str) -> Option<usize> {
    registry::FUNCTIONS.binary_search_by_key(&name, |(name, _)| name).ok()
}

/// The function at an index.
#[must_use]
pub fn by_index(index: usize) -> Option<Function> {
    registry::FUNCTIONS.get(index).map(|(_, function)| *function)
}

/// The number of built-ins with a function.
pub const COUNT: usize = registry::FUNCTIONS.len();

pub use order::compare;
