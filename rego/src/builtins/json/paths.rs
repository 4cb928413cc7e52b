//! Paths of `json.filter`, `json.remove` and `json.patch`, and the tree of many paths.

use std::collections::BTreeMap;

use regorus::Value;
use regorus::value::Set;

use crate::builtins::limits::{self, Clock};
use crate::builtins::operands::{argument, type_name, wrong, wrong_type};
use crate::builtins::{Context, Failure, order};

/// Paths that begin alike are one branch. Nodes refer to each other by number: a path may be of any
/// length, and a tree of that depth could not be dropped.
pub(super) struct Tree {
    nodes: Vec<BTreeMap<Value, Branch>>,
}

#[derive(Clone, Copy)]
enum Branch {
    /// A path ends here, and includes everything below.
    End,
    Node(usize),
}

/// The tree of the second argument's paths.
pub(super) fn tree(context: &Context, args: &[Value]) -> Result<Tree, Failure> {
    let mut clock = Clock::new(context);
    let mut tree = Tree { nodes: vec![BTreeMap::new()] };
    let paths: Vec<&Value> = match argument(args, 2) {
        Value::Array(array) => array.iter().collect(),
        Value::Set(set) => order::elements(set),
        other => return Err(wrong_type(2, other, &["set", "array"])),
    };
    // All are checked before the first is used.
    for path in paths.into_iter().map(segments).collect::<Result<Vec<_>, _>>()? {
        tree.insert(path, &mut clock)?;
    }
    Ok(tree)
}

/// The keys of a path: the parts of a text between slashes, or an array's elements.
pub(super) fn segments(path: &Value) -> Result<Vec<Value>, Failure> {
    match path {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(text
            .trim_start_matches('/')
            .split('/')
            .map(|part| Value::from(part.replace("~1", "/").replace("~0", "~")))
            .collect()),
        Value::Array(array) => Ok(array.to_vec()),
        other => {
            let what = "must be one of {set, array} containing string paths or array of path \
                        segments but got";
            Err(wrong(2, &format!("{what} {}", type_name(other))))
        }
    }
}

impl Tree {
    fn insert(&mut self, path: Vec<Value>, clock: &mut Clock) -> Result<(), Failure> {
        let mut segments = path.into_iter().peekable();
        let mut at = 0;
        while let Some(segment) = segments.next() {
            clock.step()?;
            let fresh = self.nodes.len();
            let last = segments.peek().is_none();
            let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
            if last {
                node.insert(segment, Branch::End);
                return Ok(());
            }
            match *node.entry(segment).or_insert(Branch::Node(fresh)) {
                Branch::End => return Ok(()),
                Branch::Node(next) => at = next,
            }
            if at == fresh {
                self.nodes.push(BTreeMap::new());
            }
        }
        Ok(())
    }

    fn branch(&self, node: usize, key: &Value) -> Option<Branch> {
        self.nodes.get(node)?.get(key).copied()
    }

    /// The parts of a value at the paths. A value that is not a collection is kept where a path
    /// would continue below it.
    pub(super) fn filter(
        &self,
        value: &Value,
        node: usize,
        depth: usize,
    ) -> Result<Value, Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        let kept = |key: &Value, value: &Value| match self.branch(node, key) {
            None => Ok(None),
            Some(Branch::End) => Ok(Some(value.clone())),
            Some(Branch::Node(next)) => self.filter(value, next, below).map(Some),
        };
        rebuilt(value, kept)
    }

    /// The parts of a value outside the paths; `None` where one ends here.
    pub(super) fn remove(
        &self,
        value: &Value,
        node: usize,
        depth: usize,
    ) -> Result<Option<Value>, Failure> {
        let below = depth.checked_sub(1).ok_or_else(too_deep)?;
        let kept = |key: &Value, value: &Value| match self.branch(node, key) {
            None => Ok(Some(value.clone())),
            Some(Branch::End) => Ok(None),
            Some(Branch::Node(next)) => self.remove(value, next, below),
        };
        rebuilt(value, kept).map(Some)
    }
}

/// A value with its remaining elements. An array's keys are the texts of its indexes.
fn rebuilt(
    value: &Value,
    kept: impl Fn(&Value, &Value) -> Result<Option<Value>, Failure>,
) -> Result<Value, Failure> {
    Ok(match value {
        Value::Array(array) => {
            let mut elements = Vec::new();
            for (i, element) in array.iter().enumerate() {
                elements.extend(kept(&Value::from(i.to_string()), element)?);
            }
            Value::from(elements)
        }
        Value::Object(object) => {
            let mut entries = BTreeMap::new();
            for (key, element) in object.iter() {
                if let Some(element) = kept(key, element)? {
                    entries.insert(key.clone(), element);
                }
            }
            Value::from(entries)
        }
        Value::Set(set) => {
            let mut elements = Set::new();
            for element in set.iter() {
                if let Some(element) = kept(element, element)? {
                    elements.insert(element);
                }
            }
            elements.into_value()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            value.clone()
        }
    })
}

fn too_deep() -> Failure {
    limits::exceeded("a value is too deep")
}
