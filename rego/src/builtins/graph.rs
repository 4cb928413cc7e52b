//! `walk`, `graph.reachable`, `graph.reachable_paths`.

use std::collections::{BTreeSet, VecDeque};

use regorus::Value;
use regorus::value::{Object, Set};

use super::limits::{self, Clock};
use super::operands::{argument, object, wrong_type};
use super::{Answer, Context, Failure, order};

/// The highest number of elements in all paths of one result.
const PATH_ELEMENTS: usize = 4 << 20;

/// All pairs of a path and its value, as one array: the relation's results in order.
pub(super) fn walk(context: &mut Context, args: &[Value]) -> Answer {
    let mut walker = Walker { clock: Clock::new(context), results: Vec::new(), elements: 0 };
    walker.visit(argument(args, 1), &mut Vec::new())?;
    Ok(Value::from(walker.results))
}

struct Walker {
    clock: Clock,
    results: Vec<Value>,
    elements: usize,
}

impl Walker {
    fn visit(&mut self, value: &Value, path: &mut Vec<Value>) -> Result<(), Failure> {
        self.clock.step()?;
        self.elements += path.len() + 1;
        if path.len() > limits::DEPTH || self.elements > PATH_ELEMENTS {
            return Err(limits::exceeded("the value to walk is too large or too deep"));
        }
        self.results.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
        match value {
            Value::Array(array) => {
                for (i, element) in array.iter().enumerate() {
                    self.descend(Value::from(i), element, path)?;
                }
            }
            Value::Object(object) => {
                for (key, element) in order::entries(object) {
                    self.descend(key.clone(), element, path)?;
                }
            }
            Value::Set(set) => {
                for element in order::elements(set) {
                    self.descend(element.clone(), element, path)?;
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Undefined => {}
        }
        Ok(())
    }

    fn descend(&mut self, key: Value, value: &Value, path: &mut Vec<Value>) -> Result<(), Failure> {
        path.push(key);
        self.visit(value, path)?;
        path.pop();
        Ok(())
    }
}

/// The start of the search.
fn starts(args: &[Value]) -> Result<Vec<&Value>, Failure> {
    match argument(args, 2) {
        Value::Array(array) => Ok(array.iter().collect()),
        Value::Set(set) => Ok(order::elements(set)),
        other => Err(wrong_type(2, other, &["{array, set}"])),
    }
}

/// The nodes that a node has edges to. A value that is not an array or set has no edges.
fn edges(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(array) => array.iter().collect(),
        Value::Set(set) => order::elements(set),
        _ => Vec::new(),
    }
}

pub(super) fn reachable(context: &mut Context, args: &[Value]) -> Answer {
    let graph = object(args, 1)?;
    let mut clock = Clock::new(context);
    let mut reached = Set::new();
    let mut queue: VecDeque<&Value> = starts(args)?.into();
    while let Some(node) = queue.pop_front() {
        clock.step()?;
        let Some(neighbours) = graph.get(node) else { continue };
        if !reached.insert(node.clone()) {
            continue;
        }
        for neighbour in edges(neighbours) {
            clock.step()?;
            if !reached.contains(neighbour) {
                queue.push_back(neighbour);
            }
        }
    }
    Ok(reached.into_value())
}

pub(super) fn reachable_paths(context: &mut Context, args: &[Value]) -> Answer {
    let graph = object(args, 1)?;
    let clock = Clock::new(context);
    let mut search = Paths { graph, clock, found: Set::new(), elements: 0 };
    for start in starts(args)? {
        let Some(neighbours) = graph.get(start) else { continue };
        if edges(neighbours).is_empty() {
            search.add(&[start])?;
        } else {
            search.from(start, edges(neighbours))?;
        }
    }
    Ok(search.found.into_value())
}

struct Paths<'a> {
    graph: &'a Object,
    clock: Clock,
    found: Set,
    elements: usize,
}

impl<'a> Paths<'a> {
    fn add(&mut self, path: &[&Value]) -> Result<(), Failure> {
        self.elements += path.len();
        if self.elements > PATH_ELEMENTS {
            return Err(limits::exceeded("there are too many paths"));
        }
        self.found.insert(Value::from(path.iter().map(|node| (*node).clone()).collect::<Vec<_>>()));
        Ok(())
    }

    /// Visits all paths from a node, depth first. A path ends before a node that it already has,
    /// and before a node that is not in the graph. As in OPA, the very first step may lead back.
    fn from(&mut self, start: &'a Value, neighbours: Vec<&'a Value>) -> Result<(), Failure> {
        let mut path = vec![start];
        let mut on_path = BTreeSet::from([start]);
        let mut open = vec![neighbours.into_iter()];
        while let Some(neighbours) = open.last_mut() {
            self.clock.step()?;
            let Some(node) = neighbours.next() else {
                open.pop();
                if let Some(done) = path.pop().filter(|done| *done != start) {
                    on_path.remove(done);
                }
                continue;
            };
            let first_step = path.len() == 1;
            if !first_step && on_path.contains(node) {
                self.add(&path)?;
                continue;
            }
            let Some(further) = self.graph.get(node).map(edges) else {
                self.add(&path)?;
                continue;
            };
            path.push(node);
            if further.is_empty() {
                self.add(&path)?;
                path.pop();
            } else {
                on_path.insert(node);
                open.push(further.into_iter());
            }
        }
        Ok(())
    }
}
