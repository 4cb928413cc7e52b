//! The functions that the text calls.

use std::sync::Arc;

use regorus::value::{Object, Set};
use regorus::{Engine, Value};

use super::{Tables, environment};
use crate::builtins::{self, order};
use crate::core::RuleKind;
use crate::core::data::value_at;
use crate::core::{depth, own};
use crate::emit::{Conflict, Place};
use crate::machine::running::{self, Running};
use crate::machine::{ErrorKind, EvaluationError};

/// The result of a function for its arguments; `None` where they do not fit, which is a fault of
/// the text.
type Own = fn(&Tables, &[Value]) -> Option<Outcome>;

/// The result of a call.
enum Outcome {
    Value(Value),
    /// A built-in, which has the evaluation's context.
    Builtin(Value, Value),
    /// A number for a block that begins.
    Begin,
    /// Whether the block with this number has no solution yet.
    IsOpen(usize),
    /// Records that the block with this number has a solution.
    Solved(usize),
    /// Two values where one is allowed.
    Conflict(Conflict, usize),
    /// A value that is nested too deeply.
    High,
}

/// The functions with their numbers of arguments.
const FUNCTIONS: [(&str, u8, Own); 28] = [
    ("core.constant", 1, constant),
    ("core.call", 2, call),
    ("core.path", 2, path),
    ("core.input_at", 2, input),
    ("core.data_at", 2, data),
    ("core.extent_at", 2, extent),
    ("core.replaced", 2, replaced),
    ("core.environment", 3, with),
    ("core.mocked", 3, mocked),
    ("core.mock", 2, mock),
    ("core.without_mocks", 1, without_mocks),
    ("core.low", 1, low),
    ("core.begin", 1, begin),
    ("core.is_open", 2, is_open),
    ("core.solved", 2, solved),
    ("core.refuted", 2, refuted),
    ("core.same", 1, same),
    ("core.elements", 1, elements),
    ("core.collection", 1, collection),
    ("core.has", 1, some),
    ("core.found", 1, found),
    ("core.none", 1, none),
    ("core.all", 1, all),
    ("core.one", 2, one),
    ("core.set", 2, set),
    ("core.object", 2, object),
    ("core.set_of", 1, set_of),
    ("core.object_of", 1, object_of),
];

/// Gives the functions to the interpreter.
pub(super) fn register(engine: &mut Engine, tables: &Arc<Tables>) -> anyhow::Result<()> {
    for (name, arguments, function) in FUNCTIONS {
        let tables = Arc::clone(tables);
        let function = move |args: Vec<Value>| run(name, function, &tables, &args);
        engine.add_extension(name.to_owned(), arguments, Box::new(function))?;
    }
    Ok(())
}

fn run(name: &str, function: Own, tables: &Tables, args: &[Value]) -> anyhow::Result<Value> {
    running::with(|running| {
        // The interpreter has taken the error for an undefined value.
        if running.ended.is_some() {
            return Err(running::fatal());
        }
        match function(tables, args) {
            Some(Outcome::Value(value)) => Ok(value),
            Some(Outcome::Builtin(name, args)) => builtin(running, &name, &args),
            Some(Outcome::Begin) => {
                running.solved.push(false);
                Ok(Value::from(running.solved.len() - 1))
            }
            Some(Outcome::IsOpen(block)) => {
                Ok(Value::Bool(running.solved.get(block) == Some(&false)))
            }
            Some(Outcome::Solved(block)) => {
                if let Some(solved) = running.solved.get_mut(block) {
                    *solved = true;
                }
                Ok(Value::Bool(true))
            }
            Some(Outcome::Conflict(conflict, place)) => {
                Err(conflicting(running, tables, conflict, place))
            }
            Some(Outcome::High) => Err(running.too_high()),
            None => Err(running.end(ErrorKind::Internal, format!("broken core text: {name}"))),
        }
    })
}

fn conflicting(
    running: &mut Running,
    tables: &Tables,
    conflict: Conflict,
    place: usize,
) -> anyhow::Error {
    let place = tables.printed.places.get(place);
    let rule = place.and_then(|(rule, _)| tables.rules.get(rule.index()));
    let error = EvaluationError {
        kind: ErrorKind::Conflict,
        message: conflict.message(rule.map_or("", |rule| &rule.name)),
        place: place.map(|(rule, span)| Place { rule: *rule, span: *span }),
    };
    running.end_with(error)
}

fn builtin(running: &mut Running, name: &Value, args: &Value) -> anyhow::Result<Value> {
    let text: &str = name.as_string().map_or("", |name| name);
    let Some((function, args)) =
        own::function(text).or_else(|| builtins::function(text)).zip(array(Some(args)))
    else {
        return Err(
            running.end(ErrorKind::Internal, format!("no function for the built-in {text}"))
        );
    };
    running.call(text, function, args)
}

fn array(value: Option<&Value>) -> Option<&[Value]> {
    Some(value?.as_array().ok()?.as_slice())
}

fn number(value: Option<&Value>) -> Option<usize> {
    usize::try_from(value?.as_u64().ok()?).ok()
}

#[allow(clippy::unnecessary_wraps, reason = "the functions in FUNCTIONS end with it")]
fn value(value: Value) -> Option<Outcome> {
    Some(Outcome::Value(value))
}

fn defined(found: Option<&Value>) -> Option<Outcome> {
    value(found.cloned().unwrap_or(Value::Undefined))
}

fn constant(tables: &Tables, args: &[Value]) -> Option<Outcome> {
    value(tables.printed.constants.get(number(args.first())?)?.clone())
}

fn call(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let [name, args] = args else { return None };
    Some(Outcome::Builtin(name.clone(), args.clone()))
}

fn in_value<'v>(root: Option<&'v Value>, keys: &[Value]) -> Option<&'v Value> {
    keys.iter().try_fold(root?, |value, key| value_at(value, key))
}

fn path(_: &Tables, args: &[Value]) -> Option<Outcome> {
    defined(in_value(args.first(), array(args.get(1))?))
}

fn input(_: &Tables, args: &[Value]) -> Option<Outcome> {
    defined(in_value(environment::input(args.first()?), array(args.get(1))?))
}

fn data(tables: &Tables, args: &[Value]) -> Option<Outcome> {
    defined(environment::data(args.first()?, tables)?.find(array(args.get(1))?))
}

fn extent(tables: &Tables, args: &[Value]) -> Option<Outcome> {
    defined(environment::data(args.first()?, tables)?.find_extent(array(args.get(1))?))
}

fn replaced(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(Value::Bool(environment::is_replaced(args.first()?, array(args.get(1))?)?))
}

fn with(tables: &Tables, args: &[Value]) -> Option<Outcome> {
    let [outer, site, values] = args else { return None };
    value(environment::with(outer, number(Some(site))?, array(Some(values))?, tables)?)
}

/// Whether a function is not replaced (-2), is replaced by a value (-1), or by the function with
/// this number.
fn mocked(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let [environment, slot, by] = args else { return None };
    let found = match environment::mock(environment, slot) {
        None => Value::from(-2),
        Some(Value::Array(_)) => Value::from(-1),
        Some(function) => function.clone(),
    };
    value(Value::Bool(found == *by))
}

fn mock(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let [environment, slot] = args else { return None };
    defined(array(environment::mock(environment, slot))?.first())
}

fn without_mocks(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(environment::without_mocks(args.first()?)?)
}

/// The value that replaces a function.
fn low(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let found = args.first()?;
    if depth::is_high(found) { Some(Outcome::High) } else { value(found.clone()) }
}

/// Keys and elements in OPA's order; empty for a value that is not a collection.
fn pairs(collection: &Value) -> Option<Value> {
    let pair = |(key, value): (&Value, &Value)| Value::from(vec![key.clone(), value.clone()]);
    let pairs: Vec<Value> = match collection {
        Value::Array(array) => {
            let numbered = array.iter().enumerate();
            numbered.map(|(index, value)| pair((&Value::from(index), value))).collect()
        }
        Value::Set(set) => {
            order::elements(set).into_iter().map(|value| pair((value, value))).collect()
        }
        Value::Object(object) => order::entries(object).into_iter().map(pair).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            return None;
        }
    };
    Some(Value::from(pairs))
}

fn begin(_: &Tables, _: &[Value]) -> Option<Outcome> {
    Some(Outcome::Begin)
}

/// The second argument is the collection, so that this call comes after it.
fn is_open(_: &Tables, args: &[Value]) -> Option<Outcome> {
    Some(Outcome::IsOpen(number(args.first())?))
}

/// The second argument has all variables bound in the block, so that this call comes after them.
fn solved(_: &Tables, args: &[Value]) -> Option<Outcome> {
    Some(Outcome::Solved(number(args.first())?))
}

/// The second argument is whether an element holds: the first one that does not hold decides.
fn refuted(_: &Tables, args: &[Value]) -> Option<Outcome> {
    match args.get(1)? {
        Value::Bool(false) => Some(Outcome::Solved(number(args.first())?)),
        _ => value(Value::Bool(true)),
    }
}

fn same(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(args.first()?.clone())
}

fn elements(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(pairs(args.first()?).unwrap_or_else(Value::new_array))
}

fn collection(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(pairs(args.first()?).unwrap_or(Value::Undefined))
}

/// Whether a body has a solution: `[place, solutions]`.
fn some(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let [_, solutions] = array(args.first())? else { return None };
    value(Value::Bool(!array(Some(solutions))?.is_empty()))
}

fn found(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(Value::Bool(!array(args.first())?.is_empty()))
}

fn none(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(Value::Bool(array(args.first())?.is_empty()))
}

fn all(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let are_true = array(args.first())?.iter().all(|one| *one == Value::Bool(true));
    value(Value::Bool(are_true))
}

/// The bodies of definitions, each with its place and the values of its solutions.
fn bodies(value: Option<&Value>) -> Option<Vec<(usize, &[Value])>> {
    array(value)?
        .iter()
        .map(|body| match array(Some(body))? {
            [place, solutions] => Some((number(Some(place))?, array(Some(solutions))?)),
            _ => None,
        })
        .collect()
}

/// The one value of a rule, or its default.
fn one(tables: &Tables, args: &[Value]) -> Option<Outcome> {
    let rule = tables.rules.get(number(args.first())?)?;
    let conflict = match rule.kind {
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => Conflict::Complete,
        RuleKind::Function(_) => Conflict::Function,
        RuleKind::Entry => Conflict::Object,
    };
    let mut single: Option<&Value> = None;
    for (place, solutions) in bodies(args.get(1))? {
        for solution in solutions {
            if single.is_some_and(|known| known != solution) {
                return Some(Outcome::Conflict(conflict, place));
            }
            // The first counts: equal numbers may have different texts.
            single = single.or(Some(solution));
        }
    }
    defined(single.or(rule.default.as_ref()))
}

fn set(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let elements = bodies(args.get(1))?.into_iter().flat_map(|(_, solutions)| solutions);
    value(elements.cloned().collect::<Set>().into_value())
}

fn object(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let mut made = Object::new();
    for (place, solutions) in bodies(args.get(1))? {
        for solution in solutions {
            let [key, element] = array(Some(solution))? else { return None };
            if made.get(key).is_some_and(|known| known != element) {
                return Some(Outcome::Conflict(Conflict::Object, place));
            }
            made.insert(key.clone(), element.clone());
        }
    }
    value(made.into_value())
}

fn set_of(_: &Tables, args: &[Value]) -> Option<Outcome> {
    value(array(args.first())?.iter().cloned().collect::<Set>().into_value())
}

fn object_of(_: &Tables, args: &[Value]) -> Option<Outcome> {
    let mut made = Object::new();
    for field in array(args.first())? {
        let [key, element] = array(Some(field))? else { return None };
        made.insert(key.clone(), element.clone());
    }
    value(made.into_value())
}
