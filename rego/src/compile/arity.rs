//! The number of arguments of functions.

use crate::ast::{Module, Rule, Term, TermValue};
use crate::builtins::table::{Declaration, declaration};

use super::text;
use super::tree::{RuleRef, RuleTree};

/// The numbers of parameters of all rules, by module and position. No stage changes them, so they
/// are valid while rules are being rewritten.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    counts: Vec<Vec<usize>>,
}

impl Parameters {
    /// Counts them.
    pub(crate) fn new(modules: &[Module]) -> Self {
        let counts = modules.iter().map(|module| {
            let parameters = |rule: &Rule| rule.head.args.as_ref().map_or(0, Vec::len);
            module.rules.iter().map(parameters).collect()
        });
        Self { counts: counts.collect() }
    }

    /// A rule's number of parameters.
    pub(crate) fn of(&self, rule: RuleRef) -> Option<usize> {
        self.counts.get(rule.module)?.get(rule.rule).copied()
    }
}

/// All functions: the built-ins, and those of the policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Functions<'a> {
    /// The policy's rules.
    pub(crate) tree: &'a RuleTree,
    /// Their parameters.
    pub(crate) parameters: &'a Parameters,
}

impl Functions<'_> {
    /// How many arguments a reference takes: 0 for a rule that is not a function, `None` where no
    /// such rule or built-in exists.
    pub(crate) fn arity(&self, reference: &[Term]) -> Option<usize> {
        if let Some(builtin) = builtin(reference) {
            return Some(builtin.arity());
        }
        let first = self.tree.find(reference)?.rules.first()?;
        self.parameters.of(*first)
    }

    /// Whether one of the rules at a node of the tree takes arguments.
    pub(crate) fn has_function(&self, node: &RuleTree) -> bool {
        node.rules.iter().any(|rule| self.parameters.of(*rule).is_some_and(|count| count > 0))
    }
}

/// A reference as a built-in's name, where it can be one: a variable and strings.
pub(crate) fn builtin_name(reference: &[Term]) -> Option<String> {
    let is_name = |term: &Term| matches!(term.value, TermValue::String(_));
    let (head, keys) = reference.split_first()?;
    (matches!(head.value, TermValue::Var(_)) && keys.iter().all(is_name))
        .then(|| text::of_ref(reference))
}

/// The declaration of a built-in that a reference names.
pub(crate) fn builtin(reference: &[Term]) -> Option<&'static Declaration> {
    builtin_name(reference).and_then(|name| declaration(&name))
}
