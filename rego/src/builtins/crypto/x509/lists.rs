//! Lists as Go writes them in JSON.

use regorus::Value;

use crate::builtins::crypto::der::Oid;

/// A list, which Go writes as `null` where it is empty.
pub(super) fn list(values: impl Iterator<Item = Value>) -> Value {
    let values: Vec<Value> = values.collect();
    if values.is_empty() { Value::Null } else { Value::from(values) }
}

/// The parts of an identifier.
pub(super) fn oid(oid: &Oid) -> Value {
    Value::from(oid.parts().iter().map(|part| Value::from(u64::from(*part))).collect::<Vec<_>>())
}

/// A list of texts.
pub(super) fn texts<'a>(all: impl Iterator<Item = &'a str>) -> Value {
    list(all.map(Value::from))
}
