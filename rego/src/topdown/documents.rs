//! References into `data`: base data, and the documents that rules make.

use std::rc::Rc;

use regorus::Value;
use regorus::value::Object;

use super::frame::At;
use super::machine::{Flow, Machine, Stop};
use super::nodes::{Term, TermKind};
use super::rules::Tree;
use super::scope::{Cell, NOWHERE, Scope};
use crate::builtins::order;
use crate::core::data;

/// A reference below its head, and the term that its values are unified with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'r> {
    pub(crate) keys: &'r [Rc<Term>],
    pub(crate) scope: &'r Rc<Scope>,
    pub(crate) target: &'r Cell,
}

impl Reference<'_> {
    /// The key at a position.
    pub(crate) fn key(&self, position: usize) -> Option<Cell> {
        self.keys.get(position).map(|term| Cell::new(term, self.scope))
    }
}

impl<'p> Machine<'p> {
    /// Calls `next` for each value of a reference below `data`. `path` has the keys so far, and is
    /// the same afterwards.
    pub(crate) fn tree(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &mut Vec<Value>,
        node: Option<&'p Tree>,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let Some(key) = reference.key(path.len()) else {
            return match self.extent(at, path, node)? {
                Some(value) => {
                    let value = Cell::value(value, reference.scope);
                    self.unify(at, reference.target, &value, next)
                }
                None => Ok(()),
            };
        };
        match key.ground() {
            Some(key) => self.tree_at(at, reference, path, node, key, next),
            None => self.tree_keys(at, reference, path, node, &key, next),
        }
    }

    /// Goes on below a key.
    fn tree_at(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &mut Vec<Value>,
        node: Option<&'p Tree>,
        key: Value,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        path.push(key);
        let child = if self.environment.is_replaced(path) {
            None
        } else {
            node.zip(path.last()).and_then(|(node, key)| node.child(key))
        };
        let flow = match child.and_then(|child| child.document.as_ref()) {
            Some(document) => self.document(at, reference, path, document, next),
            None => self.tree(at, reference, path, child, next),
        };
        path.pop();
        flow
    }

    /// Goes on below each key of base data and of rules.
    fn tree_keys(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &mut Vec<Value>,
        node: Option<&'p Tree>,
        pattern: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let base = self.base(path);
        let mut deferred = None;
        let keys = base.as_ref().map(keys_of).unwrap_or_default();
        for key in &keys {
            let cell = Cell::value(key.clone(), reference.scope);
            let flow = self.unify(at, &cell, pattern, &mut |machine| {
                machine.tree_at(at, reference, path, node, key.clone(), next)
            });
            defer(flow, &mut deferred)?;
        }
        if let Some(stop) = deferred {
            return Err(stop);
        }
        for (key, _) in node.map(|node| node.children.as_slice()).unwrap_or_default() {
            if base.as_ref().is_some_and(|base| data::value_at(base, key).is_some()) {
                continue;
            }
            let cell = Cell::value(key.clone(), reference.scope);
            self.unify(at, &cell, pattern, &mut |machine| {
                machine.tree_at(at, reference, path, node, key.clone(), next)
            })?;
        }
        Ok(())
    }

    /// Base data at a path.
    pub(crate) fn base(&self, path: &[Value]) -> Option<Value> {
        let value = self.environment.data.find_extent(path)?;
        match value {
            Value::Object(object) if path.is_empty() => {
                let mut object = Object::clone(object);
                object.remove(&Value::from("system"));
                Some(object.into_value())
            }
            value => Some(value.clone()),
        }
    }

    /// The whole document at a path: base data and what rules make.
    fn extent(
        &mut self,
        at: At<'_>,
        path: &[Value],
        node: Option<&'p Tree>,
    ) -> Result<Option<Value>, Stop> {
        let base = self.base(path);
        let Some(node) = node else { return Ok(base) };
        let made = self.leaves(at, &mut path.to_vec(), node)?;
        Ok(Some(match base {
            Some(base) => data::merge(&base, &made),
            None => made,
        }))
    }

    /// The object of what the rules below a node make.
    fn leaves(&mut self, at: At<'_>, path: &mut Vec<Value>, node: &'p Tree) -> Result<Value, Stop> {
        self.check()?;
        let mut object = Object::new();
        for (key, child) in &node.children {
            if child.is_hidden {
                continue;
            }
            path.push(key.clone());
            let value = if child.document.is_some() {
                self.leaf(at, path)
            } else {
                self.leaves(at, path, child).map(Some)
            };
            path.pop();
            if let Some(value) = value? {
                object.insert(key.clone(), value);
            }
        }
        Ok(object.into_value())
    }

    /// The document of the rules at a path.
    fn leaf(&mut self, at: At<'_>, path: &[Value]) -> Result<Option<Value>, Stop> {
        let scope = at.scope();
        let part = |kind| Rc::new(Term { kind, span: NOWHERE });
        let result = Cell::new(&part(TermKind::Var("$leaf".into())), scope);
        let mut keys = vec![part(TermKind::Var("data".into()))];
        keys.extend(path.iter().map(|key| part(TermKind::Value(key.clone()))));
        let reference = Cell::new(&part(TermKind::Ref(keys)), scope);
        let mut found = None;
        self.unify(at, &reference, &result, &mut |_| {
            found = result.ground();
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `next` for each value at and below a term, from a position of a reference on.
    pub(crate) fn term(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        position: usize,
        term: &Cell,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let Some(key) = reference.key(position) else {
            return self.unify(at, term, reference.target, next);
        };
        match key.ground() {
            Some(key) => self.term_at(at, reference, position, (term, &key), next),
            None => self.term_keys(at, reference, position, (term, &key), next),
        }
    }

    fn term_at(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        position: usize,
        (term, key): (&Cell, &Value),
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        match part(term, key) {
            Some(part) => self.term(at, reference, position + 1, &part, next),
            None => Ok(()),
        }
    }

    fn term_keys(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        position: usize,
        (term, pattern): (&Cell, &Cell),
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let mut deferred = None;
        let keys = match &term.term.kind {
            // The one element that can be what is searched for need not be searched for.
            TermKind::Value(Value::Set(set)) if position + 1 == reference.keys.len() => {
                match reference.target.ground() {
                    Some(wanted) if set.contains(&wanted) => vec![wanted],
                    Some(_) => Vec::new(),
                    None => order::elements(set).into_iter().cloned().collect(),
                }
            }
            TermKind::Value(value) => keys_of(value),
            TermKind::Array(terms) => (0..terms.len()).map(Value::from).collect(),
            TermKind::Object(items) => {
                let ground = |(key, _): &(Rc<Term>, _)| Cell::new(key, &term.scope).ground();
                let mut keys: Vec<Value> = items.iter().filter_map(ground).collect();
                keys.sort_by(order::compare);
                keys
            }
            TermKind::Set(terms) => {
                let ground = |element: &Rc<Term>| Cell::new(element, &term.scope).ground();
                let mut keys: Vec<Value> = terms.iter().filter_map(ground).collect();
                keys.sort_by(order::compare);
                keys.dedup();
                keys
            }
            TermKind::Var(_) | TermKind::Ref(_) | TermKind::Comprehension(_) => Vec::new(),
        };
        for key in &keys {
            let cell = Cell::value(key.clone(), &term.scope);
            let flow = self.unify(at, &cell, pattern, &mut |machine| {
                machine.term_at(at, reference, position, (term, key), next)
            });
            defer(flow, &mut deferred)?;
        }
        deferred.map_or(Ok(()), Err)
    }
}

/// Goes on after an early exit of a caller further out, and remembers the first.
fn defer(flow: Flow, deferred: &mut Option<Stop>) -> Flow {
    match flow {
        Err(stop @ Stop::Deferred(_)) => {
            deferred.get_or_insert(stop);
            Ok(())
        }
        flow => flow,
    }
}

/// The keys of a collection in OPA's order.
fn keys_of(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(array) => (0..array.len()).map(Value::from).collect(),
        Value::Object(object) => {
            order::entries(object).into_iter().map(|(key, _)| key.clone()).collect()
        }
        Value::Set(set) => order::elements(set).into_iter().cloned().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            Vec::new()
        }
    }
}

/// The part of a term at a key.
fn part(term: &Cell, key: &Value) -> Option<Cell> {
    let cell = |part: &Rc<Term>| Cell::new(part, &term.scope);
    let found = match &term.term.kind {
        TermKind::Value(value) => Cell::value(data::value_at(value, key)?.clone(), &term.scope),
        TermKind::Array(terms) => {
            let Value::Number(number) = key else { return None };
            cell(terms.get(usize::try_from(number.as_u64()?).ok()?)?)
        }
        TermKind::Object(items) => {
            let is_key = |(other, _): &&(Rc<Term>, _)| cell(other).ground().as_ref() == Some(key);
            cell(&items.iter().find(is_key)?.1)
        }
        TermKind::Set(terms) => {
            let is_key = |other: &&Rc<Term>| cell(other).ground().as_ref() == Some(key);
            terms.iter().find(is_key).map(|_| Cell::value(key.clone(), &term.scope))?
        }
        TermKind::Var(_) | TermKind::Ref(_) | TermKind::Comprehension(_) => return None,
    };
    Some(found.resolved())
}
