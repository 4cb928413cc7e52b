//! Sets, objects, and documents whose references have variables.

use std::collections::BTreeMap;
use std::rc::Rc;

use regorus::Value;
use regorus::value::{Object, Set};

use super::definitions::conflict;
use super::documents::Reference;
use super::environment::Known;
use super::frame::At;
use super::index::Candidates;
use super::machine::{Flow, Machine, Stop};
use super::nodes::Rule;
use super::rules::{Document, Shape};
use super::scope::Cell;
use super::trace::{Node, Op};
use crate::core::data;
use crate::core::own::UNIQUE_KEYS;

/// A document that rules make.
#[derive(Debug)]
enum Made {
    Object(BTreeMap<Value, Made>),
    Set(Set),
    Leaf(Value),
}

impl Made {
    fn empty(shape: Shape) -> Self {
        match shape {
            Shape::Set => Self::Set(Set::new()),
            Shape::Complete | Shape::Object => Self::Object(BTreeMap::new()),
        }
    }

    fn into_value(self) -> Value {
        match self {
            // As deep as a reference of a rule.
            Self::Object(object) => object
                .into_iter()
                .map(|(key, made)| (key, made.into_value()))
                .collect::<Object>()
                .into_value(),
            Self::Set(set) => set.into_value(),
            Self::Leaf(value) => value,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Object(object) => object
                .iter()
                .map(|(key, made)| (key.clone(), made.to_value()))
                .collect::<Object>()
                .into_value(),
            Self::Set(set) => set.clone().into_value(),
            Self::Leaf(value) => value.clone(),
        }
    }

    /// Adds a value, or an element of a set, at a path: whether it was there. `None` is a conflict.
    fn add(&mut self, path: &[Value], value: Value, is_member: bool) -> Option<bool> {
        match (self, path.split_first()) {
            (Self::Set(set), None) if is_member => Some(!set.insert(value)),
            (Self::Object(object), Some((key, rest))) => {
                if let Some(made) = object.get_mut(key) {
                    return made.add(rest, value, is_member);
                }
                let mut made = match (rest, is_member) {
                    ([], false) => {
                        object.insert(key.clone(), Self::Leaf(value));
                        return Some(false);
                    }
                    ([], true) => Self::Set(Set::new()),
                    _ => Self::Object(BTreeMap::new()),
                };
                made.add(rest, value, is_member)?;
                object.insert(key.clone(), made);
                Some(false)
            }
            (made, None) if !is_member => (made.to_value() == value).then_some(true),
            _ => None,
        }
    }
}

/// The part of a document that a reference asks for, and where to keep it.
#[derive(Debug)]
enum Asked {
    /// The part at the first keys, as far as they were known, is known.
    Known(usize, Value),
    /// All of it must be evaluated.
    All,
    /// Only what the keys of the reference allow; it can be kept as the part at these keys below
    /// the document.
    Some(Option<(Known, Vec<Value>)>),
}

impl<'p> Machine<'p> {
    /// Calls `next` for each value at and below a partial document.
    pub(crate) fn partial(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &[Value],
        candidates: &Candidates,
        document: &'p Document,
        next: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let rules = &candidates.rules;
        let known = Known::Document(path.to_vec());
        if reference.keys.len() == path.len() {
            let value = match self.environment.known(&known).flatten() {
                Some(value) => value,
                None => self.all(at, path, rules, document, known)?,
            };
            let value = Cell::value(value, reference.scope);
            return self.unify(at, &value, reference.target, next);
        }
        if rules.is_empty() {
            return Ok(());
        }
        let (position, value) = match self.asked(reference, path, rules) {
            Asked::Known(position, value) => (position, value),
            Asked::All => (path.len(), self.all(at, path, rules, document, known)?),
            Asked::Some(place) => {
                let mut made = Made::empty(document.shape);
                for (rule, _) in rules {
                    self.matching(at, reference, path, rule, &mut made)?;
                }
                let value = made.into_value();
                if let Some((known, keys)) = place
                    && let Some(part) =
                        keys.iter().try_fold(&value, |value, key| data::value_at(value, key))
                {
                    self.environment.keep(known, Some(part.clone()));
                }
                (path.len(), value)
            }
        };
        let value = Cell::value(value, reference.scope);
        self.term(at, reference, position, &value, next)
    }

    /// What is known of the asked part.
    fn asked(
        &self,
        reference: &Reference<'_>,
        path: &[Value],
        rules: &[(Rc<Rule>, Vec<Rc<Rule>>)],
    ) -> Asked {
        let below = path.len();
        let known = |known: &Known| self.environment.known(known).flatten();
        if let Some(value) = known(&Known::Document(path.to_vec())) {
            return Asked::Known(below, value);
        }
        let is_open =
            |cell: &Cell| matches!(cell.resolved().term.kind, super::nodes::TermKind::Var(_));
        if reference.key(below).is_some_and(|key| is_open(&key)) {
            return Asked::All;
        }
        let length =
            |(rule, _): &(Rc<Rule>, _)| rule.reference.len() + usize::from(rule.is_member());
        let longest = rules.iter().map(length).max().unwrap_or(0).min(reference.keys.len());
        let mut keys = path.to_vec();
        let mut scope: Vec<Option<Value>> = Vec::new();
        for position in below..longest {
            let Some(key) = reference.key(position) else { break };
            match key.ground() {
                Some(key) if scope.is_empty() => keys.push(key),
                // OPA compares patterns with variables in them too; they are rare.
                None if !is_open(&key) => return Asked::Some(None),
                None if keys.len() == below => break,
                key => scope.push(key),
            }
            let place = if scope.is_empty() {
                Known::Document(keys.clone())
            } else {
                Known::Part(keys.clone(), scope.clone())
            };
            if let Some(value) = known(&place) {
                return Asked::Known(keys.len(), value);
            }
        }
        while scope.last().is_some_and(Option::is_none) {
            scope.pop();
        }
        let part = keys.get(below..).unwrap_or_default().to_vec();
        if part.is_empty() {
            return Asked::Some(None);
        }
        let place = if scope.is_empty() { Known::Document(keys) } else { Known::Part(keys, scope) };
        Asked::Some(Some((place, part)))
    }

    /// Evaluates all rules of a document, and keeps it.
    fn all(
        &mut self,
        at: At<'_>,
        path: &[Value],
        rules: &[(Rc<Rule>, Vec<Rc<Rule>>)],
        document: &Document,
        known: Known,
    ) -> Result<Value, Stop> {
        let mut made = Made::empty(document.shape);
        for (rule, _) in rules {
            let query = self.child(at.query, &rule.body, false);
            let node = Node::Rule(rule);
            self.tell(Op::Enter, &query, node);
            self.eval(&query, 0, &mut |machine| {
                machine.tell_exit(&query, node);
                add(&mut made, rule, path.len(), &query)?;
                machine.tell(Op::Redo, &query, node);
                Ok(())
            })?;
        }
        let value = made.into_value();
        self.environment.keep(known, Some(value.clone()));
        Ok(value)
    }

    /// Evaluates a rule for the keys of a reference.
    fn matching(
        &mut self,
        at: At<'_>,
        reference: &Reference<'_>,
        path: &[Value],
        rule: &Rc<Rule>,
        made: &mut Made,
    ) -> Flow {
        let query = self.child(at.query, &rule.body, false);
        let node = Node::Rule(rule);
        self.tell(Op::Enter, &query, node);
        let heads = rule.reference.iter().skip(path.len());
        let heads: Vec<_> = if rule.is_member() && rule.reference.len() < reference.keys.len() {
            heads.chain(&rule.key).collect()
        } else {
            heads.collect()
        };
        let keys = reference.keys.iter().skip(path.len());
        let pairs: Vec<_> = keys
            .zip(heads)
            .map(|(key, head)| (Cell::new(key, reference.scope), Cell::new(head, &query.scope)))
            .collect();
        self.unify_all(At { query: &query, index: 0 }, &pairs, &mut |machine| {
            query.defined.set(true);
            machine.eval(&query, 0, &mut |machine| {
                machine.tell_exit(&query, node);
                if add(made, rule, path.len(), &query)? {
                    machine.tell(Op::Duplicate, &query, node);
                }
                machine.tell(Op::Redo, &query, node);
                Ok(())
            })
        })?;
        if !query.defined.get() {
            self.tell(Op::Fail, &query, node);
        }
        Ok(())
    }
}

/// Adds what a rule yields with the values of its variables: whether it was there.
fn add(
    made: &mut Made,
    rule: &Rule,
    below: usize,
    query: &super::frame::Query,
) -> Result<bool, Stop> {
    let ground = |term| Cell::new(term, &query.scope).ground();
    let is_member = rule.is_member();
    let value = if is_member { &rule.key } else { &rule.value };
    let path: Option<Vec<Value>> = rule.reference.iter().skip(below).map(ground).collect();
    let (Some(path), Some(value)) = (path, value.as_ref().and_then(ground)) else {
        return Ok(false);
    };
    made.add(&path, value, is_member)
        .ok_or_else(|| conflict(UNIQUE_KEYS.to_owned(), rule.head_span))
}
