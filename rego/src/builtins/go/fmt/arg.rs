//! The arguments of formatting.

use num_bigint::BigInt;

/// A value of Go's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arg {
    /// A `nil` interface.
    Nil,
    /// A `bool`.
    Bool(bool),
    /// An `int64`.
    Int(i64),
    /// An `int`.
    MachineInt(i64),
    /// A `float64`.
    Float(f64),
    /// A `*big.Int`.
    Big(BigInt),
    /// A `string`.
    Text(String),
    /// A `json.Number`.
    Number(String),
    /// A `[]interface {}`.
    List(Vec<Arg>),
    /// A `map[string]interface {}`, sorted by key.
    Map(Vec<(String, Arg)>),
}

impl Arg {
    /// Go's name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int64",
            Self::MachineInt(_) => "int",
            Self::Float(_) => "float64",
            Self::Big(_) => "*big.Int",
            Self::Text(_) => "string",
            Self::Number(_) => "json.Number",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
        }
    }
}
