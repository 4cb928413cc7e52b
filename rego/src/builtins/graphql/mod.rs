//! `graphql.*`: syntax trees in the form of the library in OPA, and its rules for schemas and
//! queries.
//!
//! A tree is always a value, because policies read it and pass it back.

mod definitions;
mod lex;
mod literals;
mod overlap;
mod prelude;
mod query;
mod schema;
mod shape;
mod syntax;
mod tree;
mod types;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use regorus::Value;

use self::schema::Schema;
use super::limits::Clock;
use super::operands::{argument, string, wrong_type};
use super::{Answer, Context, Failure};

/// The highest nesting of selections, values, types and fragments: a level takes some kilobytes of
/// stack.
const DEPTH: usize = 128;

/// A rule that a document breaks.
fn broken(what: impl Into<String>) -> Failure {
    Failure::Builtin(what.into())
}

/// A document of an argument, which may be its text or its tree.
fn document(value: &Value, position: usize, parse: fn(&str) -> Answer, shape: &str) -> Answer {
    match value {
        Value::String(text) => parse(text),
        Value::Object(_) => shape::decode(value, shape),
        other => Err(wrong_type(position, other, &["string", "object"])),
    }
}

fn query_of(args: &[Value]) -> Answer {
    document(argument(args, 1), 0, syntax::parse_query, "QueryDocument")
}

fn schema_of(args: &[Value], position: usize) -> Answer {
    document(argument(args, position), position - 1, syntax::parse_schema, "SchemaDocument")
}

/// Whether the error means that a document is invalid, or that it could not be checked.
fn verdict<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Builtin(_) | Failure::Type(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn checked(context: &Context, args: &[Value]) -> Result<(Value, Value), Failure> {
    let mut clock = Clock::new(context);
    let query = query_of(args)?;
    let document = schema_of(args, 2)?;
    let schema = Schema::new(&document, &mut clock)?;
    validate::validate(&schema, &query, &mut clock)?;
    Ok((query, document))
}

pub(super) fn parse(context: &mut Context, args: &[Value]) -> Answer {
    let (query, schema) = checked(context, args)?;
    Ok(Value::from(vec![query, schema]))
}

pub(super) fn parse_and_verify(context: &mut Context, args: &[Value]) -> Answer {
    Ok(match verdict(checked(context, args))? {
        Some((query, schema)) => Value::from(vec![Value::from(true), query, schema]),
        None => {
            let nothing = || Value::from(BTreeMap::new());
            Value::from(vec![Value::from(false), nothing(), nothing()])
        }
    })
}

pub(super) fn is_valid(context: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(verdict(checked(context, args))?.is_some()))
}

pub(super) fn schema_is_valid(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let schema = schema_of(args, 1).and_then(|document| Schema::new(&document, &mut clock));
    Ok(Value::from(verdict(schema)?.is_some()))
}

pub(super) fn parse_query(_: &mut Context, args: &[Value]) -> Answer {
    syntax::parse_query(string(args, 1)?)
}

pub(super) fn parse_schema(_: &mut Context, args: &[Value]) -> Answer {
    syntax::parse_schema(string(args, 1)?)
}
