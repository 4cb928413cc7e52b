//! The built-ins of this crate, which policies cannot name: operations that core needs beyond
//! OPA's.
//!
//! | name | value |
//! |---|---|
//! | `$is_array(x, n)` | whether `x` is an array of `n` elements |
//! | `$is_object(x, n)` | whether `x` is an object of `n` keys |
//! | `$walk(x)` | the array of all outputs of `walk`: `[path, value]`, in OPA's order |
//! | `$concat(arrays)` | one array of the elements of an array of arrays |
//! | `$union(objects)` | one object of the keys of an array of objects with disjoint keys |
//! | `$document(entries)` | the document that the rules of a reference with variables make. `entries` is an array of `[path, value, member]`, in order: at a path below the document there is a value, or (`member`) a set with it. Two values for one key, or one below another, are a conflict; without entries it is `{}` |
//! | `$virtual(names, values)` | an object of `names`, each with the one element of the array in `values` at its place, or left out where that is empty |
//! | `$merge(base, virtual)` | a virtual document, and base data at the same path: the one element of the array `base`, or nothing where that is empty. Where both have an object its keys are merged, elsewhere base data counts, as in OPA |
//! | `$keys(base, names)` | the keys of a document that a variable iterates over: an array of `[key]` for the keys of base data (as above), then for those names that are not among them |
//! | `$items(x)` | an array of `[key, value]` for every entry of a collection, in order; `[]` for a value that is not a collection |
//! | `$asked()` | the requested keys below a document |
//! | `$without_system(data)` | the object without the key `system`, which OPA hides |

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::data;
use crate::builtins::order;
use crate::builtins::{Answer, Context, Failure, Function};

/// OPA's message for a conflict of keys.
pub const UNIQUE_KEYS: &str = "object keys must be unique";

/// The highest depth of objects from `$document`: a reference in a head is far shorter.
const MAX_DOCUMENT_DEPTH: usize = 256;

/// The function of a built-in of this crate.
#[must_use]
pub fn function(name: &str) -> Option<Function> {
    Some(match name {
        "$is_array" => is_array,
        "$is_object" => is_object,
        "$walk" => walk,
        "$concat" => concat,
        "$union" => union,
        "$document" => document,
        "$virtual" => virtual_document,
        "$merge" => merge,
        "$keys" => keys,
        "$items" => items,
        "$asked" => asked,
        "$without_system" => without_system,
        _ => return None,
    })
}

fn is_array(_: &mut Context, args: &[Value]) -> Answer {
    let [Value::Array(array), length] = args else { return Ok(Value::Bool(false)) };
    Ok(Value::Bool(Value::from(array.len()) == *length))
}

fn is_object(_: &mut Context, args: &[Value]) -> Answer {
    let [Value::Object(object), length] = args else { return Ok(Value::Bool(false)) };
    Ok(Value::Bool(Value::from(object.len()) == *length))
}

fn walk(_: &mut Context, args: &[Value]) -> Answer {
    let mut outputs = Array::new();
    let mut todo: Vec<(Vec<Value>, Value)> =
        args.first().map(|value| (Vec::new(), value.clone())).into_iter().collect();
    while let Some((path, value)) = todo.pop() {
        let mut below: Vec<(Vec<Value>, Value)> = Vec::new();
        let mut go = |key: &Value, value: &Value| {
            let mut path = path.clone();
            path.push(key.clone());
            below.push((path, value.clone()));
        };
        match &value {
            Value::Array(array) => {
                array.iter().enumerate().for_each(|(i, value)| go(&Value::from(i), value));
            }
            Value::Object(object) => order::entries(object).iter().for_each(|(k, v)| go(k, v)),
            Value::Set(set) => order::elements(set).iter().for_each(|value| go(value, value)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Undefined => {}
        }
        todo.extend(below.into_iter().rev());
        outputs.push(Value::from(vec![Value::from(path), value]));
    }
    Ok(outputs.into_value())
}

/// A document that is being built.
enum Node {
    Object(BTreeMap<Value, Node>),
    Set(BTreeSet<Value>),
    Leaf(Value),
}

impl Node {
    fn into_value(self) -> Value {
        match self {
            Self::Object(object) => object
                .into_iter()
                .map(|(key, node)| (key, node.into_value()))
                .collect::<Object>()
                .into_value(),
            Self::Set(set) => Set::from(set).into_value(),
            Self::Leaf(value) => value,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Object(object) => object
                .iter()
                .map(|(key, node)| (key.clone(), node.to_value()))
                .collect::<Object>()
                .into_value(),
            Self::Set(set) => set.iter().cloned().collect::<Set>().into_value(),
            Self::Leaf(value) => value.clone(),
        }
    }
}

fn document(_: &mut Context, args: &[Value]) -> Answer {
    let mut root = BTreeMap::new();
    let mut visited: BTreeSet<Vec<Value>> = BTreeSet::new();
    for entry in elements(args.first()) {
        let [Value::Array(path), value, Value::Bool(member)] = elements(Some(entry)) else {
            continue;
        };
        let above = |length| path.as_slice().get(..length).is_some_and(|p| visited.contains(p));
        if path.len() > MAX_DOCUMENT_DEPTH || (1..path.len()).any(above) {
            return Err(conflict());
        }
        visited.insert(path.to_vec());
        add(&mut root, path.as_slice(), value, *member)?;
    }
    Ok(Node::Object(root).into_value())
}

fn add(
    mut object: &mut BTreeMap<Value, Node>,
    path: &[Value],
    value: &Value,
    member: bool,
) -> Result<(), Failure> {
    let Some((last, above)) = path.split_last() else { return Ok(()) };
    for key in above {
        let below = object.entry(key.clone()).or_insert_with(|| Node::Object(BTreeMap::new()));
        let Node::Object(next) = below else { return Err(conflict()) };
        object = next;
    }
    match (object.get_mut(last), member) {
        (None, false) => {
            object.insert(last.clone(), Node::Leaf(value.clone()));
        }
        (None, true) => {
            object.insert(last.clone(), Node::Set(BTreeSet::from([value.clone()])));
        }
        (Some(node), false) => {
            if node.to_value() != *value {
                return Err(conflict());
            }
        }
        (Some(Node::Set(set)), true) => {
            set.insert(value.clone());
        }
        (Some(node), true) => {
            let Node::Leaf(Value::Set(set)) = node else { return Err(conflict()) };
            let mut members: BTreeSet<Value> = set.iter().cloned().collect();
            members.insert(value.clone());
            *node = Node::Set(members);
        }
    }
    Ok(())
}

fn conflict() -> Failure {
    Failure::Conflict(UNIQUE_KEYS.to_owned())
}

/// The elements of an array.
fn elements(array: Option<&Value>) -> &[Value] {
    array.and_then(|array| array.as_array().ok()).map_or(&[], |array| array.as_slice())
}

fn concat(_: &mut Context, args: &[Value]) -> Answer {
    let all = elements(args.first()).iter().flat_map(|array| elements(Some(array)));
    Ok(all.cloned().collect::<Array>().into_value())
}

fn union(_: &mut Context, args: &[Value]) -> Answer {
    let objects = elements(args.first()).iter().filter_map(|object| object.as_object().ok());
    let items = objects.flat_map(|object| object.iter().map(|(k, v)| (k.clone(), v.clone())));
    Ok(items.collect::<Object>().into_value())
}

/// The element of an array that has one or none.
fn optional(array: &Value) -> Option<&Value> {
    array.as_array().ok()?.first()
}

fn virtual_document(_: &mut Context, args: &[Value]) -> Answer {
    let [Value::Array(names), Value::Array(values)] = args else { return Ok(Value::new_object()) };
    let defined = names
        .iter()
        .zip(values.iter())
        .filter_map(|(name, value)| Some((name.clone(), optional(value)?.clone())));
    Ok(defined.collect::<Object>().into_value())
}

fn merge(_: &mut Context, args: &[Value]) -> Answer {
    let [base, document] = args else { return Ok(Value::Undefined) };
    Ok(optional(base).map_or_else(|| document.clone(), |base| data::merge(base, document)))
}

fn keys(_: &mut Context, args: &[Value]) -> Answer {
    let [base, Value::Array(names)] = args else { return Ok(Value::new_array()) };
    let base = optional(base).unwrap_or(&Value::Undefined);
    let names = names.iter().filter(|name| data::value_at(base, name).is_none()).cloned();
    let keys = entries(base).into_iter().map(|(key, _)| key).chain(names);
    Ok(keys.map(|key| Value::from(vec![key])).collect::<Array>().into_value())
}

fn items(_: &mut Context, args: &[Value]) -> Answer {
    let items = entries(args.first().unwrap_or(&Value::Undefined)).into_iter();
    let items = items.map(|(key, value)| Value::from(vec![key, value.clone()]));
    Ok(items.collect::<Array>().into_value())
}

fn asked(context: &mut Context, _: &[Value]) -> Answer {
    Ok(Value::from(context.asked.clone()))
}

/// Keys and values of a collection, in OPA's order.
fn entries(collection: &Value) -> Vec<(Value, &Value)> {
    match collection {
        Value::Array(array) => {
            array.iter().enumerate().map(|(index, value)| (Value::from(index), value)).collect()
        }
        Value::Object(object) => {
            order::entries(object).into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Set(set) => {
            order::elements(set).into_iter().map(|value| (value.clone(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            Vec::new()
        }
    }
}

fn without_system(_: &mut Context, args: &[Value]) -> Answer {
    Ok(match args.first() {
        Some(Value::Object(object)) => {
            let mut rest = Object::clone(object);
            rest.remove(&Value::from("system"));
            rest.into_value()
        }
        Some(other) => other.clone(),
        None => Value::Undefined,
    })
}
