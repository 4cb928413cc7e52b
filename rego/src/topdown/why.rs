//! Why a document has its value, for people: which rules took part, which statements held, and the
//! values in them.

use serde::{Deserialize, Serialize};

/// How many rules are told of.
pub const MAX_RULES: usize = 256;

/// How many statements of a rule, or of a body in it, are told of.
pub const MAX_STATEMENTS: usize = 128;

/// How many attempts of a statement are told of: the first ones, and the last.
pub const MAX_ATTEMPTS: usize = 4;

/// How many values of an attempt are told of.
pub const MAX_VALUES: usize = 16;

/// How many characters of a value are shown; then `…` follows.
pub const MAX_VALUE: usize = 200;

/// How many characters of a rule's text are shown; then `…` follows.
pub const MAX_SOURCE: usize = 4_000;

/// How many characters all texts and values have together.
pub const MAX_TEXT: usize = 512 << 10;

/// Why a document has its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The document: `data.tenants.a.allow`.
    pub document: String,
    /// Its value as JSON, cut to [`MAX_VALUE`]; `None` where it is undefined or the evaluation
    /// failed.
    pub value: Option<String>,
    /// The error of the evaluation.
    pub error: Option<String>,
    /// The rules that took part, in the order in which they were looked up first.
    pub rules: Vec<RuleWhy>,
    /// Whether something was left out because of a limit.
    pub is_truncated: bool,
}

/// A place in a file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path below the bundle's root.
    pub file: String,
    /// The line, from 1.
    pub row: u32,
    /// The column in characters, from 1.
    pub col: u32,
}

/// One definition of a rule or function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleWhy {
    /// Its path: `data.tenants.a.allow`.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Its text, cut to [`MAX_SOURCE`].
    pub source: String,
    /// What became of it.
    pub outcome: RuleOutcome,
    /// Its last value as JSON, cut to [`MAX_VALUE`], where it held and is not a set's or object's.
    pub value: Option<String>,
    /// Whether it is a `default`.
    pub is_default: bool,
    /// Whether it is an `else`.
    pub is_else: bool,
    /// How often it was evaluated: for other arguments, or in another environment.
    pub evaluations: u32,
    /// Its statements, in the order in which they are evaluated.
    pub statements: Vec<StatementWhy>,
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It held, at least once.
    Held,
    /// A statement of it did not hold.
    Failed,
    /// It was not evaluated, because another definition had decided.
    NotReached,
}

/// A statement, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementWhy {
    /// Where it stands.
    pub place: Place,
    /// Its text, cut to [`MAX_SOURCE`].
    pub source: String,
    /// What became of it.
    pub outcome: StatementOutcome,
    /// How often it held.
    pub held: u32,
    /// How often it did not.
    pub failed: u32,
    /// The first attempts, and the last.
    pub attempts: Vec<Attempt>,
    /// The statements of `every`, `not`, `and`, `or` and comprehensions in it.
    pub inside: Vec<StatementWhy>,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementOutcome {
    /// It held, at least once.
    Held,
    /// It never held.
    Failed,
    /// It was not evaluated.
    NotReached,
}

/// One attempt of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Whether it held.
    pub held: bool,
    /// The values of what it reads.
    pub values: Vec<Named>,
}

/// A value of a variable, reference or call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What has the value, as the policy writes it: `input.user.role`.
    pub name: String,
    /// Its value as JSON, cut to [`MAX_VALUE`]; `None` is undefined, or not known yet.
    pub value: Option<String>,
}

/// A text with at most so many characters, and whether it was longer.
pub(crate) fn cut(text: &str, limit: usize) -> (String, bool) {
    match text.char_indices().nth(limit) {
        Some((at, _)) => (format!("{}…", text.get(..at).unwrap_or_default()), true),
        None => (text.to_owned(), false),
    }
}
