//! Environments as values: the text has the current one as `input`.
//!
//! `{"input": [value], "data": [[slot, value], …], "mocks": {slot: [value]}}`. The input's array is
//! empty where there is no input. A function that replaces another is given by its number instead
//! of an array.

use regorus::Value;
use regorus::value::Object;

use super::Tables;
use crate::core::data::{self, Data};
use crate::core::{Slot, Target};

/// The environment of a request.
pub(super) fn outermost(input: Option<Value>) -> Value {
    let input: Vec<Value> = input.into_iter().collect();
    let parts = [
        ("input", Value::from(input)),
        ("data", Value::new_array()),
        ("mocks", Value::new_object()),
    ];
    let parts = parts.into_iter().map(|(name, part)| (Value::from(name), part));
    parts.collect::<Object>().into_value()
}

fn part<'e>(environment: &'e Value, name: &str) -> Option<&'e Value> {
    environment.as_object().ok()?.get(&Value::from(name))
}

/// The input, if there is one.
pub(super) fn input(environment: &Value) -> Option<&Value> {
    part(environment, "input")?.as_array().ok()?.first()
}

/// Base data with replacements.
pub(super) fn data(environment: &Value, tables: &Tables) -> Option<Data> {
    let mut data = tables.data.clone();
    for replaced in part(environment, "data")?.as_array().ok()?.iter() {
        let [slot, value] = replaced.as_array().ok()?.as_slice() else { return None };
        let slot = usize::try_from(slot.as_u64().ok()?).ok()?;
        let Slot::Data(path) = tables.slots.get(slot)? else { return None };
        data = data.with(path, value.clone());
    }
    Some(data)
}

/// Whether data of one of these slots is replaced.
pub(super) fn is_replaced(environment: &Value, slots: &[Value]) -> Option<bool> {
    let replaced = part(environment, "data")?.as_array().ok()?;
    let mut replaced = replaced.iter().filter_map(|one| one.as_array().ok()?.first());
    Some(replaced.any(|slot| slots.contains(slot)))
}

/// The replacement of a function.
pub(super) fn mock<'e>(environment: &'e Value, slot: &Value) -> Option<&'e Value> {
    part(environment, "mocks")?.as_object().ok()?.get(slot)
}

/// The environment in which the replacement of a function is evaluated.
pub(super) fn without_mocks(environment: &Value) -> Option<Value> {
    let mut inner = environment.as_object().ok()?.clone();
    inner.insert(Value::from("mocks"), Value::new_object());
    Some(inner.into_value())
}

/// An environment with a site's replacements.
pub(super) fn with(
    environment: &Value,
    site: usize,
    values: &[Value],
    tables: &Tables,
) -> Option<Value> {
    let mut current = input(environment).cloned();
    let mut replaced = part(environment, "data")?.as_array().ok()?.clone();
    let mut mocks = part(environment, "mocks")?.as_object().ok()?.clone();
    let mut values = values.iter();
    for replacing in tables.printed.withs.get(site)? {
        match (&replacing.target, replacing.function) {
            (Target::Input(path), None) => {
                current = Some(data::put(current.as_ref(), path, values.next()?.clone()));
            }
            (Target::Data(slot), None) => {
                replaced.push(Value::from(vec![Value::from(slot.0), values.next()?.clone()]));
            }
            (Target::Function(slot), None) => {
                mocks.insert(Value::from(slot.0), Value::from(vec![values.next()?.clone()]));
            }
            (Target::Function(slot), Some(function)) => {
                mocks.insert(Value::from(slot.0), Value::from(function.0));
            }
            (Target::Input(_) | Target::Data(_), Some(_)) => return None,
        }
    }
    let mut inner = Object::new();
    inner.insert(Value::from("input"), Value::from(current.into_iter().collect::<Vec<_>>()));
    inner.insert(Value::from("data"), replaced.into_value());
    inner.insert(Value::from("mocks"), mocks.into_value());
    Some(inner.into_value())
}
