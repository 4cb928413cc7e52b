//! Looking into the engine's values without the possibility of a panic.

use enforcer_rego::Value;

/// What `value` has under `key`; undefined where it is no object, or has no such key.
pub(crate) fn member<'a>(value: &'a Value, key: &str) -> &'a Value {
    let found = value.as_object().ok().and_then(|object| object.get(&Value::from(key)));
    found.unwrap_or(&Value::Undefined)
}
