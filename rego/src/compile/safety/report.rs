//! The messages about unbound variables.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ast::{Module, Name, Rule, Term};
use crate::compile::Compiler;
use crate::compile::order::equal_terms;
use crate::compile::suggest::nearest;
use crate::compile::text;
use crate::compile::tree::{Key, RuleTree};
use crate::compile::vars::{Collector, Skip, VarSet, is_generated, is_wildcard};
use crate::compile::visit::{ground_prefix, rules};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Sources, Span};

use super::Unsafe;

/// Names that are keywords only where they are imported.
const FUTURE_KEYWORDS: [&str; 7] = ["in", "every", "contains", "if", "not", "and", "or"];

/// The errors of one body.
///
/// A variable is reported once, where it is first missing. Left sides of `:=` are reported only
/// where there is no other error: they are unbound because the right side is. Where only generated
/// variables are missing, statements are reported instead.
pub(super) fn errors(found: &[Unsafe], scope: &str, names: &Names<'_>) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&Name, Span> = BTreeMap::new();
    for one in found {
        for var in one.vars.iter() {
            let span = first.entry(var).or_insert(one.span);
            *span = one.span.min(*span);
        }
    }
    let mut assigned = VarSet::default();
    for var in found.iter().flat_map(|one| one.assigned.iter()) {
        assigned.add(var);
        assigned.add(names.written(var));
    }
    let is_assigned = |var: &Name| assigned.contains(names.written(var)) || assigned.contains(var);
    let mut reported: Vec<_> =
        first.iter().filter(|(var, _)| !is_generated(names.written(var))).collect();
    reported.sort_by_key(|(_, span)| **span);
    let only_assigned = reported.iter().all(|(var, _)| is_assigned(var));
    if reported.is_empty() {
        return statements(found, scope);
    }
    reported
        .into_iter()
        .filter(|(var, _)| only_assigned || !is_assigned(var))
        .map(|(var, span)| {
            let name = names.written(var);
            let mut message = format!("var {} is unsafe{scope}", text::of_var(name));
            if FUTURE_KEYWORDS.contains(&&**name) {
                message.push_str(&format!(
                    " (hint: `import future.keywords.{name}` to import a future keyword)"
                ));
                return Diagnostic::new(Code::UnsafeVar, message, *span);
            }
            names.help(Diagnostic::new(Code::UnsafeVar, message, *span), name)
        })
        .collect()
}

/// Statements whose generated variables are not bound: one for each such variable at most.
fn statements(found: &[Unsafe], scope: &str) -> Vec<Diagnostic> {
    let mut found: Vec<_> = found.iter().collect();
    found.sort_by_key(|one| one.span);
    let mut seen = VarSet::default();
    let mut errors = Vec::new();
    for one in found {
        let before = seen.len();
        one.vars.iter().filter(|var| is_generated(var)).for_each(|var| seen.add(var));
        if seen.len() > before {
            let message = format!("expression is unsafe{scope}");
            errors.push(Diagnostic::new(Code::UnsafeVar, message, one.span));
        }
    }
    errors
}

/// Suggestions for an unbound name.
pub(super) struct Names<'a> {
    rewritten: &'a BTreeMap<Name, Name>,
    /// The package's rules.
    package: Option<&'a RuleTree>,
    /// The definition whose variables are candidates.
    rule: &'a Rule,
}

impl<'a> Names<'a> {
    pub(super) fn new(compiler: &'a Compiler<'_>, module: &Module, rule: &'a Rule) -> Self {
        let package = compiler.tree.find(&module.package.path);
        Self { rewritten: &compiler.rewritten, package, rule }
    }

    /// A variable's name in the policy.
    fn written<'n>(&self, var: &'n Name) -> &'n Name
    where
        'a: 'n,
    {
        self.rewritten.get(var).unwrap_or(var)
    }

    /// Adds a suggestion: a variable of the rule, another rule, or a root document.
    pub(super) fn help(&self, error: Diagnostic, name: &Name) -> Diagnostic {
        if is_wildcard(name) {
            return error;
        }
        let mut collector = Collector::new(Skip { ref_call_head: true, ..Skip::default() });
        collector.head(&self.rule.head);
        collector.body(&self.rule.body);
        let vars = collector.vars.iter().map(|var| &**self.written(var));
        let rules = self.package.into_iter().flat_map(|node| node.children.keys());
        let candidates = vars
            .filter(|var| !is_wildcard(var) && !is_generated(var))
            .chain(rules.filter_map(Key::as_str))
            .chain(["input", "data"]);
        match nearest(name, candidates) {
            Some(meant) => {
                let help = format!("did you mean {meant}?");
                error.with_help(help)
            }
            None => error,
        }
    }
}

/// Names the rule of a fault where the row alone is ambiguous: where rules of several names begin
/// in it.
pub(super) struct Scopes<'a> {
    module: &'a Module,
    sources: &'a Sources,
    shared: Option<HashSet<Span>>,
}

impl<'a> Scopes<'a> {
    pub(super) const fn new(module: &'a Module, sources: &'a Sources) -> Self {
        Self { module, sources, shared: None }
    }

    /// The end of a message about a rule.
    pub(super) fn of(&mut self, rule: &Rule) -> String {
        let shared =
            self.shared.get_or_insert_with(|| spans_in_shared_rows(self.module, self.sources));
        if shared.contains(&rule.span) {
            format!(" in rule {}", text::of_ref(ground_prefix(&rule.head.reference)))
        } else {
            String::new()
        }
    }
}

/// The places of definitions that begin in a row with definitions of another name.
fn spans_in_shared_rows(module: &Module, sources: &Sources) -> HashSet<Span> {
    let text = sources.file(module.file).map_or("", |file| &*file.text);
    let mut all: Vec<&Rule> = rules(module).collect();
    all.sort_by_key(|rule| rule.span);
    let mut rows: HashMap<usize, (Vec<&Rule>, bool)> = HashMap::new();
    let (mut row, mut counted) = (0, 0);
    for rule in all {
        let start = usize::try_from(rule.span.start).unwrap_or(usize::MAX);
        let between = text.as_bytes().get(counted..start).unwrap_or_default();
        row += between.iter().filter(|byte| **byte == b'\n').count();
        counted = start.max(counted);
        let (others, shared) = rows.entry(row).or_default();
        *shared |= others.first().is_some_and(|other| !equal_terms(name(other), name(rule)));
        others.push(rule);
    }
    let shared = rows.into_values().filter(|(_, shared)| *shared);
    shared.flat_map(|(rules, _)| rules).map(|rule| rule.span).collect()
}

fn name(rule: &Rule) -> &[Term] {
    ground_prefix(&rule.head.reference)
}
