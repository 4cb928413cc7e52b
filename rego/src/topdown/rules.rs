//! The rules by path.

use std::collections::BTreeMap;
use std::rc::Rc;

use regorus::Value;

use super::index::Index;
use super::nodes::Rule;

/// The rules of all modules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) root: Tree,
}

/// The rules with one ground reference, and those below it where references have variables.
#[derive(Debug)]
pub(crate) struct Document {
    /// The definitions apart from the default.
    pub(crate) rules: Vec<Rc<Rule>>,
    pub(crate) default: Option<Rc<Rule>>,
    pub(crate) shape: Shape,
    /// The number of parameters.
    pub(crate) parameters: usize,
    /// Its path below `data`.
    pub(crate) path: Rc<[Value]>,
    pub(crate) index: Index,
}

/// The document that rules make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value, or a function's values.
    Complete,
    /// A set.
    Set,
    /// An object whose keys are found by evaluation.
    Object,
}

/// A node of the rule tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// In OPA's order.
    pub(crate) children: Vec<(Value, Tree)>,
    /// The children's positions.
    pub(crate) by_key: BTreeMap<Value, usize>,
    pub(crate) document: Option<Document>,
    /// Whether documents above omit it.
    pub(crate) is_hidden: bool,
}

impl Tree {
    /// The child at a key.
    pub(crate) fn child(&self, key: &Value) -> Option<&Self> {
        self.children.get(*self.by_key.get(key)?).map(|(_, child)| child)
    }

    /// The node at a path.
    pub(crate) fn find(&self, path: &[Value]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.child(key))
    }

    /// All documents at and below, in order of their paths.
    pub(crate) fn documents<'t>(&'t self, found: &mut Vec<&'t Document>) {
        // As deep as the longest reference of a rule, which the parser bounds.
        found.extend(&self.document);
        for (_, child) in &self.children {
            child.documents(found);
        }
    }
}

/// Documents by path, for what is shown.
pub(crate) fn documents(rules: &Rules) -> BTreeMap<Rc<[Value]>, &Document> {
    let mut found = Vec::new();
    rules.root.documents(&mut found);
    found.into_iter().map(|document| (Rc::clone(&document.path), document)).collect()
}
