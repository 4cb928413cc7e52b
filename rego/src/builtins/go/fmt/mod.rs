//! `fmt.Sprintf`: verbs, flags, widths, precisions, argument numbers, and what it writes where verbs
//! and arguments do not fit (`%!d(string=a)`).

mod directive;
mod integer;
mod print;

use num_bigint::BigInt;

use self::directive::Reader;
use self::print::Printer;
use crate::builtins::{Failure, limits};

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

/// What a directive asks for beside its verb.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`: accepted, and means nothing for these arguments.
    plus_v: bool,
    /// `%#v`: Go's syntax.
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats arguments.
///
/// # Errors
/// Where the text would be longer than [`limits::STRING_BYTES`].
pub(crate) fn sprintf(format: &str, args: &[Arg]) -> Result<String, Failure> {
    let mut reader = Reader::new(format, args);
    let mut printer = Printer::default();
    while reader.step(&mut printer) {
        check(&printer)?;
    }
    reader.rest(&mut printer);
    check(&printer)?;
    Ok(printer.out)
}

fn check(printer: &Printer) -> Result<(), Failure> {
    if printer.out.len() > limits::STRING_BYTES {
        return Err(limits::exceeded("a text is too long"));
    }
    Ok(())
}
