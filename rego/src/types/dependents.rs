//! The rules that depend on a document.

use std::collections::BTreeSet;

use crate::ast::{Term, TermValue};
use crate::compile::graph::Rules;
use crate::compile::visit::ground_prefix;
use crate::compile::{Compiled, RuleRef};

/// For each rule, the rules that use it.
#[derive(Debug)]
pub(super) struct Users<'c> {
    rules: Rules<'c>,
    /// The sets of definitions that a rule is in, sorted.
    sets: Vec<(RuleRef, usize)>,
    /// The rules that use a set, sorted by it.
    users: Vec<(usize, RuleRef)>,
}

impl<'c> Users<'c> {
    /// The dependents of all rules.
    pub(super) fn new(compiled: &'c Compiled) -> Self {
        let graph = &compiled.graph;
        let rule = |position: &usize| graph.definitions.get(*position).map(|one| one.rule);
        let sets = graph.sets.iter().enumerate().flat_map(|(set, members)| {
            members.iter().filter_map(rule).map(move |member| (member, set))
        });
        let users = graph.definitions.iter().zip(&graph.uses);
        let users = users.flat_map(|(user, sets)| sets.iter().map(|set| (*set, user.rule)));
        Self {
            rules: Rules::new(&compiled.modules, &compiled.tree),
            sets: sorted(sets),
            users: sorted(users),
        }
    }

    /// The ground parts of the references of all rules that a document has, and of those that depend
    /// on them.
    pub(super) fn dependents(&self, document: &[Term]) -> impl Iterator<Item = &[Term]> {
        let mut found = self.rules.reachable(document);
        let mut open: Vec<RuleRef> = found.iter().copied().collect();
        let mut sets = BTreeSet::new();
        while let Some(next) = open.pop() {
            for set in beside(&self.sets, next).filter(|set| sets.insert(*set)) {
                open.extend(beside(&self.users, set).filter(|user| found.insert(*user)));
            }
        }
        found.into_iter().map(|rule| ground_prefix(self.rules.path(rule)))
    }
}

/// Pairs in order, each once.
fn sorted<Pair: Ord>(pairs: impl Iterator<Item = Pair>) -> Vec<Pair> {
    let mut sorted: Vec<_> = pairs.collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// The values of a key in sorted pairs.
fn beside<Key: Ord + Copy, Value: Copy>(
    pairs: &[(Key, Value)],
    key: Key,
) -> impl Iterator<Item = Value> {
    let start = pairs.partition_point(|(one, _)| *one < key);
    let from = pairs.get(start..).unwrap_or_default().iter();
    from.take_while(move |(one, _)| *one == key).map(|(_, value)| *value)
}

/// Whether rules can define a document.
pub(super) fn is_data(document: &[Term]) -> bool {
    matches!(
        document.first().map(|head| &head.value),
        Some(TermValue::Var(name)) if &**name == "data"
    )
}
