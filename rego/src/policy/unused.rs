//! Rules that no decision uses.

use std::collections::{BTreeMap, BTreeSet};

use super::Settings;
use crate::ast::{Name, Rule, Term, TermValue};
use crate::bundle;
use crate::compile::graph::Rules;
use crate::compile::{Compiled, text};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Sources, Span};

/// The highest number of warnings; one more gives the number of rules that are not named.
const MAX_WARNINGS: usize = 8;

/// A name of a package, with all rules of that name.
#[derive(Debug)]
struct Named {
    first: Span,
    is_used: bool,
}

/// Warnings about rules that neither a decision's documents nor the mask uses, directly or through others. Rules
/// of test files are ignored. An unused package gets one warning. There is no warning where no rule
/// defines the deciding document, which has its own warning.
pub(super) fn warnings(
    sources: &Sources,
    compiled: &Compiled,
    Settings { decision, mask, .. }: &Settings,
) -> Vec<Diagnostic> {
    let rules = Rules::new(&compiled.modules, &compiled.tree);
    let mut documents: Vec<Vec<Term>> = decision.iter().map(|path| reference(path)).collect();
    if documents.first().is_none_or(|decides| rules.reachable(decides).is_empty()) {
        return Vec::new();
    }
    documents.extend((!mask.is_empty()).then(|| reference(mask)));
    let is_used = used(compiled, &rules, &documents);
    let mut packages: BTreeMap<String, BTreeMap<Name, Named>> = BTreeMap::new();
    let is_test =
        |file: FileId| sources.file(file).is_some_and(|source| bundle::is_test(&source.path));
    for (definition, is_used) in compiled.graph.definitions.iter().zip(is_used) {
        let Some(module) = compiled.modules.get(definition.rule.module) else { continue };
        let Some(rule) = module.rules.get(definition.rule.rule) else { continue };
        let Some(name) = name(rule).filter(|_| !is_test(module.file)) else { continue };
        let package = packages.entry(text::of_ref(&module.package.path)).or_default();
        let named = package.entry(name).or_insert(Named { first: rule.span, is_used: false });
        named.is_used |= is_used;
    }
    let documents = list(decision.iter().filter_map(|path| path.last()));
    let mut found: Vec<(Diagnostic, usize)> = Vec::new();
    for (package, names) in &packages {
        let unused: Vec<_> = names.iter().filter(|(_, named)| !named.is_used).collect();
        if unused.len() < names.len() {
            found.extend(unused.into_iter().map(|(name, named)| {
                let message = format!("no decision uses the rule {package}.{name}");
                let help = format!("use it in {documents}, or remove it");
                (Diagnostic::new(Code::Compile, message, named.first).with_help(help), 1)
            }));
        } else if let Some(first) = unused.iter().map(|(_, named)| named.first).min() {
            let message = format!("no decision uses a rule of the package {package}");
            let help = format!("use them in {documents}, or leave the package out of the bundle");
            let warning = Diagnostic::new(Code::Compile, message, first).with_help(help);
            found.push((warning, unused.len()));
        }
    }
    found.sort_by_key(|(warning, _)| warning.span);
    let more: usize = found.iter().skip(MAX_WARNINGS).map(|(_, rules)| rules).sum();
    let mut warnings: Vec<_> =
        found.into_iter().take(MAX_WARNINGS).map(|(warning, _)| warning).collect();
    if more > 0 {
        let message = format!("no decision uses {more} further rules");
        warnings.push(Diagnostic { code: Code::Compile, message, span: None, help: None });
    }
    warnings
}

/// Whether each definition is used by one of these documents.
fn used(compiled: &Compiled, rules: &Rules<'_>, documents: &[Vec<Term>]) -> Vec<bool> {
    let graph = &compiled.graph;
    let mut is_used = vec![false; graph.definitions.len()];
    let mut is_seen = vec![false; graph.sets.len()];
    let mut open: Vec<usize> = Vec::new();
    let asked: BTreeSet<_> =
        documents.iter().flat_map(|document| rules.reachable(document)).collect();
    for (position, definition) in graph.definitions.iter().enumerate() {
        if asked.contains(&definition.rule) {
            open.push(position);
        }
    }
    while let Some(position) = open.pop() {
        match is_used.get_mut(position) {
            Some(is_used @ false) => *is_used = true,
            _ => continue,
        }
        for set in graph.uses.get(position).into_iter().flatten() {
            if let Some(is_seen @ false) = is_seen.get_mut(*set) {
                *is_seen = true;
                open.extend(graph.sets.get(*set).into_iter().flatten());
            }
        }
    }
    is_used
}

fn reference(path: &[String]) -> Vec<Term> {
    let span = Span { file: FileId(0), start: 0, end: 0 };
    let keys = path.iter().map(|key| TermValue::String(key.as_str().into()));
    let root = TermValue::Var("data".into());
    std::iter::once(root).chain(keys).map(|value| Term { value, span }).collect()
}

fn name(rule: &Rule) -> Option<Name> {
    match &rule.head.reference.first()?.value {
        TermValue::Var(name) | TermValue::String(name) => Some(Name::clone(name)),
        _ => None,
    }
}

/// `a, b or c`
fn list<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
