//! Access to members of the engine's values that cannot panic.

use enforcer_rego::Value;

/// The member `key` of `value`; undefined where `value` is not an object or has no such key.
pub(crate) fn member<'a>(value: &'a Value, key: &str) -> &'a Value {
    let found = value.as_object().ok().and_then(|object| object.get(&Value::from(key)));
    found.unwrap_or(&Value::Undefined)
}
