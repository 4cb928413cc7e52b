//! `strings.render_template`: Go's `text/template`, with its own functions and no others.

mod execute;
mod functions;
mod lex;
mod parse;
mod unquote;

#[cfg(test)]
mod tests;

use regorus::Value;

use super::go::fmt::Arg;
use super::json::read;
use super::limits::Clock;
use super::operands::{argument, object, string};
use super::{Answer, Context, number, order, text};

/// The highest nesting of actions, parentheses and templates: a level takes several kilobytes of
/// stack.
const DEPTH: usize = 100;

/// The text that Go and OPA write for a missing value.
const NO_VALUE: &str = "<no value>";
const UNDEFINED: &str = "<undefined>";

pub(super) fn render(context: &mut Context, args: &[Value]) -> Answer {
    let source = string(args, 1)?;
    object(args, 2)?;
    // OPA reads the variables' text as JSON, which fails for sets, and for keys that are not texts.
    let variables = of_value(&read::parse(&text::term(argument(args, 2))?)?);
    let templates = parse::parse(source)?;
    let out = execute::execute(&templates, &variables, &mut Clock::new(context))?;
    Ok(Value::from(out.replace(NO_VALUE, UNDEFINED)))
}

fn of_value(value: &Value) -> Arg {
    match value {
        Value::Null | Value::Undefined => Arg::Nil,
        Value::Bool(value) => Arg::Bool(*value),
        Value::Number(_) => Arg::Number(number::text::of(value)),
        Value::String(text) => Arg::Text((**text).to_owned()),
        Value::Array(elements) => Arg::List(elements.iter().map(of_value).collect()),
        Value::Set(elements) => {
            Arg::List(order::elements(elements).into_iter().map(of_value).collect())
        }
        Value::Object(entries) => Arg::Map(
            order::entries(entries)
                .into_iter()
                .map(|(key, value)| match key {
                    Value::String(key) => ((**key).to_owned(), of_value(value)),
                    _ => (String::new(), of_value(value)),
                })
                .collect(),
        ),
    }
}
