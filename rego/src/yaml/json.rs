//! Converts YAML to JSON, as OPA does.

use std::collections::{BTreeMap, HashMap};

use regorus::Value;

use super::any::Any;
use super::decode::{self, Decoder};
use super::parse::{self, Index, Kind, Node, Nodes};
use super::{YamlError, float, resolve};
use crate::builtins::{Failure, number};

/// The value of a text's first document; null for an empty text.
///
/// # Errors
/// When the text is not YAML, or JSON has no such value.
pub(super) fn value(text: &str, depth: usize) -> Result<Value, YamlError> {
    let (mut nodes, root) = parse::all(text, depth)?;
    normalize(&mut nodes);
    let Some(root) = root else { return Ok(Value::Null) };
    let mut decoder = Decoder::new(&nodes, depth);
    let any = decoder.any(root)?.unwrap_or(Any::Null);
    decoder.finish()?;
    to_value(any)
}

fn to_value(any: Any) -> Result<Value, YamlError> {
    Ok(match any {
        Any::Null => Value::Null,
        Any::Bool(value) => Value::from(value),
        Any::Integer(value) => Value::from(value),
        Any::Unsigned(value) => Value::from(value),
        Any::Float(value) => {
            number::text::parse(&float::json(value)?).map_err(|error| match error {
                Failure::Builtin(what) | Failure::Type(what) => YamlError::new(what),
                Failure::Halt(what) | Failure::Conflict(what) => {
                    YamlError { is_limit: true, ..YamlError::new(what) }
                }
            })?
        }
        Any::Text(text) | Any::Time(text) => Value::from(text),
        Any::Sequence(elements) => {
            let elements: Result<Vec<Value>, YamlError> =
                elements.into_iter().map(to_value).collect();
            Value::from(elements?)
        }
        Any::Mapping(mapping) => {
            let entries: Result<BTreeMap<Value, Value>, YamlError> = mapping
                .into_entries()
                .into_iter()
                .map(|(key, value)| {
                    let key = key_text(&key).map_err(|kind| no_key(kind, &value))?;
                    Ok((Value::from(key), to_value(value)?))
                })
                .collect();
            Value::from(entries?)
        }
    })
}

/// The text of a key in JSON.
///
/// # Errors
/// Go's message for an invalid key.
fn key_text(key: &Any) -> Result<String, &'static str> {
    match key {
        Any::Text(text) => Ok(text.clone()),
        Any::Integer(value) => Ok(value.to_string()),
        Any::Unsigned(value) => Ok(value.to_string()),
        Any::Float(value) => Ok(float::key(*value)),
        Any::Bool(value) => Ok(value.to_string()),
        Any::Time(_) => Err("time.Time, key: time.Time{}"),
        Any::Null | Any::Sequence(_) | Any::Mapping(_) => Err("%!s(<nil>), key: <nil>"),
    }
}

fn no_key(kind: &str, value: &Any) -> YamlError {
    let value = if *value == Any::Null { "<nil>".to_owned() } else { value.go_syntax() };
    YamlError::new(format!("unsupported map key of type: {kind}, value: {value}"))
}

/// OPA's changes to a tree before it is decoded: dates are texts, the last of equal keys counts,
/// and several merge keys are one.
fn normalize(nodes: &mut Nodes) {
    let mut index = 0;
    // A mapping is visited before its keys, which may still be dates then.
    while let Some(node) = nodes.get(index).cloned() {
        match node.kind {
            Kind::Scalar { .. } if node.is_bare && node.tag == resolve::TIMESTAMP => {
                if let Some(node) = nodes.get_mut(index) {
                    resolve::STRING.clone_into(&mut node.tag);
                }
            }
            Kind::Mapping(pairs) => {
                let pairs = without_repeated_merges(nodes, pairs);
                let pairs = without_repeated_keys(nodes, pairs);
                if let Some(node) = nodes.get_mut(index) {
                    node.kind = Kind::Mapping(pairs);
                }
            }
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Alias { .. } => {}
        }
        index += 1;
    }
}

type Pairs = Vec<(Index, Index)>;

fn is_scalar_merge(nodes: &Nodes, key: Index) -> bool {
    nodes
        .get(key)
        .is_some_and(|key| matches!(key.kind, Kind::Scalar { .. }) && key.tag == resolve::MERGE)
}

fn without_repeated_merges(nodes: &mut Nodes, pairs: Pairs) -> Pairs {
    let mut merged = Vec::new();
    for (_, value) in pairs.iter().filter(|(key, _)| is_scalar_merge(nodes, *key)) {
        match nodes.get(*value).map(|value| &value.kind) {
            Some(Kind::Sequence(many)) => merged.extend_from_slice(many),
            _ => merged.push(*value),
        }
    }
    if merged.len() < 2 {
        return pairs;
    }
    let sequence = Kind::Sequence(merged);
    let tag = resolve::SEQUENCE.to_owned();
    let mut all = Some(nodes.add(Node { kind: sequence, tag, is_bare: false, line: 0 }));
    let mut kept = Vec::new();
    for (key, value) in pairs {
        if !is_scalar_merge(nodes, key) {
            kept.push((key, value));
        } else if let Some(all) = all.take() {
            kept.push((key, all));
        }
    }
    kept
}

fn without_repeated_keys(nodes: &Nodes, pairs: Pairs) -> Pairs {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Pairs = Vec::new();
    for (key, value) in pairs {
        let text = nodes
            .get(key)
            .filter(|node| matches!(node.kind, Kind::Scalar { .. }) && node.tag != resolve::MERGE)
            .and_then(|node| decode::scalar(node).ok())
            .and_then(|key| key_text(&key).ok());
        let place = text.as_ref().and_then(|text| places.get(text));
        if let Some((_, earlier)) = place.and_then(|place| kept.get_mut(*place)) {
            *earlier = value;
            continue;
        }
        if let Some(text) = text {
            places.insert(text, kept.len());
        }
        kept.push((key, value));
    }
    kept
}
