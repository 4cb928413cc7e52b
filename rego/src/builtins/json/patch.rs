//! `json.patch`: a document under edit, with exactly the results of OPA's edit tree.

use std::collections::BTreeMap;

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::failed;
use super::paths::segments;
use crate::builtins::limits::{self, Clock};
use crate::builtins::operands::type_name;
use crate::builtins::{Answer, Context, Failure, text};

/// A document or a part of one. Only edited parts below it are expanded.
#[derive(Debug)]
enum Tree {
    /// The whole document has been removed.
    Removed,
    /// A value that is not a collection.
    Scalar(Value),
    Object {
        base: Object,
        changed: BTreeMap<Value, Child>,
    },
    Set {
        base: Set,
        changed: BTreeMap<Value, Child>,
    },
    Array {
        base: Array,
        removed: Vec<bool>,
        slots: Vec<Slot>,
    },
}

#[derive(Debug)]
enum Child {
    Removed,
    Tree(Tree),
}

/// An element's slot in an array.
#[derive(Debug)]
enum Slot {
    /// The next element of the base that has not been removed.
    Original,
    Tree(Tree),
}

/// Applies operations.
pub(super) fn patched(context: &Context, source: &Value, operations: &Array) -> Answer {
    let mut clock = Clock::new(context);
    let mut tree = Tree::of(source);
    for operation in operations.iter() {
        clock.step()?;
        let Value::Object(operation) = operation else {
            return Err(failed(
                "must be an array of JSON-Patch objects, but at least one element is not an object",
            ));
        };
        apply(&mut tree, operation, &mut clock)?;
    }
    Ok(tree.render(limits::DEPTH)?.unwrap_or(Value::Undefined))
}

fn attribute<'a>(operation: &'a Object, name: &str) -> Result<&'a Value, Failure> {
    let found = operation.get(&Value::from(name));
    found.ok_or_else(|| failed(format!("missing required attribute '{name}'")))
}

fn path(value: &Value) -> Result<Vec<Value>, Failure> {
    let path = segments(value)?;
    if path.len() > limits::DEPTH {
        return Err(limits::exceeded("a path is too long"));
    }
    Ok(path)
}

fn apply(tree: &mut Tree, operation: &Object, clock: &mut Clock) -> Result<(), Failure> {
    let target = attribute(operation, "path")?;
    let name = match attribute(operation, "op")? {
        Value::String(name) => name,
        other => {
            let found = type_name(other);
            return Err(failed(format!("attribute 'op' must be a string but found: {found}")));
        }
    };
    let target = path(target)?;
    match &**name {
        "add" => tree.insert_at(&target, attribute(operation, "value")?, clock),
        "remove" => tree.remove_at(&target, clock),
        "replace" => {
            tree.remove_at(&target, clock)?;
            tree.insert_at(&target, attribute(operation, "value")?, clock)
        }
        "move" => {
            let from = path(attribute(operation, "from")?)?;
            let value = tree.render_at(&from, clock)?;
            tree.remove_at(&from, clock)?;
            tree.insert_at(&target, &value, clock)
        }
        "copy" => {
            let from = path(attribute(operation, "from")?)?;
            let value = tree.render_at(&from, clock)?;
            tree.insert_at(&target, &value, clock)
        }
        "test" => {
            let found = tree.render_at(&target, clock)?;
            let expected = attribute(operation, "value")?;
            if found == *expected {
                return Ok(());
            }
            let (expected, found) = (text::term(expected)?, text::term(&found)?);
            Err(failed(format!(
                "value from EditTree != patch value.\n\nExpected: {expected}\n\nFound: {found}"
            )))
        }
        other => Err(failed(format!("unrecognized op: '{other}'"))),
    }
}

impl Tree {
    fn of(value: &Value) -> Self {
        match value {
            Value::Object(base) => {
                Self::Object { base: (**base).clone(), changed: BTreeMap::new() }
            }
            Value::Set(base) => Self::Set { base: (**base).clone(), changed: BTreeMap::new() },
            Value::Array(base) => Self::Array {
                base: (**base).clone(),
                removed: vec![false; base.len()],
                slots: base.iter().map(|_| Slot::Original).collect(),
            },
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    fn insert_at(
        &mut self,
        path: &[Value],
        value: &Value,
        clock: &mut Clock,
    ) -> Result<(), Failure> {
        match path.split_last() {
            None => *self = Self::of(value),
            Some((key, parents)) => {
                self.unfold(parents, clock)?.insert(key, value, clock)?;
            }
        }
        Ok(())
    }

    fn remove_at(&mut self, path: &[Value], clock: &mut Clock) -> Result<(), Failure> {
        match path.split_last() {
            None if matches!(self, Self::Removed) => {
                Err(failed("deleted node encountered during delete operation"))
            }
            None => {
                *self = Self::Removed;
                Ok(())
            }
            Some((key, parents)) => self.unfold(parents, clock)?.remove(key, clock),
        }
    }

    fn render_at(&mut self, path: &[Value], clock: &mut Clock) -> Answer {
        let part = self.unfold(path, clock)?;
        part.render(limits::DEPTH)?
            .ok_or_else(|| failed("nil value encountered where composite value was expected"))
    }

    /// The part at a path, which is expanded up to it.
    fn unfold(&mut self, path: &[Value], clock: &mut Clock) -> Result<&mut Self, Failure> {
        let mut part = self;
        for key in path {
            part = part.child(key, clock)?;
        }
        Ok(part)
    }

    fn child(&mut self, key: &Value, clock: &mut Clock) -> Result<&mut Self, Failure> {
        clock.step()?;
        self.collapse_for(key)?;
        match self {
            Self::Removed => {
                Err(failed("nil value encountered where composite value was expected"))
            }
            Self::Scalar(value) => Err(failed(format!(
                "expected composite type for path {}, found value: {} (type: {})",
                text::term(key)?,
                text::term(value)?,
                go_type(value)
            ))),
            Self::Object { base, changed } => {
                if !changed.contains_key(key) {
                    let Some(value) = base.get(key) else {
                        let object = text::term(&base.clone().into_value())?;
                        let key = text::term(key)?;
                        let what = format!("path {key} does not exist in object term {object}");
                        return Err(failed(what));
                    };
                    changed.insert(key.clone(), Child::Tree(Self::of(value)));
                }
                present(changed, key)
            }
            Self::Set { base, changed } => {
                if !changed.contains_key(key) {
                    let Some(value) = base.get(key) else {
                        let set = text::term(&base.clone().into_value())?;
                        let key = text::plain(key)?;
                        return Err(failed(format!("path {key} does not exist in set term {set}")));
                    };
                    changed.insert(key.clone(), Child::Tree(Self::of(value)));
                }
                present(changed, key)
            }
            Self::Array { base, removed, slots } => {
                let at = index(slots.len(), key)?;
                let place = usize::try_from(at).ok();
                let known = place
                    .and_then(|place| slots.get(place))
                    .is_some_and(|slot| matches!(slot, Slot::Tree(_)));
                if !known {
                    // OPA takes the element of the array as it was before all edits, though a
                    // different one may be here now.
                    let Some((place, value)) =
                        place.and_then(|place| base.get(place).map(|value| (place, value)))
                    else {
                        let array = text::term(&Value::from(base.to_vec()))?;
                        return Err(failed(format!(
                            "path {at} does not exist in array term {array}"
                        )));
                    };
                    let value = Self::of(value);
                    remove_from(removed, slots, at)?;
                    slots.insert(place, Slot::Tree(value));
                }
                match place.and_then(|place| slots.get_mut(place)) {
                    Some(Slot::Tree(tree)) => Ok(tree),
                    _ => Err(failed("index for array insertion out of bounds")),
                }
            }
        }
    }

    /// A set is rebuilt before the look-up of an element that is a collection.
    fn collapse_for(&mut self, key: &Value) -> Result<(), Failure> {
        let composite = matches!(key, Value::Array(_) | Value::Object(_) | Value::Set(_));
        if composite
            && matches!(self, Self::Set { .. })
            && let Some(value) = self.render(limits::DEPTH)?
        {
            *self = Self::of(&value);
        }
        Ok(())
    }

    fn insert(&mut self, key: &Value, value: &Value, clock: &mut Clock) -> Result<(), Failure> {
        clock.step()?;
        match self {
            Self::Removed => Err(failed("deleted node encountered during insert operation")),
            Self::Scalar(scalar) => Err(no_collection(scalar)?),
            Self::Object { changed, .. } => {
                changed.insert(key.clone(), Child::Tree(Self::of(value)));
                Ok(())
            }
            Self::Set { .. } => {
                if key != value {
                    let (key, value) = (text::term(key)?, text::term(value)?);
                    return Err(failed(format!(
                        "set key {key} does not equal value to be inserted {value}"
                    )));
                }
                self.collapse_for(key)?;
                if let Self::Set { changed, .. } = self {
                    changed.insert(key.clone(), Child::Tree(Self::of(value)));
                }
                Ok(())
            }
            Self::Array { slots, .. } => {
                let at = usize::try_from(index(slots.len(), key)?)
                    .ok()
                    .filter(|at| *at <= slots.len())
                    .ok_or_else(|| failed("index for array insertion out of bounds"))?;
                if slots.len() >= limits::ELEMENTS {
                    return Err(limits::exceeded("the array has too many elements"));
                }
                slots.insert(at, Slot::Tree(Self::of(value)));
                Ok(())
            }
        }
    }

    fn remove(&mut self, key: &Value, clock: &mut Clock) -> Result<(), Failure> {
        clock.step()?;
        self.collapse_for(key)?;
        let (known, changed) = match self {
            Self::Removed => {
                return Err(failed("deleted node encountered during delete operation"));
            }
            Self::Scalar(scalar) => return Err(no_collection(scalar)?),
            Self::Array { removed, slots, .. } => {
                let at = index(slots.len(), key)?;
                return remove_from(removed, slots, at);
            }
            Self::Object { base, changed } => (base.contains_key(key), changed),
            Self::Set { base, changed } => (base.contains(key), changed),
        };
        let gone = match changed.get(key) {
            Some(Child::Removed) => Some("cannot delete the already deleted scalar node for key"),
            Some(Child::Tree(_)) => None,
            None if known => None,
            None => Some("cannot delete child key"),
        };
        match gone {
            None => {
                changed.insert(key.clone(), Child::Removed);
                Ok(())
            }
            Some(what @ "cannot delete child key") => {
                Err(failed(format!("{what} {} that does not exist", text::term(key)?)))
            }
            Some(what) => Err(failed(format!("{what} {}", text::term(key)?))),
        }
    }

    /// The value; `None` where the document has been removed.
    fn render(&self, depth: usize) -> Result<Option<Value>, Failure> {
        let below = depth
            .checked_sub(1)
            .ok_or_else(|| limits::exceeded("the patched value is too deep"))?;
        Ok(Some(match self {
            Self::Removed => return Ok(None),
            Self::Scalar(value) => value.clone(),
            Self::Object { base, changed } => {
                let mut object = base.clone();
                for (key, child) in changed {
                    match child {
                        Child::Removed => drop(object.remove(key)),
                        Child::Tree(tree) => {
                            let value = tree.render(below)?.unwrap_or(Value::Null);
                            object.insert(key.clone(), value);
                        }
                    }
                }
                object.into_value()
            }
            Self::Set { base, changed } => {
                let mut set = base.clone();
                for key in changed.keys() {
                    set.remove(key);
                }
                for child in changed.values() {
                    if let Child::Tree(tree) = child {
                        set.insert(tree.render(below)?.unwrap_or(Value::Null));
                    }
                }
                set.into_value()
            }
            Self::Array { base, removed, slots } => {
                let mut left = base.iter().zip(removed).filter(|(_, gone)| !**gone);
                let mut elements = Vec::with_capacity(slots.len());
                for slot in slots {
                    elements.push(match slot {
                        Slot::Original => {
                            left.next().map_or(Value::Null, |(value, _)| value.clone())
                        }
                        Slot::Tree(tree) => tree.render(below)?.unwrap_or(Value::Null),
                    });
                }
                Value::from(elements)
            }
        }))
    }
}

fn present<'a>(
    changed: &'a mut BTreeMap<Value, Child>,
    key: &Value,
) -> Result<&'a mut Tree, Failure> {
    match changed.get_mut(key) {
        Some(Child::Tree(tree)) => Ok(tree),
        _ => {
            let key = text::term(key)?;
            Err(failed(format!("cannot unfold the already deleted scalar node for key {key}")))
        }
    }
}

/// Removes a slot of an array.
fn remove_from(removed: &mut [bool], slots: &mut Vec<Slot>, at: i64) -> Result<(), Failure> {
    let place = usize::try_from(at)
        .ok()
        .filter(|place| *place < slots.len())
        .ok_or_else(|| failed("index for array delete out of bounds"))?;
    if let Slot::Original = slots.remove(place) {
        let before = slots.iter().take(place).filter(|slot| matches!(slot, Slot::Original)).count();
        if let Some(gone) = removed.iter_mut().filter(|gone| !**gone).nth(before) {
            *gone = true;
        }
    }
    Ok(())
}

/// The index of a key in an array of a length.
fn index(length: usize, key: &Value) -> Result<i64, Failure> {
    match key {
        Value::Number(n) => n.as_i64().ok_or_else(|| failed("invalid number type for indexing")),
        Value::String(text) if &**text == "-" => {
            i64::try_from(length).map_err(|_| failed("invalid string for indexing"))
        }
        Value::String(text) => {
            let at = text_index(text).ok_or_else(|| failed("invalid string for indexing"))?;
            if &**text != "0" && text.starts_with('0') {
                return Err(failed("leading zeros are not allowed in JSON paths"));
            }
            Ok(at)
        }
        _ => Err(failed("invalid type for indexing")),
    }
}

/// The integer of a text: OPA accepts a sign, and zeros after a decimal point.
fn text_index(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b == b'0') {
        return None;
    }
    match whole.strip_prefix(['+', '-']).unwrap_or(whole) {
        // OPA takes a single decimal point for zero.
        "" if whole.len() < text.len() => Some(0),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => whole.parse().ok(),
        _ => None,
    }
}

fn no_collection(value: &Value) -> Result<Failure, Failure> {
    let (text, of) = (text::term(value)?, go_type(value));
    Ok(failed(format!("expected composite type, found value: {text} (type: {of})")))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Undefined => "ast.Null",
        Value::Bool(_) => "ast.Boolean",
        Value::Number(_) => "ast.Number",
        Value::String(_) => "ast.String",
        Value::Array(_) => "*ast.Array",
        Value::Object(_) => "*ast.object",
        Value::Set(_) => "*ast.set",
    }
}
