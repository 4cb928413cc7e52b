//! The built-ins: one table of names, types and functions.
//!
//! `table` has OPA's declarations (names, argument and result types); a file a family has the
//! functions. A built-in is a plain function of its arguments and of what the evaluation has
//! ([`Context`]): no file, no network, no clock of its own.

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
mod glob;
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

/// What one evaluation of a decision has and leaves behind. Nested evaluations (`with`) share it.
#[derive(Debug)]
pub struct Context {
    /// The time of the evaluation in nanoseconds since 1970, read once when it began.
    pub now_ns: i64,
    /// When the evaluation must have ended.
    pub deadline: Instant,
    /// What is to be the same whenever it is asked again in one evaluation: random values by their
    /// arguments (`rand.intn`, `uuid.rfc4122`), as OPA keeps them.
    pub stable: HashMap<String, Value>,
    /// The keys that are asked for below the document that is evaluated.
    pub asked: Vec<Value>,
    /// What `print` printed, bounded by the caller.
    pub prints: Vec<String>,
    /// Errors of built-ins, in the order in which they came; the first is the evaluation's where
    /// `strict_builtin_errors` is on. Bounded: later ones are dropped.
    pub errors: Vec<Failure>,
}

impl Context {
    /// What an evaluation has when it begins.
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
    /// `eval_type_error`: the arguments' types do not fit, in OPA's words.
    #[error("{0}")]
    Type(String),
    /// `eval_conflict_error`: two values for one key of a document: ends the evaluation always.
    #[error("{0}")]
    Conflict(String),
    /// The deadline has passed, or a limit of this crate is reached: ends the evaluation always.
    #[error("{0}")]
    Halt(String),
}

/// What a built-in answers: a value, which may be [`Value::Undefined`] where OPA's has none and no
/// error either.
pub type Answer = Result<Value, Failure>;

/// What evaluates a built-in. As many arguments come as the declaration says; none is undefined.
pub type Function = fn(&mut Context, &[Value]) -> Answer;

/// The function of a built-in by OPA's name (`plus`, `internal.member_2`, `json.patch`). An error's
/// text has no name of the built-in; OPA's messages begin with it and a colon.
///
/// A declared name without a function is that of syntax (`assign`, `print`), or of a built-in that no
/// policy may call. Where `with` puts such a name in a function's place, the evaluation ends.
#[must_use]
pub fn function(name: &str) -> Option<Function> {
    let declared = || table::declaration(name).map(|_| unsupported as Function);
    index_of(name).and_then(by_index).or_else(declared)
}

fn unsupported(_: &mut Context, _: &[Value]) -> Answer {
    Err(Failure::Halt("unsupported built-in".to_owned()))
}

/// The place of a built-in among all that have a function, below [`COUNT`].
#[must_use]
pub fn index_of(name: &str) -> Option<usize> {
    registry::FUNCTIONS.binary_search_by_key(&name, |(name, _)| name).ok()
}

/// The function at a place.
#[must_use]
pub fn by_index(index: usize) -> Option<Function> {
    registry::FUNCTIONS.get(index).map(|(_, function)| *function)
}

/// How many built-ins have a function.
pub const COUNT: usize = registry::FUNCTIONS.len();

pub use order::compare;
