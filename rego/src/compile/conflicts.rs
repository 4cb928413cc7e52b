//! Definitions that contradict each other. OPA's `CheckRuleConflicts`.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Module, Rule, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};

use super::Compiler;
use super::errors::LIMIT;
use super::names::{place, written};
use super::order::{compare_terms, equal};
use super::text;
use super::tree::{Key, RuleRef, RuleTree, full_ref};
use super::visit::is_ground;

/// Checks that the definitions of a path make one rule of one kind, that no rule stands in the
/// extent of another, and that no package has the path of a rule.
pub(crate) fn check_rule_conflicts(compiler: &mut Compiler<'_>) {
    let mut found = Vec::new();
    let check = Check { compiler };
    compiler.tree.depth_first(&mut |node| {
        if found.len() < LIMIT {
            found.extend(check.definitions(node));
        }
    });
    found.extend(check.packages());
    compiler.errors.report(found);
}

/// The properties of the definitions of one path.
#[derive(Default)]
struct Seen<'a> {
    single_value: bool,
    multi_value: bool,
    arities: BTreeSet<usize>,
    /// One value, at a path without variables.
    complete: bool,
    /// Anything else.
    partial: bool,
    /// `p contains x`
    set: bool,
    /// `p[k] contains x`
    object_of_sets: bool,
    /// Some path is without variables.
    ground: bool,
    /// Some path has variables.
    dynamic: bool,
    defaults: Vec<(&'a Module, &'a Rule)>,
}

struct Check<'a> {
    compiler: &'a Compiler<'a>,
}

impl Check<'_> {
    fn rule(&self, position: RuleRef) -> Option<(&Module, &Rule)> {
        let module = self.compiler.modules.get(position.module)?;
        Some((module, module.rules.get(position.rule)?))
    }

    fn definitions(&self, node: &RuleTree) -> Option<Diagnostic> {
        let mut seen = Seen::default();
        for (module, rule) in node.rules.iter().filter_map(|rule| self.rule(*rule)) {
            let ground = rule.head.reference.iter().skip(1).all(|key| is_ground(&key.value));
            let single = rule.head.value.is_some();
            seen.single_value |= single;
            seen.multi_value |= !single;
            seen.arities.insert(rule.head.args.as_ref().map_or(0, Vec::len));
            seen.ground |= ground;
            seen.dynamic |= !ground;
            seen.complete |= single && ground;
            seen.partial |= !(single && ground);
            seen.set |= !single && ground;
            seen.object_of_sets |= !single && !ground;
            if rule.is_default {
                seen.defaults.push((module, rule));
            }
        }
        let (_, first) = self.rule(*node.rules.first()?)?;
        let (last_module, last) = self.rule(*node.rules.last()?)?;
        let name = || written(&self.compiler.rewritten, &full_ref(last_module, last));
        if let Some(conflicts) = self.extent(node, &seen) {
            let message = format!("rule {} conflicts with:{conflicts}", name());
            return Some(Diagnostic::new(Code::Type, message, first.span));
        }
        if seen.single_value && seen.multi_value
            || seen.arities.len() > 1
            || seen.complete && seen.partial
            || seen.set && seen.object_of_sets
        {
            let message = format!("conflicting rules {} found", name());
            return Some(Diagnostic::new(Code::Type, message, first.span));
        }
        if let [(module, _), _, ..] = seen.defaults.as_slice() {
            let places: Vec<_> = seen
                .defaults
                .iter()
                .map(|(_, rule)| place(self.compiler.sources, rule.span))
                .collect();
            let message =
                format!("multiple default rules {} found at {}", name(), places.join(", "));
            return Some(Diagnostic::new(Code::Type, message, module.package.span));
        }
        None
    }

    /// The rules in the extent of a rule whose value they would be a part of, as lines of text. A
    /// rule with variables in its path may have rules in its extent, but no functions.
    fn extent(&self, node: &RuleTree, seen: &Seen<'_>) -> Option<String> {
        if node.children.is_empty() {
            return None;
        }
        if seen.ground {
            let below = self.below(node, |_| true);
            if !below.is_empty() {
                return Some(self.lines(&below));
            }
        }
        if !seen.dynamic {
            return None;
        }
        let functions =
            self.below(node, |rule| rule.head.args.as_ref().is_some_and(|args| !args.is_empty()));
        (!functions.is_empty()).then(|| self.lines(&functions))
    }

    /// Rules below a node, without those whose path begins with the path of another one.
    fn below(&self, node: &RuleTree, is: impl Fn(&Rule) -> bool) -> Vec<(Vec<Term>, &Rule)> {
        let mut found = Vec::new();
        for child in node.children.values() {
            child.depth_first(&mut |node| {
                let rules = node.rules.iter().filter_map(|rule| self.rule(*rule));
                found.extend(
                    rules
                        .filter(|(_, rule)| is(rule))
                        .map(|(module, rule)| (full_ref(module, rule), rule)),
                );
            });
        }
        // In this order a path comes directly before the longer ones that begin with it.
        found.sort_by(|(left, _), (right, _)| compare_terms(left, right));
        found.dedup_by(|(path, _), (before, _)| begins_with(path, before));
        found
    }

    fn lines(&self, rules: &[(Vec<Term>, &Rule)]) -> String {
        let lines = rules.iter().map(|(path, rule)| {
            let name = written(&self.compiler.rewritten, path);
            format!("\n  rule {name} at {}", place(self.compiler.sources, rule.span))
        });
        lines.collect()
    }

    /// Packages whose path is that of a rule.
    fn packages(&self) -> Vec<Diagnostic> {
        let mut packages: BTreeMap<Vec<Key>, Vec<&Module>> = BTreeMap::new();
        for module in &self.compiler.modules {
            packages.entry(keys(&module.package.path)).or_default().push(module);
        }
        let mut found = Vec::new();
        for module in &self.compiler.modules {
            let package = keys(&module.package.path);
            for rule in &module.rules {
                let reference = &rule.head.reference;
                if !reference.iter().skip(1).all(|key| is_ground(&key.value)) {
                    continue;
                }
                let path: Vec<Key> =
                    package.iter().cloned().chain(reference.iter().filter_map(key)).collect();
                for other in packages.get(&path).into_iter().flatten() {
                    let message = format!(
                        "package {} conflicts with rule {} defined at {}",
                        package_name(other),
                        text::of_ref(reference),
                        place(self.compiler.sources, rule.span)
                    );
                    found.push(Diagnostic::new(Code::Type, message, module.package.span));
                }
            }
        }
        found
    }
}

fn begins_with(path: &[Term], prefix: &[Term]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(left, right)| equal(left, right))
}

fn keys(path: &[Term]) -> Vec<Key> {
    path.iter().skip(1).filter_map(key).collect()
}

fn key(term: &Term) -> Option<Key> {
    match &term.value {
        TermValue::Var(name) => Some(Key::String(name.clone())),
        value => Key::of(value),
    }
}

/// A package's path without `data`.
fn package_name(module: &Module) -> String {
    text::of_ref(module.package.path.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::compile::testing::errors;

    #[test]
    fn definitions_of_one_path_are_of_one_kind() {
        assert_eq!(
            errors(&["package t\np := 1\np contains 2"]),
            ["a.rego:2:1 rego_type_error: conflicting rules data.t.p found"]
        );
        assert_eq!(
            errors(&["package t\nf(x) := x\nf(x, y) := y"]),
            ["a.rego:2:1 rego_type_error: conflicting rules data.t.f found"]
        );
        assert_eq!(
            errors(&["package t\np contains 1\np[k] contains 1 if k := input.k"]),
            ["a.rego:2:1 rego_type_error: conflicting rules data.t.p[k] found"]
        );
    }

    #[test]
    fn a_rule_has_one_default() {
        assert_eq!(
            errors(&["package t\ndefault p := 1\ndefault p := 2"]),
            [
                "a.rego:1:1 rego_type_error: multiple default rules data.t.p found at a.rego:2, a.rego:3"
            ]
        );
    }

    #[test]
    fn nothing_is_defined_within_a_rule_of_one_value() {
        assert_eq!(
            errors(&["package t\np := {}\np.q := 2"]),
            [
                "a.rego:2:1 rego_type_error: rule data.t.p conflicts with:\n  rule data.t.p.q at a.rego:3"
            ]
        );
        assert_eq!(
            errors(&["package t\np := 1", "package t.p\nq := 2"]),
            [
                "a.rego:1:1 rego_type_error: package t.p conflicts with rule p defined at a.rego:2",
                "a.rego:2:1 rego_type_error: rule data.t.p conflicts with:\n  rule data.t.p.q at b.rego:2"
            ]
        );
        assert_eq!(errors(&["package t\np := 1", "package t.p.q"]), [""; 0]);
    }

    #[test]
    fn a_rule_with_variables_in_its_path_may_have_rules_within_and_no_functions() {
        assert_eq!(errors(&["package t\np[x] := 1 if x := input.x\np.q.r := 1"]), [""; 0]);
        assert_eq!(
            errors(&["package t\np[x] := 1 if x := input.x\np.q.f(x) := x"]),
            [
                "a.rego:2:1 rego_type_error: rule data.t.p[x] conflicts with:\n  rule data.t.p.q.f at a.rego:3"
            ]
        );
    }
}
