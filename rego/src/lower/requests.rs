//! The parts that become rules of core.

use regorus::Value;

use crate::ast::Term;
use crate::core::Operand;

use super::nodes::NodeId;

/// The parts that become rules of core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    /// A rule's value, or a function.
    Rule(NodeId),
    /// The same where no data is replaced.
    Own(NodeId),
    /// The same without its default.
    Found(NodeId),
    /// A function with an expected value, given as its last parameter.
    Known(NodeId),
    /// The entry of a document at a key, by the definitions that fit the keys after it.
    Entry(NodeId, Vec<Asked>),
    /// The same where no data is replaced.
    OwnEntry(NodeId, Vec<Asked>),
    /// Entries of a document by some of its definitions; at such keys, or all.
    Entries { node: NodeId, keys: Vec<Asked>, first: usize, count: usize },
    /// The document at a node of the tree, base data included.
    Extent(NodeId),
    /// Without base data, and only for some children.
    Virtual { node: NodeId, first: usize, count: usize },
    /// The value below a node at keys that are given at run time.
    Lookup(Lookup),
    /// The same for some of the children of the node.
    LookupPart { lookup: Lookup, first: usize, count: usize },
    /// A built-in that some `with` replaces.
    Builtin(&'static str),
}

/// The pattern of a reference for a key of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// This constant; definitions for other keys are left out.
    One(Value),
    /// It is known when the document is evaluated.
    Given,
    /// It is iterated over.
    Open,
}

/// The requested form of the document at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// Its value.
    Value,
    /// An array of its keys, in OPA's order: `[key]` where the rest must be looked up in the rule
    /// tree or in base data, and `[key, value]` in a rule's value.
    Keys,
}

/// A function that finds values below a node. Its parameters are the keys that are not constant,
/// and then, after an iteration over a key, the result of another lookup for the last such key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lookup {
    pub(super) node: NodeId,
    pub(super) keys: Vec<Known>,
    /// The number of keys up to the last iterated one.
    pub(super) found: Option<usize>,
    pub(super) wanted: Wanted,
}

/// The known properties of a key before evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Its value.
    One(Value),
    /// It is one of these.
    Of(Vec<Value>),
    /// It is not known.
    Any,
}

impl Known {
    pub(super) fn may_be(&self, key: &Value) -> bool {
        match self {
            Self::One(value) => value == key,
            Self::Of(values) => values.contains(key),
            Self::Any => true,
        }
    }
}

/// The keys of a reference.
#[derive(Clone, Copy)]
pub(super) enum Steps<'t> {
    /// As terms.
    Terms(&'t [Term]),
    /// Evaluated.
    Given(&'t [Operand]),
}

impl Steps<'_> {
    pub(super) const fn len(self) -> usize {
        match self {
            Steps::Terms(terms) => terms.len(),
            Steps::Given(keys) => keys.len(),
        }
    }
}
