//! The rules that OPA's index leaves to evaluate: those whose conditions on the input, on base data
//! and on arguments can hold. It decides which rules are told of, and never what they yield.

use std::rc::Rc;

use regorus::Value;

use super::conditions::{Condition, Conditions, Source};
use super::nodes::{Rule, TermKind};
use super::requirements;
use crate::core::data;

/// The conditions of a document's rules, branches of `else` included, by the rules' numbers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    conditions: Vec<(usize, Conditions)>,
}

/// The rules of a document that the index leaves to evaluate.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Each with the branches that follow it.
    pub(crate) rules: Vec<(Rc<Rule>, Vec<Rc<Rule>>)>,
    pub(crate) default: Option<Rc<Rule>>,
    /// Whether one solution of one rule is enough: all have the same value.
    pub(crate) is_early: bool,
}

impl Candidates {
    /// Whether there is nothing to evaluate.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.default.is_none()
    }
}

/// The parts of OPA's evaluation that only make it faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortcuts {
    /// Whether rules that cannot hold are left out.
    pub(crate) index: bool,
    /// Whether one solution is enough where all have the same value.
    pub(crate) early_exit: bool,
}

impl Default for Shortcuts {
    fn default() -> Self {
        Self { index: true, early_exit: true }
    }
}

/// The values that conditions are about.
pub(crate) struct Lookup<'l> {
    pub(crate) base: &'l dyn Fn(&[Value]) -> Option<Value>,
    pub(crate) args: &'l [Option<Value>],
    pub(crate) input: Option<&'l Value>,
}

impl Lookup<'_> {
    fn is_unknown(&self, source: &Source) -> bool {
        matches!(source, Source::Argument(position) if *position >= self.args.len())
    }

    /// `None` is undefined; `Some(None)` is an argument without a value.
    fn resolve(&self, source: &Source) -> Option<Option<Value>> {
        match source {
            Source::Data(path) => (self.base)(path).map(Some),
            Source::Input(path) => path
                .iter()
                .try_fold(self.input?, |value, key| data::value_at(value, key))
                .map(|value| Some(value.clone())),
            Source::Argument(position) => Some(self.args.get(*position).cloned().flatten()),
        }
    }
}

impl Index {
    /// The index of some rules.
    pub(crate) fn new(rules: &[Rc<Rule>], is_virtual: &dyn Fn(&[Value]) -> bool) -> Self {
        let all = rules.iter().flat_map(chain);
        Self {
            conditions: all.map(|rule| (rule.id, requirements::of(&rule, is_virtual))).collect(),
        }
    }

    /// The rules to evaluate.
    pub(crate) fn look_up(
        &self,
        (defined, default): (&[Rc<Rule>], Option<&Rc<Rule>>),
        lookup: &Lookup<'_>,
        shortcuts: Shortcuts,
    ) -> Candidates {
        // OPA asks for memberships only where all candidates are evaluated.
        let asks_members = !agree(defined.iter().flat_map(chain));
        let holds = |rule: &Rc<Rule>| {
            let conditions = self.conditions.iter().find(|(id, _)| *id == rule.id);
            !shortcuts.index
                || conditions.is_none_or(|(_, conditions)| {
                    conditions.can_hold(lookup) && (!asks_members || conditions.are_members(lookup))
                })
        };
        let mut rules = Vec::new();
        for rule in defined {
            let mut candidates = chain(rule).filter(|rule| holds(rule));
            if let Some(first) = candidates.next() {
                rules.push((first, candidates.collect::<Vec<_>>()));
            }
        }
        let all = rules.iter().flat_map(|(rule, others)| std::iter::once(rule).chain(others));
        let is_early = shortcuts.early_exit && agree(all.map(Rc::clone));
        Candidates { rules, default: default.cloned(), is_early }
    }
}

/// A rule and its branches of `else`.
fn chain(rule: &Rc<Rule>) -> impl Iterator<Item = Rc<Rule>> + use<> {
    std::iter::successors(Some(Rc::clone(rule)), |rule| rule.other.clone())
}

/// Whether all rules have the same constant value.
fn agree(rules: impl Iterator<Item = Rc<Rule>>) -> bool {
    let mut agreed: Option<Value> = None;
    for rule in rules {
        if rule.key.is_some() || rule.is_dynamic() {
            return false;
        }
        match rule.value.as_ref().map(|value| &value.kind) {
            None => {}
            Some(TermKind::Value(value)) => {
                if agreed.as_ref().is_some_and(|agreed| agreed != value) {
                    return false;
                }
                agreed = Some(value.clone());
            }
            Some(_) => return false,
        }
    }
    true
}

impl Conditions {
    fn can_hold(&self, lookup: &Lookup<'_>) -> bool {
        self.paths().iter().any(|path| path_can_hold(path, lookup))
    }

    fn are_members(&self, lookup: &Lookup<'_>) -> bool {
        self.memberships.iter().all(|(key, collection)| {
            let Some(Some(key)) = lookup.resolve(key) else { return false };
            match (lookup.base)(collection) {
                Some(collection @ (Value::Object(_) | Value::Set(_))) => {
                    data::value_at(&collection, &key).is_some()
                }
                // Whether an array has the index is left to the evaluation.
                Some(_) => true,
                None => false,
            }
        })
    }
}

fn path_can_hold(path: &[&(Source, Condition)], lookup: &Lookup<'_>) -> bool {
    path.iter().enumerate().all(|(position, (source, _))| {
        let earlier = path.iter().take(position);
        if earlier.into_iter().any(|(other, _)| other == source) {
            return true;
        }
        let of_source = path.iter().filter(|(other, _)| other == source);
        let mut conditions: Vec<&Condition> = of_source.map(|(_, condition)| condition).collect();
        if conditions.len() > 1
            && conditions.iter().any(|condition| !matches!(condition, Condition::Any(_)))
        {
            conditions.retain(|condition| !matches!(condition, Condition::Any(_)));
        }
        keep_one_end(&mut conditions);
        match lookup.resolve(source) {
            // A function's document is looked up without arguments.
            _ if lookup.is_unknown(source) => true,
            None => false,
            Some(value) => conditions.iter().any(|condition| condition.admits(value.as_ref())),
        }
    })
}

/// Where both ends of a text have conditions, OPA asks only for the one whose shortest text is
/// longer.
fn keep_one_end(conditions: &mut Vec<&Condition>) {
    let shortest = |lengths: &mut dyn Iterator<Item = usize>| lengths.min();
    let mut prefixes = conditions.iter().filter_map(|condition| match condition {
        Condition::Prefix(text) => Some(text.len()),
        _ => None,
    });
    let mut suffixes = conditions.iter().filter_map(|condition| match condition {
        Condition::Suffix(text) => Some(text.len()),
        _ => None,
    });
    if let (Some(prefix), Some(suffix)) = (shortest(&mut prefixes), shortest(&mut suffixes)) {
        let drops_prefixes = suffix > prefix;
        conditions.retain(|condition| match condition {
            Condition::Prefix(_) => !drops_prefixes,
            Condition::Suffix(_) => drops_prefixes,
            _ => true,
        });
    }
}
