//! Documents as OPA reads them: paths in a store, paths in values, and data that `with` replaces.

use regorus::Value;
use regorus::value::Object;

use crate::builtins::number;

/// The depth to which objects are merged, far beyond a policy's documents; below it the first of
/// two objects counts.
const MAX_MERGE_DEPTH: usize = 256;

/// The member of a value at a key: keys have types, an array's is an index, and a set's is the
/// element.
#[must_use]
pub fn value_at<'v>(collection: &'v Value, key: &Value) -> Option<&'v Value> {
    match collection {
        Value::Object(object) => object.get(key),
        Value::Set(set) => set.get(key),
        Value::Array(array) => match key {
            Value::Number(number) => array.get(usize::try_from(number.as_u64()?).ok()?),
            _ => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            None
        }
    }
}

/// The member of a store's document at a key: keys are text, so a number is the key of the same
/// text, and text of a whole number is an index.
#[must_use]
pub fn stored_at<'v>(document: &'v Value, key: &Value) -> Option<&'v Value> {
    match (document, key) {
        (Value::Object(object), Value::String(_)) => object.get(key),
        (Value::Object(object), Value::Number(_)) => {
            object.get(&Value::from(number::text::of(key)))
        }
        (Value::Array(array), Value::String(text)) => {
            array.get(usize::try_from(whole_number(text)?).ok()?)
        }
        (Value::Array(_), Value::Number(_)) => value_at(document, key),
        _ => None,
    }
}

/// A whole number as OPA reads it in paths: with a sign, and with a point that only zeros follow.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    /// Longer text is no number.
    const LONGEST: usize = 19;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > LONGEST {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_whole = whole.bytes().all(|byte| byte.is_ascii_digit())
        && fraction.bytes().all(|byte| byte == b'0');
    if !is_whole || whole.is_empty() {
        return is_whole.then_some(0);
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    format!("{sign}{whole}").parse().ok()
}

/// Merges two documents: the keys of two objects at a path are merged, elsewhere the first counts.
#[must_use]
pub fn merge(first: &Value, second: &Value) -> Value {
    merge_below(first, second, MAX_MERGE_DEPTH)
}

fn merge_below(first: &Value, second: &Value, depth: usize) -> Value {
    let (Value::Object(a), Value::Object(b)) = (first, second) else { return first.clone() };
    if depth == 0 || b.is_empty() {
        return first.clone();
    }
    let mut merged = Object::clone(a);
    for (key, theirs) in b.iter() {
        let value = match a.get(key) {
            Some(ours @ Value::Object(_)) => merge_below(ours, theirs, depth - 1),
            Some(_) => continue,
            None => theirs.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged.into_value()
}

/// A document with a different value at a path. Any other value than an object on the path is
/// replaced by one.
#[must_use]
pub fn put(document: Option<&Value>, path: &[Value], value: Value) -> Value {
    let Some((key, rest)) = path.split_first() else { return value };
    let mut object = match document {
        Some(Value::Object(object)) => Object::clone(object),
        _ => Object::new(),
    };
    let below = put(object.get(key), rest, value);
    object.insert(key.clone(), below);
    object.into_value()
}

/// Base data with the replacements of `with`.
#[derive(Debug, Clone)]
pub struct Data {
    /// The stored data.
    stored: Value,
    /// With the replacements in it.
    replaced: Value,
    /// The replacements; empty in the outermost environment.
    replacements: Option<Replacements>,
}

#[derive(Debug, Clone)]
struct Replacements {
    /// The path.
    paths: Vec<Vec<Value>>,
    /// One document of only the new values.
    values: Value,
    /// That document merged with the stored one.
    merged: Value,
}

impl Data {
    /// Data without replacements.
    #[must_use]
    pub fn new(stored: Value) -> Self {
        Self { replaced: stored.clone(), stored, replacements: None }
    }

    /// The same with a different value at a path.
    #[must_use]
    pub fn with(&self, path: &[Value], value: Value) -> Self {
        let earlier = self.replacements.as_ref();
        let mut paths = earlier.map_or_else(Vec::new, |earlier| earlier.paths.clone());
        paths.push(path.to_vec());
        let values = put(earlier.map(|earlier| &earlier.values), path, value.clone());
        let merged = merge(&values, &self.stored);
        Self {
            stored: self.stored.clone(),
            replaced: put(Some(&self.replaced), path, value),
            replacements: Some(Replacements { paths, values, merged }),
        }
    }

    /// The value at a path, with replacements.
    #[must_use]
    pub fn find(&self, path: &[Value]) -> Option<&Value> {
        let at = if self.is_replaced(path) { value_at } else { stored_at };
        path.iter().try_fold(&self.replaced, |document, key| at(document, key))
    }

    /// The value at a path as a document that contains replacements. OPA merges the new object at a
    /// path with the stored one then, while at the path itself there is only the new one.
    #[must_use]
    pub fn find_extent(&self, path: &[Value]) -> Option<&Value> {
        match &self.replacements {
            Some(replacements) if !self.is_replaced(path) => {
                path.iter().try_fold(&replacements.merged, |document, key| stored_at(document, key))
            }
            _ => self.find(path),
        }
    }

    /// Whether a path is at or below a replaced one.
    fn is_replaced(&self, path: &[Value]) -> bool {
        let below = |replaced: &Vec<Value>| path.starts_with(replaced);
        self.replacements.as_ref().is_some_and(|replacements| replacements.paths.iter().any(below))
    }
}
