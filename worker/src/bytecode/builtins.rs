//! Built-in functions whose errors end the evaluation.
//!
//! The bytecode's machine takes an error in a rule's body for a body that does not hold, and only
//! the errors of limits for what they are. So here every error becomes one of a limit. The
//! functions themselves are the interpreter's own, and are asked as it asks them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::Error;
use regorus::unstable::{ArithOp, BUILTINS, BuiltinFcn, Expr, NodeRef, Span, numbers, sets};
use regorus::{LimitError, Value};

/// As regorus has them: the place of the call, its operands' places, their values, strictness.
type Function = fn(&Span, &[NodeRef<Expr>], &[Value], bool) -> Result<Value, Error>;

/// What the machine does not take for a body that does not hold.
fn fatal() -> Error {
    LimitError::RegexSizeLimitExceeded { limit: 0 }.into()
}

/// Asks one of the engine's functions, strictly.
fn ask(
    original: Option<&BuiltinFcn>,
    span: &Span,
    places: &[NodeRef<Expr>],
    operands: &[Value],
) -> Result<Value, Error> {
    let (function, _) = original.ok_or_else(fatal)?;
    function(span, places, operands, true).map_err(|_| fatal())
}

macro_rules! checked {
    ($($name:literal)*) => {
        /// The function by which this name of the engine's is to be replaced, if its result
        /// depends on nothing but its operands.
        pub(super) fn replacement(name: &str) -> Option<Function> {
            match name {
                $($name => Some(|span, places, operands, _| {
                    static ORIGINAL: OnceLock<Option<BuiltinFcn>> = OnceLock::new();
                    let original = ORIGINAL.get_or_init(|| BUILTINS.get($name).copied());
                    ask(original.as_ref(), span, places, operands)
                }),)*
                _ => None,
            }
        }

        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($name),*];
    };
}

// Not here, on purpose: what reads a clock, draws lots, prints, walks, or asks the host.
checked! {
    "__builtin_sets.intersection" "__builtin_sets.union"
    "abs" "ceil" "floor" "round" "numbers.range" "numbers.range_step"
    "concat" "contains" "endswith" "format_int" "indexof" "indexof_n" "lower" "replace" "split"
    "sprintf" "startswith" "strings.any_prefix_match" "strings.any_suffix_match" "strings.count"
    "strings.replace_n" "strings.reverse" "substring" "trim" "trim_left" "trim_prefix"
    "trim_right" "trim_space" "trim_suffix" "upper"
    "intersection" "union"
    "array.concat" "array.reverse" "array.slice"
    "json.filter" "json.remove" "object.filter" "object.get" "object.keys" "object.remove"
    "object.subset" "object.union" "object.union_n"
    "count" "max" "min" "product" "sort" "sum"
    "is_array" "is_boolean" "is_null" "is_number" "is_object" "is_set" "is_string" "type_name"
    "to_number"
    "time.clock" "time.date" "time.weekday" "time.parse_duration_ns" "time.parse_rfc3339_ns"
    "bits.and" "bits.lsh" "bits.negate" "bits.or" "bits.rsh" "bits.xor"
    "regex.is_valid" "regex.match" "regex.replace" "regex.split" "regex.find_n"
    "glob.match" "glob.quote_meta"
    "net.cidr_contains" "net.cidr_is_valid"
    "semver.compare" "semver.is_valid"
    "units.parse" "units.parse_bytes"
    "base64.decode" "base64.encode" "base64.is_valid" "base64url.decode" "base64url.encode"
    "base64url.encode_no_pad" "hex.decode" "hex.encode" "urlquery.decode" "urlquery.encode"
    "json.is_valid" "json.marshal" "json.unmarshal"
}

/// What the machine's own instructions do too leniently. Their names are no Rego, so no policy can
/// call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    /// How long an array is; undefined of whatever is none.
    ArrayLength,
    /// That there are members to go through.
    Collection,
    /// That a key is no number: the interpreter takes numbers for keys of data.
    NoNumber,
    /// That something is not so: it is asked whether an operand is undefined.
    False,
    /// That a value, if there is one already, is the same as another.
    SameValue,
    /// That a rule's other definitions, which are evaluated one after another, had no other result.
    SameResult,
    /// That the results of a rule's definitions are to be gathered anew.
    NoResult,
    /// That an object has no other value at a key.
    SameMember,
    /// Makes the machine forget the operands of the last call, so that an object which is built up
    /// is not copied for their sake.
    Forget,
}

impl Check {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Add => "$add",
            Self::Subtract => "$subtract",
            Self::Multiply => "$multiply",
            Self::Divide => "$divide",
            Self::Remainder => "$remainder",
            Self::ArrayLength => "$array_length",
            Self::Collection => "$collection",
            Self::NoNumber => "$no_number",
            Self::False => "$false",
            Self::SameValue => "$same_value",
            Self::SameResult => "$same_result",
            Self::NoResult => "$no_result",
            Self::SameMember => "$same_member",
            Self::Forget => "$forget",
        }
    }

    pub(super) const fn operands(self) -> u8 {
        match self {
            Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Divide
            | Self::Remainder
            | Self::SameValue
            | Self::SameResult => 2,
            Self::NoResult
            | Self::ArrayLength
            | Self::Collection
            | Self::NoNumber
            | Self::False
            | Self::Forget => 1,
            Self::SameMember => 3,
        }
    }

    pub(super) fn function(self) -> Function {
        match self {
            Self::Add => {
                |span, places, operands, _| arithmetic(&ArithOp::Add, span, places, operands)
            }
            Self::Subtract => {
                |span, places, operands, _| arithmetic(&ArithOp::Sub, span, places, operands)
            }
            Self::Multiply => {
                |span, places, operands, _| arithmetic(&ArithOp::Mul, span, places, operands)
            }
            Self::Divide => {
                |span, places, operands, _| arithmetic(&ArithOp::Div, span, places, operands)
            }
            Self::Remainder => {
                |span, places, operands, _| arithmetic(&ArithOp::Mod, span, places, operands)
            }
            Self::ArrayLength => |_, _, operands, _| match operands {
                [Value::Array(items)] => Ok(Value::from(items.len())),
                _ => Ok(Value::Undefined),
            },
            Self::Collection => |_, _, operands, _| match operands {
                [Value::Array(_) | Value::Object(_) | Value::Set(_)] => Ok(Value::Null),
                _ => Err(fatal()),
            },
            Self::NoNumber => |_, _, operands, _| match operands {
                [Value::Number(_)] => Err(fatal()),
                _ => Ok(Value::Null),
            },
            Self::False => |_, _, operands, _| match operands {
                [Value::Bool(false)] => Ok(Value::Null),
                _ => Err(fatal()),
            },
            Self::SameValue => |_, _, operands, _| match operands {
                [one, other] if is_written_the_same(one, other) => Ok(Value::Null),
                _ => Err(fatal()),
            },
            Self::SameResult => |_, _, operands, _| match operands {
                [rule, result] if is_first_or_same(rule, result) => Ok(Value::Null),
                _ => Err(fatal()),
            },
            Self::NoResult => |_, _, operands, _| {
                let [rule] = operands else { return Err(fatal()) };
                RESULTS.with_borrow_mut(|results| results.remove(rule));
                Ok(Value::Null)
            },
            Self::SameMember => |_, _, operands, _| match operands {
                [Value::Object(object), key, value]
                    if object
                        .get(key)
                        .is_none_or(|present| is_written_the_same(present, value)) =>
                {
                    Ok(Value::Null)
                }
                _ => Err(fatal()),
            },
            Self::Forget => |_, _, _, _| Ok(Value::Null),
        }
    }
}

thread_local! {
    /// The results of rules with several definitions. No rule needs itself, so there is one at most
    /// for each that is being evaluated.
    static RESULTS: RefCell<BTreeMap<Value, Value>> = const { RefCell::new(BTreeMap::new()) };
}

fn is_first_or_same(rule: &Value, result: &Value) -> bool {
    RESULTS.with_borrow_mut(|results| match results.get(rule) {
        Some(present) => present == result,
        None => results.insert(rule.clone(), result.clone()).is_none(),
    })
}

/// Whether it makes no difference which one of two is kept: the machine keeps the last one of equal
/// values, and the interpreter the first. 0 and -0.0 are equal.
fn is_written_the_same(one: &Value, other: &Value) -> bool {
    let has_no_numbers = matches!(one, Value::Null | Value::Bool(_) | Value::String(_));
    one == other && (has_no_numbers || one.to_string() == other.to_string())
}

/// Lets go of what an evaluation has left behind.
pub(super) fn forget_results() {
    RESULTS.with_borrow_mut(BTreeMap::clear);
}

/// As the interpreter does it.
fn arithmetic(
    operation: &ArithOp,
    span: &Span,
    places: &[NodeRef<Expr>],
    operands: &[Value],
) -> Result<Value, Error> {
    let ([left, right], [left_place, right_place]) = (operands, places) else {
        return Err(fatal());
    };
    let (one, other) = (left.clone(), right.clone());
    let is_of_sets = matches!(operation, ArithOp::Sub)
        && (matches!(left, Value::Set(_)) || matches!(right, Value::Set(_)));
    let result = if is_of_sets {
        sets::difference(left_place, right_place, one, other)
    } else {
        numbers::arithmetic_operation(span, operation, left_place, right_place, one, other, true)
    };
    match result {
        Ok(Value::Undefined) | Err(_) => Err(fatal()),
        Ok(value) => Ok(value),
    }
}
