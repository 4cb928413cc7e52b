//! The rule tree as lowering reads it: the kind of each node, and the rules that define it.

use std::collections::BTreeMap;

use regorus::Value;

use crate::ast::{Module, Rule, Term};
use crate::compile::{Compiled, Key, RuleRef, RuleTree};
use crate::diagnostic::Diagnostic;

use super::constants::{constant, key_value};

/// A node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(usize);

/// The kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A package, or a node above rules.
    Package,
    /// A function of this many parameters.
    Function(usize),
    /// One value.
    Complete,
    /// A set.
    Set,
    /// An object with computed keys: one variable at the end of each reference.
    Object,
    /// A document whose references have variables elsewhere, or make sets.
    General,
}

/// A package, or the document of the rules with one ground reference.
#[derive(Debug)]
pub(super) struct Node {
    key: Value,
    parent: Option<NodeId>,
    /// The nodes below, in OPA's order of keys. Rules below a reference with variables are part of
    /// it.
    pub(super) children: Vec<(Value, NodeId)>,
    by_key: BTreeMap<Key, NodeId>,
    /// The definitions.
    pub(super) rules: Vec<RuleRef>,
    /// The kind of their document.
    pub(super) shape: Shape,
    /// The number of keys to this node.
    pub(super) depth: usize,
    /// Whether documents above omit it.
    pub(super) hidden: bool,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    /// The nodes of a rule tree.
    pub(super) fn new(compiled: &Compiled) -> Result<Self, Diagnostic> {
        let mut nodes = Self(vec![Node {
            key: Value::from("data"),
            parent: None,
            children: Vec::new(),
            by_key: BTreeMap::new(),
            rules: Vec::new(),
            shape: Shape::Package,
            depth: 0,
            hidden: false,
        }]);
        let mut todo = vec![(Self::ROOT, &compiled.tree)];
        while let Some((id, tree)) = todo.pop() {
            for (key, child) in &tree.children {
                let child_id = nodes.add(compiled, id, key, child)?;
                if nodes.get(child_id).shape != Shape::General {
                    todo.push((child_id, child));
                }
            }
        }
        Ok(nodes)
    }

    /// `data`
    pub(super) const ROOT: NodeId = NodeId(0);

    fn add(
        &mut self,
        compiled: &Compiled,
        parent: NodeId,
        key: &Key,
        tree: &RuleTree,
    ) -> Result<NodeId, Diagnostic> {
        let depth = self.get(parent).depth + 1;
        let mut rules = tree.rules.clone();
        let dynamic = |rule: &RuleRef| definition(compiled, *rule).is_some_and(is_dynamic);
        if rules.iter().any(dynamic) {
            // In OPA, all rules below a reference with variables make one document.
            rules.clear();
            let mut todo = vec![tree];
            while let Some(tree) = todo.pop() {
                rules.extend(&tree.rules);
                todo.extend(tree.children.values().rev());
            }
        }
        let span = rules.first().and_then(|rule| definition(compiled, *rule)).map(|rule| rule.span);
        let id = NodeId(self.0.len());
        let value = key_value(key, span)?;
        let hidden = depth == 1 && key.as_str() == Some("system");
        self.0.push(Node {
            key: value.clone(),
            parent: Some(parent),
            children: Vec::new(),
            by_key: BTreeMap::new(),
            shape: shape(compiled, &rules, depth),
            rules,
            depth,
            hidden,
        });
        if let Some(parent) = self.0.get_mut(parent.0) {
            parent.children.push((value, id));
            parent.by_key.insert(key.clone(), id);
        }
        Ok(id)
    }

    /// The node with this number. Only this tree gives out numbers, so it exists.
    pub(super) fn get(&self, id: NodeId) -> &Node {
        static NOTHING: Node = Node {
            key: Value::Undefined,
            parent: None,
            children: Vec::new(),
            by_key: BTreeMap::new(),
            rules: Vec::new(),
            shape: Shape::Package,
            depth: 0,
            hidden: false,
        };
        self.0.get(id.0).unwrap_or(&NOTHING)
    }

    /// The child that a constant key leads to.
    pub(super) fn child(&self, id: NodeId, key: &Key) -> Option<NodeId> {
        self.get(id).by_key.get(key).copied()
    }

    /// The node of a reference that begins with `data`, where the tree has all of its keys.
    pub(super) fn find(&self, keys: &[Term]) -> Option<NodeId> {
        keys.iter().try_fold(Self::ROOT, |node, key| self.child(node, &Key::of(&key.value)?))
    }

    /// The keys that lead to a node, without `data`.
    pub(super) fn path(&self, id: NodeId) -> Vec<Value> {
        let mut keys: Vec<Value> = self.ancestors(id).map(|id| self.get(id).key.clone()).collect();
        keys.pop();
        keys.reverse();
        keys
    }

    /// A node and those above it, up to the root.
    pub(super) fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(id), |id| self.get(*id).parent)
    }

    /// A node's path in messages.
    pub(super) fn name(&self, id: NodeId) -> String {
        self.path(id).iter().fold("data".to_owned(), |name, key| match key {
            Value::String(key) if is_plain(key) => format!("{name}.{key}"),
            key => format!("{name}[{key}]"),
        })
    }

    /// All nodes.
    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.0.len()).map(NodeId)
    }
}

/// A rule by its position.
pub(super) fn definition(compiled: &Compiled, rule: RuleRef) -> Option<&Rule> {
    compiled.modules.get(rule.module)?.rules.get(rule.rule)
}

/// The keys of a rule's reference below `data`, its package's included.
pub(super) fn keys<'a>(module: &'a Module, rule: &'a Rule) -> impl Iterator<Item = &'a Term> {
    module.package.path.iter().skip(1).chain(&rule.head.reference)
}

fn is_dynamic(rule: &Rule) -> bool {
    let is_constant = |term: &Term| matches!(constant(term), Ok(Some(_)));
    !rule.head.reference.iter().skip(1).all(is_constant)
}

/// Whether a definition makes an element of a set.
pub(super) fn is_member(rule: &Rule) -> bool {
    rule.head.key.is_some() && rule.head.value.is_none()
}

fn shape(compiled: &Compiled, rules: &[RuleRef], depth: usize) -> Shape {
    let all = || rules.iter().filter_map(|rule| definition(compiled, *rule));
    let Some(first) = all().next() else { return Shape::Package };
    // A rule without parameters is a document, with or without parentheses.
    let mut parameters = all().filter_map(|rule| rule.head.args.as_ref());
    if let Some(args) = parameters.find(|args| !args.is_empty()) {
        return Shape::Function(args.len());
    }
    if !all().any(is_dynamic) {
        return if is_member(first) { Shape::Set } else { Shape::Complete };
    }
    let one_key = |rule: &RuleRef| {
        compiled.modules.get(rule.module).is_some_and(|module| {
            definition(compiled, *rule).is_some_and(|definition| {
                !is_member(definition) && keys(module, definition).count() == depth + 1
            })
        })
    };
    if rules.iter().all(one_key) { Shape::Object } else { Shape::General }
}

fn is_plain(name: &str) -> bool {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
