//! What OPA's test runner changes in tests before the other stages: tests of one name get names of
//! their own, and tests with cases say which case runs.

use std::collections::BTreeMap;

use super::Compiler;
use super::locals::{operator, statement};
use super::text;
use super::tree::Key;
use super::visit::{Flow, Node, ground_prefix, walk, walk_terms};
use crate::ast::{Expr, ExprKind, Name, Rule, Term, TermValue};

/// The beginning of the names of tests.
pub(crate) const PREFIX: &str = "test_";

/// The beginning of the names of skipped tests.
pub(crate) const SKIPPED: &str = "todo_test_";

/// The name that says which case of a test runs.
pub(crate) const TEST_CASE: &str = "internal.test_case";

/// Changes tests after the stage of this name.
pub(crate) fn after(stage: &str, compiler: &mut Compiler<'_>) {
    match stage {
        "RewriteRuleHeadRefs" => rename_duplicates(compiler),
        "RewriteLocalVars" => name_cases(compiler),
        _ => {}
    }
}

/// The name of a test, and the number of terms of its reference up to it: the first part that is
/// named as a test, else all constant parts.
pub(crate) fn name_of(rule: &Rule) -> (Option<Name>, usize) {
    let ground = ground_prefix(&rule.head.reference);
    let name = |term: &Term| match &term.value {
        TermValue::Var(name) | TermValue::String(name) => Some(Name::clone(name)),
        _ => None,
    };
    let is_test = |name: &Name| name.starts_with(PREFIX) || name.starts_with(SKIPPED);
    let found = ground.iter().position(|term| name(term).is_some_and(|name| is_test(&name)));
    let length = found.map_or(ground.len(), |at| at + 1);
    (length.checked_sub(1).and_then(|last| name(ground.get(last)?)), length)
}

fn rename_duplicates(compiler: &mut Compiler<'_>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for module in &mut compiler.modules {
        for rule in &mut module.rules {
            let (Some(name), length) = name_of(rule) else { continue };
            if !name.starts_with(PREFIX) {
                continue;
            }
            let mut path = module.package.path.clone();
            path.extend(rule.head.reference.iter().take(length).cloned());
            let count = counts.entry(text::of_ref(&path)).or_default();
            if *count > 0
                && let Some(last) = rule.head.reference.get_mut(length - 1)
                && let TermValue::Var(name) | TermValue::String(name) = &mut last.value
            {
                *name = format!("{name}#{count:02}").into();
            }
            *count += 1;
        }
    }
}

fn name_cases(compiler: &mut Compiler<'_>) {
    for rule in compiler.modules.iter_mut().flat_map(|module| &mut module.rules) {
        let (Some(name), length) = name_of(rule) else { continue };
        let keys: Vec<Term> = rule.head.reference.iter().skip(length).cloned().collect();
        if !name.starts_with(PREFIX) || keys.is_empty() || says_case(rule) {
            continue;
        }
        for key in &keys {
            move_up(&mut rule.body, key);
        }
        let at = keys.iter().filter_map(|key| first_use(&rule.body, key)).max();
        let span = rule.head.span.emptied();
        let case = Term { value: TermValue::Array(keys), span };
        let call = ExprKind::Call(vec![operator(TEST_CASE, span), case]);
        let at = at.map_or(0, |at| at + 1).min(rule.body.len());
        rule.body.insert(at, statement(call, span));
    }
}

/// Whether a test says itself which case runs.
fn says_case(rule: &Rule) -> bool {
    let mut found = false;
    walk(Node::Body(&rule.body), &mut |node| {
        if let Node::Expr(Expr { kind: ExprKind::Call(terms), .. }) = node {
            let name = terms.first().map(text::of_term);
            found |= name.is_some_and(|name| name == TEST_CASE);
        }
        Flow::Into
    });
    found
}

fn var(term: &Term) -> Option<&Name> {
    match &term.value {
        TermValue::Var(name) => Some(name),
        _ => None,
    }
}

/// Whether a statement has a variable among some.
fn uses(expr: &Expr, is_wanted: impl Fn(&Name) -> bool) -> bool {
    let mut found = false;
    walk_terms(Node::Expr(expr), &mut |term| {
        found |= var(term).is_some_and(&is_wanted);
        Flow::Into
    });
    found
}

/// The first statement that has a key's variable.
fn first_use(body: &[Expr], key: &Term) -> Option<usize> {
    let key = var(key)?;
    body.iter().position(|expr| uses(expr, |name| name == key))
}

/// Moves the statements that give a key its value to behind those that they need.
fn move_up(body: &mut Vec<Expr>, key: &Term) {
    let Some(key) = var(key) else { return };
    let mut index = body.len();
    while let Some(at) = index.checked_sub(1) {
        let target = body.get(at).and_then(|expr| {
            let value = value_of(expr, key)?;
            let mut needed: Vec<Name> = Vec::new();
            walk_terms(Node::Term(value), &mut |term| {
                needed.extend(var(term).filter(|name| name.starts_with("__local")).cloned());
                Flow::Into
            });
            let before = body.get(..at)?;
            let firsts = needed
                .iter()
                .filter_map(|name| before.iter().position(|expr| uses(expr, |var| var == name)));
            Some(if needed.is_empty() { 0 } else { firsts.max().unwrap_or(0) + 1 })
        });
        match target {
            Some(target) if target < at => {
                let expr = body.remove(at);
                body.insert(target, expr);
                // Another statement stands there now; it is looked at, too.
            }
            _ => index = at,
        }
    }
}

/// The value that a generated statement gives to a variable.
fn value_of<'e>(expr: &'e Expr, key: &Name) -> Option<&'e Term> {
    let ExprKind::Call(terms) = &expr.kind else { return None };
    let [operator, left, right] = terms.as_slice() else { return None };
    let is_equality = matches!(text::of_term(operator).as_str(), "eq" | "assign");
    (expr.generated && is_equality && var(left) == Some(key)).then_some(right)
}

/// A term of a rule's reference as a key of the tree: its first is a variable.
pub(crate) fn key_of(term: &Term, position: usize) -> Option<Key> {
    match (&term.value, position) {
        (TermValue::Var(name), 0) => Some(Key::String(Name::clone(name))),
        (value, _) => Key::of(value),
    }
}
