//! The types of rules and built-ins by their references: OPA's `typeTreeNode`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::ast::{Name, TermValue};

use super::constant::Constant;
use super::model::{Known, Object, Type};
use super::union;

/// A part of a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Constant(Constant),
    /// Of a rule with errors, whose reference is kept unchanged.
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

/// A document: a rule or built-in, or a node above some.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    value: Known,
    children: BTreeMap<Key, Self>,
    /// The cached type of the whole document.
    extent: RefCell<Known>,
    /// Whether something here or below changed since it was last merged into a type above.
    is_fresh: bool,
}

/// Documents by the first name of their references.
pub(super) type Roots = BTreeMap<Name, Node>;

impl Node {
    /// The type of a rule, built-in or replaced document itself.
    pub(super) const fn value(&self) -> Option<&Type> {
        self.value.as_ref()
    }

    /// The node below at this key.
    pub(super) fn child(&self, key: &TermValue) -> Option<&Self> {
        if self.children.is_empty() {
            return None;
        }
        self.children.get(&Key::of(key)?)
    }

    /// The node below at a constant key.
    pub(super) fn child_at(&self, key: &Constant) -> Option<&Self> {
        // Most nodes have only names below them, and are few.
        self.children.get(&Key::Constant(key.clone()))
    }

    /// The type of the whole document. Base data may be beside the rules below.
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
        let child = self.children.entry(key.clone()).or_default();
        child.is_fresh = true;
        child
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
            if !rest.is_empty() {
                node.value = match node.value.take() {
                    Some(Type::Object(object)) => {
                        Some(insert_into(object, std::iter::once((rest, of.clone()))))
                    }
                    other => other,
                };
            }
        }
        let only_fresh = node.value.is_some();
        node.value = merge(node.value.take(), Some(of.clone()));
        if matches!(of, Type::Object(_)) && !node.children.is_empty() {
            let mut leaves = Vec::new();
            node.leaves(only_fresh, &mut Vec::new(), &mut leaves);
            node.value = match node.value.take() {
                Some(Type::Object(object)) => {
                    let leaves = leaves.iter().map(|(path, of)| (path.as_slice(), of.clone()));
                    Some(insert_into(object, leaves))
                }
                other => other,
            };
        }
    }

    /// The nearest types below, with their paths; only those that changed since the last call,
    /// where the others are known to be merged.
    fn leaves(
        &mut self,
        only_fresh: bool,
        path: &mut Vec<Key>,
        leaves: &mut Vec<(Vec<Key>, Type)>,
    ) {
        for (key, child) in &mut self.children {
            if only_fresh && !child.is_fresh {
                continue;
            }
            child.is_fresh = false;
            path.push(key.clone());
            match &child.value {
                Some(value) => leaves.push((path.clone(), value.clone())),
                None => child.leaves(only_fresh, path, leaves),
            }
            path.pop();
        }
    }
}

/// An object's type with further types at paths in it, as keys that may or may not be there.
fn insert_into<'p>(object: Rc<Object>, further: impl Iterator<Item = (&'p [Key], Type)>) -> Type {
    let (fields, rest) = object.into_parts();
    let mut keys = Vec::new();
    let mut values = Vec::new();
    for (path, mut value) in further {
        let Some((key, tail)) = path.split_first() else { continue };
        for key in tail.iter().rev() {
            value = Type::object(Vec::new(), Some((key.type_of(), Some(value))));
        }
        keys.push(key.type_of());
        values.push(Some(value));
    }
    if keys.is_empty() {
        return Type::object(fields, rest);
    }
    let (known_keys, known_values) = rest.unwrap_or_default();
    let rest = (union::with_all(known_keys, keys), union::with_all(known_values, values));
    Type::object(fields, Some(rest))
}

/// The type of a document that several rules make: sets and objects without constant keys are
/// merged, other types become a union.
fn merge(left: Known, right: Known) -> Known {
    let (left, right) = match (left, right) {
        (None, other) | (other, None) => return other,
        (Some(left), Some(right)) => (left, right),
    };
    match (left, right) {
        (Type::Object(left), Type::Object(right))
            if left.fields.is_empty() && right.fields.is_empty() =>
        {
            Some(match (left.rest.is_some(), right.rest.is_some()) {
                // The empty object, which the other's type includes.
                (false, _) => Type::Object(right),
                (_, false) => Type::Object(left),
                (true, true) => join(left, right, merge),
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
            let Some(one) = one_of.types.iter().find(|one| is_like(one)).cloned() else {
                return Some(one_of.with(Type::Object(object)));
            };
            let others = one_of.without(&one);
            let one = match one {
                Type::Object(other) => join(other, object, union::of),
                other => other,
            };
            union::of(others, Some(one))
        }
        (Type::Set(left), Type::Set(right)) => {
            Some(Type::set(union::of(left.into_members(), right.into_members())))
        }
        (left, right) => union::of(Some(left), Some(right)),
    }
}

/// Merges objects without constant keys.
fn join(left: Rc<Object>, right: Rc<Object>, values: fn(Known, Known) -> Known) -> Type {
    let parts = |object: Rc<Object>| object.into_parts().1.unwrap_or_default();
    let ((left_keys, left), (right_keys, right)) = (parts(left), parts(right));
    Type::object(Vec::new(), Some((union::of(left_keys, right_keys), values(left, right))))
}
