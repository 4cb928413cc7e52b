//! The types of rules and built-ins by their references: OPA's `typeTreeNode`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::ast::{Name, TermValue};

use super::constant::Constant;
use super::model::{Known, Object, Type};
use super::union;

/// A part of a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Constant(Constant),
    /// Of a rule with errors, whose reference is kept as it stands.
    Var(Name),
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Constant(Constant::String(name.into()))
    }
}

impl Key {
    /// A term as a key.
    pub(super) fn of(value: &TermValue) -> Option<Self> {
        match value {
            TermValue::Var(name) => Some(Self::Var(Name::clone(name))),
            value => Constant::of(value).map(Self::Constant),
        }
    }

    fn type_of(&self) -> Known {
        match self {
            Self::Constant(constant) => Some(constant.type_of()),
            Self::Var(_) => None,
        }
    }
}

/// A document: a rule or built-in, or what is above some.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    value: Known,
    children: BTreeMap<Key, Self>,
    /// The type as a whole, once it has been asked for.
    extent: RefCell<Known>,
    /// Whether something below came since types from below were last merged into the value.
    is_stale: bool,
}

impl Node {
    /// The type that a rule, built-in or replaced document has itself.
    pub(super) const fn value(&self) -> Option<&Type> {
        self.value.as_ref()
    }

    /// What is below at this key.
    pub(super) fn child(&self, key: &TermValue) -> Option<&Self> {
        if self.children.is_empty() {
            return None;
        }
        self.children.get(&Key::of(key)?)
    }

    /// The type of the whole document. Where rules are below, there may be base data beside them.
    pub(super) fn extent(&self) -> Type {
        if let Some(value) = &self.value {
            return value.clone();
        }
        if let Some(extent) = &*self.extent.borrow() {
            return extent.clone();
        }
        // As deep as the longest reference of a rule, which the parser bounds.
        let fields = self.children.iter().filter_map(|(key, child)| match key {
            Key::Constant(
                key @ (Constant::String(_) | Constant::Number(_) | Constant::Bool(_)),
            ) => Some((key.clone(), Some(child.extent()))),
            Key::Constant(Constant::Null | Constant::Array(_) | Constant::Object(_))
            | Key::Var(_) => None,
        });
        let extent = Type::object(fields.collect(), Some((Some(Type::String), Some(Type::Any))));
        *self.extent.borrow_mut() = Some(extent.clone());
        extent
    }

    fn enter(&mut self, key: &Key) -> &mut Self {
        *self.extent.get_mut() = None;
        self.is_stale = true;
        self.children.entry(key.clone()).or_default()
    }

    /// Sets the type at a path.
    pub(super) fn put(&mut self, path: &[Key], of: Type) {
        let mut node = self;
        for key in path {
            node = node.enter(key);
        }
        node.value = Some(of);
    }

    /// Adds a rule's type at a path. The types of objects on the way and below are merged: `p[x]` and
    /// `p.a.b` make one document.
    pub(super) fn insert(&mut self, path: &[Key], of: &Type) {
        let mut node = self;
        let mut rest = path;
        while let Some((key, tail)) = rest.split_first() {
            node = node.enter(key);
            rest = tail;
            if !rest.is_empty()
                && let Some(Type::Object(object)) = &node.value
            {
                node.value = Some(insert_into(object, rest, of));
            }
        }
        node.value = merge(node.value.take(), Some(of.clone()));
        if matches!(of, Type::Object(_)) && node.is_stale {
            node.is_stale = false;
            let mut leaves = Vec::new();
            node.leaves(&mut Vec::new(), &mut leaves);
            for (path, leaf) in leaves {
                if let Some(Type::Object(object)) = &node.value {
                    node.value = Some(insert_into(object, &path, &leaf));
                }
            }
        }
    }

    /// The nearest types below, with their paths.
    fn leaves(&self, path: &mut Vec<Key>, leaves: &mut Vec<(Vec<Key>, Type)>) {
        for (key, child) in &self.children {
            path.push(key.clone());
            match &child.value {
                Some(value) => leaves.push((path.clone(), value.clone())),
                None => child.leaves(path, leaves),
            }
            path.pop();
        }
    }
}

/// An object's type with something at a path in it, as a key that may or may not be there.
fn insert_into(object: &Object, path: &[Key], of: &Type) -> Type {
    let Some((key, tail)) = path.split_first() else {
        return Type::object(object.fields.clone(), object.rest.clone());
    };
    let mut value = of.clone();
    for key in tail.iter().rev() {
        value = Type::object(Vec::new(), Some((key.type_of(), Some(value))));
    }
    let rest = match &object.rest {
        Some((keys, values)) => {
            (union::of(keys.clone(), key.type_of()), union::of(values.clone(), Some(value)))
        }
        None => (key.type_of(), Some(value)),
    };
    Type::object(object.fields.clone(), Some(rest))
}

/// The type of a document that several rules make: sets and objects without constant keys are
/// merged, all else is one or the other.
fn merge(left: Known, right: Known) -> Known {
    let (left, right) = match (left, right) {
        (None, other) | (other, None) => return other,
        (Some(left), Some(right)) => (left, right),
    };
    match (left, right) {
        (Type::Object(left), Type::Object(right))
            if left.fields.is_empty() && right.fields.is_empty() =>
        {
            Some(match (&left.rest, &right.rest) {
                // The empty object, which the other's type holds.
                (None, _) => Type::Object(right),
                (_, None) => Type::Object(left),
                (Some((left_keys, left)), Some((right_keys, right))) => {
                    let keys = union::of(left_keys.clone(), right_keys.clone());
                    let values = merge(left.clone(), right.clone());
                    Type::object(Vec::new(), Some((keys, values)))
                }
            })
        }
        (Type::Object(object), Type::OneOf(one_of))
        | (Type::OneOf(one_of), Type::Object(object))
            if object.fields.is_empty() && object.rest.is_some() =>
        {
            let is_like = |one: &Type| match one {
                Type::Object(other) => other.fields.is_empty() && other.rest.is_some(),
                _ => false,
            };
            match one_of.types.iter().position(is_like) {
                Some(at) => {
                    let parts = one_of.types.iter().enumerate().map(|(position, one)| match one {
                        Type::Object(other) if position == at => Some(join(other, &object)),
                        one => Some(one.clone()),
                    });
                    union::of_all(parts)
                }
                None => union::of(Some(Type::OneOf(one_of)), Some(Type::Object(object))),
            }
        }
        (Type::Set(left), Type::Set(right)) => {
            Some(Type::set(union::of(left.of.clone(), right.of.clone())))
        }
        (left, right) => union::of(Some(left), Some(right)),
    }
}

/// Objects without constant keys as one.
fn join(left: &Object, right: &Object) -> Type {
    let part = |object: &Object| object.rest.clone().unwrap_or_default();
    let ((left_keys, left), (right_keys, right)) = (part(left), part(right));
    Type::object(Vec::new(), Some((union::of(left_keys, right_keys), union::of(left, right))))
}
