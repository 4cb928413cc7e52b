//! `object.*` except `object.subset`.

use std::collections::BTreeMap;

use regorus::Value;
use regorus::value::{Object, Set};

use super::operands::{argument, array, object, wrong_element, wrong_type};
use super::{Answer, Context, Failure, limits};

pub(super) fn get(_: &mut Context, args: &[Value]) -> Answer {
    let object = object(args, 1)?;
    let (key, default) = (argument(args, 2), argument(args, 3));
    let found = match key {
        Value::Array(path) => {
            path.iter().try_fold(argument(args, 1), |value, key| child(value, key))
        }
        key => object.get(key),
    };
    Ok(found.unwrap_or(default).clone())
}

/// The member of a value at a key: in a set, the element that equals the key.
pub(super) fn child<'a>(value: &'a Value, key: &'a Value) -> Option<&'a Value> {
    match value {
        Value::Object(object) => object.get(key),
        Value::Array(array) => match key {
            Value::Number(n) => array.get(usize::try_from(n.as_i64()?).ok()?),
            _ => None,
        },
        Value::Set(set) => set.get(key),
        _ => None,
    }
}

pub(super) fn keys(_: &mut Context, args: &[Value]) -> Answer {
    let mut keys = Set::new();
    for key in object(args, 1)?.keys() {
        keys.insert(key.clone());
    }
    Ok(keys.into_value())
}

pub(super) fn remove(_: &mut Context, args: &[Value]) -> Answer {
    let (object, keys) = (object(args, 1)?, key_set(args)?);
    let mut rest = object.clone();
    rest.retain(|key, _| !keys.contains(key));
    Ok(rest.into_value())
}

pub(super) fn filter(_: &mut Context, args: &[Value]) -> Answer {
    let (object, keys) = (object(args, 1)?, key_set(args)?);
    let mut kept = object.clone();
    kept.retain(|key, _| keys.contains(key));
    Ok(kept.into_value())
}

/// The keys that an array or set has as elements, or an object as keys.
fn key_set(args: &[Value]) -> Result<Set, Failure> {
    let mut keys = Set::new();
    match argument(args, 2) {
        Value::Array(array) => {
            for key in array.iter() {
                keys.insert(key.clone());
            }
        }
        Value::Set(set) => return Ok((**set).clone()),
        Value::Object(object) => {
            for key in object.keys() {
                keys.insert(key.clone());
            }
        }
        other => return Err(wrong_type(2, other, &["object", "set", "array"])),
    }
    Ok(keys)
}

pub(super) fn union(_: &mut Context, args: &[Value]) -> Answer {
    Ok(merged(object(args, 1)?, object(args, 2)?, limits::DEPTH)?.into_value())
}

/// Both objects' entries; the second one's count, and objects at the same key are merged too.
fn merged(left: &Object, right: &Object, depth: usize) -> Result<Object, Failure> {
    let below = depth.checked_sub(1).ok_or_else(too_deep)?;
    let mut result = left.clone();
    for (key, new) in right.iter() {
        let value = match (left.get(key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => merged(old, new, below)?.into_value(),
            _ => new.clone(),
        };
        result.insert(key.clone(), value);
    }
    if result.len() > limits::ELEMENTS {
        return Err(limits::exceeded("the object has too many entries"));
    }
    Ok(result)
}

fn too_deep() -> Failure {
    limits::exceeded("the objects are too deep")
}

pub(super) fn union_n(_: &mut Context, args: &[Value]) -> Answer {
    let objects = array(args, 1)?;
    let mut all = Vec::with_capacity(objects.len());
    for element in objects.iter() {
        match element {
            Value::Object(object) => all.push(object),
            other => return Err(wrong_element(1, argument(args, 1), other, &["object"])),
        }
    }
    let mut result = Node::default();
    for object in all.iter().rev() {
        result.fill(object, limits::DEPTH)?;
    }
    Ok(result.into_value())
}

/// An object that is filled from the last to the first.
#[derive(Debug, Default)]
struct Node {
    entries: BTreeMap<Value, Entry>,
    /// This value has replaced an earlier one that is not an object, so earlier values do not
    /// count.
    closed: bool,
}

#[derive(Debug)]
enum Entry {
    Value(Value),
    Object(Node),
}

impl Node {
    /// Adds the entries of an earlier object at other keys.
    fn fill(&mut self, object: &Object, depth: usize) -> Result<(), Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        for (key, value) in object.iter() {
            match (self.entries.get_mut(key), value) {
                (None, Value::Object(inner)) => {
                    let mut node = Self::default();
                    node.fill(inner, below)?;
                    self.entries.insert(key.clone(), Entry::Object(node));
                }
                (None, value) => {
                    self.entries.insert(key.clone(), Entry::Value(value.clone()));
                }
                (Some(Entry::Object(node)), Value::Object(inner)) => {
                    if !node.closed {
                        node.fill(inner, below)?;
                    }
                }
                (Some(Entry::Object(node)), _) => node.closed = true,
                (Some(Entry::Value(_)), _) => {}
            }
        }
        if self.entries.len() > limits::ELEMENTS {
            return Err(limits::exceeded("the object has too many entries"));
        }
        Ok(())
    }

    fn into_value(self) -> Value {
        let entries = self.entries.into_iter().map(|(key, entry)| match entry {
            Entry::Value(value) => (key, value),
            Entry::Object(node) => (key, node.into_value()),
        });
        Value::from(entries.collect::<BTreeMap<_, _>>())
    }
}
