//! What is to become a rule of core.

use regorus::Value;

use crate::ast::Term;
use crate::core::Operand;

use super::nodes::NodeId;

/// What is to become a rule of core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    /// A rule's value, or a function.
    Rule(NodeId),
    /// The same where no data is replaced.
    Own(NodeId),
    /// The same without its default.
    Found(NodeId),
    /// A function's value where that is known before: its last parameter.
    Known(NodeId),
    /// What a document has at a key, by the definitions that fit the keys after it.
    Entry(NodeId, Vec<Asked>),
    /// The same where no data is replaced.
    OwnEntry(NodeId, Vec<Asked>),
    /// Entries of a document by some of its definitions; at such keys, or all.
    Entries { node: NodeId, keys: Vec<Asked>, first: usize, count: usize },
    /// The document at a node of the tree, base data included.
    Extent(NodeId),
    /// Without base data, and of some children only.
    Virtual { node: NodeId, first: usize, count: usize },
    /// What is below a node at keys that are given at run time.
    Lookup(Lookup),
    /// The same for some of the children of the node.
    LookupPart { lookup: Lookup, first: usize, count: usize },
    /// A built-in that `with` replaces somewhere.
    Builtin(&'static str),
}

/// What a reference says of a key of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// It is this one; there are definitions for other keys, which are left out.
    One(Value),
    /// It is known when the document is evaluated.
    Given,
    /// It is gone through.
    Open,
}

/// What is asked of the document at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// Its value.
    Value,
    /// An array of its keys, in OPA's order: `[key]` where the rest has to be looked up in the rule
    /// tree or in base data, and `[key, value]` in a rule's value.
    Keys,
}

/// A function that finds what is below a node. Its parameters are the keys that are not constant,
/// and then, where a key was gone through, what another lookup had for the last such key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lookup {
    pub(super) node: NodeId,
    pub(super) keys: Vec<Known>,
    /// How many keys lead to the last that was gone through.
    pub(super) found: Option<usize>,
    pub(super) wanted: Wanted,
}

/// What is known of a key before evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Its value.
    One(Value),
    /// It is one of these.
    Of(Vec<Value>),
    /// Nothing.
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
    /// As they are written.
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
