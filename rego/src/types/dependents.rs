//! Which rules depend on a document.

use crate::ast::{Term, TermValue};
use crate::compile::graph::Rules;
use crate::compile::visit::ground_prefix;
use crate::compile::{Compiled, RuleRef};

/// For each rule, the rules that use it.
#[derive(Debug)]
pub(super) struct Users<'c> {
    rules: Rules<'c>,
    /// By the rule that is used, sorted.
    users: Vec<(RuleRef, RuleRef)>,
}

impl<'c> Users<'c> {
    /// Those of all rules.
    pub(super) fn new(compiled: &'c Compiled) -> Self {
        let definitions = &compiled.graph.definitions;
        let mut users: Vec<_> = definitions
            .iter()
            .zip(&compiled.graph.uses)
            .flat_map(|(user, uses)| {
                let used = uses.iter().filter_map(|used| definitions.get(*used));
                used.map(|used| (used.rule, user.rule))
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        Self { rules: Rules::new(&compiled.modules, &compiled.tree), users }
    }

    fn of(&self, used: RuleRef) -> impl Iterator<Item = RuleRef> {
        let start = self.users.partition_point(|(rule, _)| *rule < used);
        let from = self.users.get(start..).unwrap_or_default().iter();
        from.take_while(move |(rule, _)| *rule == used).map(|(_, user)| *user)
    }

    /// The ground parts of the references of all rules that a document has, and of those that depend
    /// on them.
    pub(super) fn dependents(&self, document: &[Term]) -> impl Iterator<Item = &[Term]> {
        let mut found = self.rules.reachable(document);
        let mut open: Vec<RuleRef> = found.iter().copied().collect();
        while let Some(next) = open.pop() {
            open.extend(self.of(next).filter(|user| found.insert(*user)));
        }
        found.into_iter().map(|rule| ground_prefix(self.rules.path(rule)))
    }
}

/// Whether a document is one that rules can have.
pub(super) fn is_data(document: &[Term]) -> bool {
    matches!(
        document.first().map(|head| &head.value),
        Some(TermValue::Var(name)) if &**name == "data"
    )
}
