//! The rules by their paths, and queries on them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::ast::{Module, Name, Rule, Term, TermValue};

use super::order::compare_numbers;
use super::visit::ground_prefix;

/// A rule (the head of its `else` chain) by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The module's index.
    pub module: usize,
    /// The rule's index in it.
    pub rule: usize,
}

/// A key of the tree. Packages and most rules have strings only; `p[1] := x` has a number.
#[derive(Debug, Clone)]
pub enum Key {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Its original text.
    Number(Name),
    /// A name.
    String(Name),
}

impl Key {
    /// A term as a key, where it is a scalar.
    #[must_use]
    pub fn of(value: &TermValue) -> Option<Self> {
        match value {
            TermValue::Null => Some(Self::Null),
            TermValue::Bool(value) => Some(Self::Bool(*value)),
            TermValue::Number(number) => Some(Self::Number(Name::clone(number))),
            TermValue::String(string) => Some(Self::String(Name::clone(string))),
            TermValue::Var(_)
            | TermValue::Ref(_)
            | TermValue::Array(_)
            | TermValue::Object(_)
            | TermValue::Set(_)
            | TermValue::ArrayComprehension { .. }
            | TermValue::SetComprehension { .. }
            | TermValue::ObjectComprehension { .. }
            | TermValue::Call(_)
            | TermValue::TemplateString { .. } => None,
        }
    }

    /// The name, where it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(name) => Some(name),
            Self::Null | Self::Bool(_) | Self::Number(_) => None,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
        }
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::String(name.into())
    }
}

/// OPA's order of values. Equal numbers with different texts are different keys, as in OPA.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => {
                compare_numbers(left, right).then_with(|| left.cmp(right))
            }
            (Self::String(left), Self::String(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// Rules by the ground part of their references, as OPA's `RuleTree`; the root is `data`.
#[derive(Debug, Clone, Default)]
pub struct RuleTree {
    /// Below, by key.
    pub children: BTreeMap<Key, RuleTree>,
    /// The rules whose ground part ends here, in order of their modules.
    pub rules: Vec<RuleRef>,
    /// Whether one of them has further keys, the first of which is not constant.
    pub(crate) has_open_rules: bool,
}

/// The package of a query while it is compiled. No policy can have it, and its rule is in no tree: a
/// query does not see itself in `data`.
pub(crate) const QUERY_PACKAGE: &str = "$query";

/// Whether a module holds a query.
fn is_query(module: &Module) -> bool {
    let name = module.package.path.get(1).map(|term| &term.value);
    matches!(name, Some(TermValue::String(name)) if &**name == QUERY_PACKAGE)
}

impl RuleTree {
    /// The tree of all rules, and of packages without any.
    #[must_use]
    pub fn new(modules: &[Module]) -> Self {
        // OPA puts rules in package by package, parents first, and files of a package in order.
        let mut order: Vec<usize> = (0..modules.len()).collect();
        let path = |index: &usize| modules.get(*index).map(package_keys);
        order.sort_by_key(path);
        let mut root = Self::default();
        for index in order {
            let Some(module) = modules.get(index).filter(|module| !is_query(module)) else {
                continue;
            };
            let package = package_keys(module);
            root.descend(package.iter().cloned());
            for (rule_index, rule) in module.rules.iter().enumerate() {
                let keys: Vec<Key> = package.iter().cloned().chain(rule_keys(rule)).collect();
                let is_open = keys.len() < package.len() + rule.head.reference.len();
                let node = root.descend(keys.into_iter());
                node.rules.push(RuleRef { module: index, rule: rule_index });
                node.has_open_rules |= is_open;
            }
        }
        root
    }

    fn descend(&mut self, keys: impl Iterator<Item = Key>) -> &mut Self {
        let mut node = self;
        for key in keys {
            node = node.children.entry(key).or_default();
        }
        node
    }

    /// The child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.get(&Key::from(name))
    }

    /// The node of a reference that begins with `data`, where the tree has all of its keys.
    #[must_use]
    pub fn find(&self, reference: &[Term]) -> Option<&Self> {
        let (head, keys) = reference.split_first()?;
        if !matches!(&head.value, TermValue::Var(name) if &**name == "data") {
            return None;
        }
        let mut node = self;
        for key in keys {
            node = node.children.get(&Key::of(&key.value)?)?;
        }
        Some(node)
    }

    /// Calls `visit` on this node and all below, in order of keys.
    pub(crate) fn depth_first<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        // As deep as the longest reference of a rule, which the parser bounds.
        visit(self);
        for child in self.children.values() {
            child.depth_first(visit);
        }
    }
}

/// A package's path below `data`.
fn package_keys(module: &Module) -> Vec<Key> {
    module.package.path.iter().skip(1).filter_map(|term| Key::of(&term.value)).collect()
}

/// The ground part of a rule's reference. Composite ground keys have been replaced by variables
/// before.
fn rule_keys(rule: &Rule) -> impl Iterator<Item = Key> + '_ {
    ground_prefix(&rule.head.reference).iter().enumerate().map_while(|(index, term)| {
        match (&term.value, index) {
            (TermValue::Var(name), 0) => Some(Key::String(Name::clone(name))),
            (value, _) => Key::of(value),
        }
    })
}

/// A rule's whole reference: its package's path, its name as a string, and its further keys.
pub(crate) fn full_ref(module: &Module, rule: &Rule) -> Vec<Term> {
    let mut terms = module.package.path.clone();
    let mut head = rule.head.reference.iter().cloned();
    terms.extend(head.next().map(|first| match first.value {
        TermValue::Var(name) => Term { value: TermValue::String(name), span: first.span },
        _ => first,
    }));
    terms.extend(head);
    terms
}
