//! `json.match_schema` and `json.verify_schema`: drafts 4, 6 and 7 of JSON Schema, and the mix of
//! them that OPA uses for a schema without a draft, as the library in OPA reads them.
//!
//! References lead into the schema itself, or to one of the three drafts' own schemas. A reference
//! that OPA would read from the network or from a file is an error here.

mod canonical;
mod compile;
mod decimal;
mod describe;
mod email;
mod formats;
mod outcome;
mod pool;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use regorus::Value;

use self::compile::Schema;
use super::json::{read, write};
use super::limits::Clock;
use super::operands::argument;
use super::{Answer, Context, Failure};

/// The highest nesting of schemas, by their text and by their references, and of documents: a level
/// takes several kilobytes of stack.
const DEPTH: usize = 192;

/// Draft 4, 6 and 7, or the mix with the keywords of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Draft {
    Four,
    Six,
    Seven,
    Hybrid,
}

pub(super) fn verify_schema(context: &mut Context, args: &[Value]) -> Answer {
    let compiled = document(argument(args, 1))
        .and_then(|text| Schema::compile(&text.parse()?, &mut Clock::new(context)));
    match compiled {
        Ok(_) => Ok(Value::from(vec![Value::from(true), Value::Null])),
        Err(Failure::Builtin(what)) => {
            let what = Value::from(format!("jsonschema: {what}"));
            Ok(Value::from(vec![Value::from(false), what]))
        }
        Err(other) => Err(other),
    }
}

pub(super) fn match_schema(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let text = document(argument(args, 1))?;
    let schema = Schema::compile(&document(argument(args, 2))?.parse()?, &mut clock)?;
    let problems = validate::validate(&schema, &text.parse()?, &mut clock)?;
    let is_valid = problems.is_empty();
    let problems: Vec<Value> = problems
        .into_iter()
        .map(|problem| {
            let error = format!("{}: {}", problem.field, problem.description);
            let entries = [
                ("error", error),
                ("type", problem.kind.to_owned()),
                ("field", problem.field),
                ("desc", problem.description),
            ];
            let object: BTreeMap<_, _> = entries
                .into_iter()
                .map(|(key, value)| (Value::from(key), Value::from(value)))
                .collect();
            Value::from(object)
        })
        .collect();
    Ok(Value::from(vec![Value::from(is_valid), Value::from(problems)]))
}

/// A JSON text.
struct Text(String);

impl Text {
    fn parse(&self) -> Answer {
        read::parse(&self.0)
    }
}

/// The JSON text of an argument, which may be a text or a value.
fn document(argument: &Value) -> Result<Text, Failure> {
    match argument {
        Value::String(text) if read::is_valid(text)? => Ok(Text((**text).to_owned())),
        Value::String(_) => Err(Failure::Builtin("invalid JSON string".to_owned())),
        Value::Object(_) | Value::Array(_) => Ok(Text(write::marshal(argument, None)?)),
        _ => Err(Failure::Builtin("wrong type, expected string or object".to_owned())),
    }
}
