//! Which rules depend on a document.

use std::collections::{BTreeSet, HashMap};

use crate::ast::{Ref, Rule, Term, TermValue};
use crate::compile::order::compare;
use crate::compile::tree::full_ref;
use crate::compile::visit::{Flow, Node, chain, ground_prefix, is_constant, walk};
use crate::compile::{Compiled, Key, RuleRef, RuleTree};

/// For each rule, the rules that use it.
#[derive(Debug)]
pub(super) struct Users {
    users: HashMap<RuleRef, Vec<RuleRef>>,
}

impl Users {
    /// Looks through all rules.
    pub(super) fn new(compiled: &Compiled) -> Self {
        let mut users: HashMap<RuleRef, Vec<RuleRef>> = HashMap::new();
        for &user in &compiled.order {
            let Some(rule) = rule(compiled, user) else { continue };
            let mut used = BTreeSet::new();
            references(rule, &mut |reference| selected(compiled, reference, &mut used));
            for used in used {
                users.entry(used).or_default().push(user);
            }
        }
        Self { users }
    }

    /// The ground parts of the references of all rules that a document has, and of those that depend
    /// on them.
    pub(super) fn dependents(&self, compiled: &Compiled, target: &[Term]) -> Vec<Ref> {
        let mut found = BTreeSet::new();
        selected(compiled, target, &mut found);
        let mut open: Vec<RuleRef> = found.iter().copied().collect();
        while let Some(next) = open.pop() {
            for &user in self.users.get(&next).into_iter().flatten() {
                if found.insert(user) {
                    open.push(user);
                }
            }
        }
        let path = |position: RuleRef| {
            let module = compiled.modules.get(position.module)?;
            let reference = full_ref(module, module.rules.get(position.rule)?);
            Some(ground_prefix(&reference).to_vec())
        };
        found.into_iter().filter_map(path).collect()
    }
}

fn rule(compiled: &Compiled, position: RuleRef) -> Option<&Rule> {
    compiled.modules.get(position.module)?.rules.get(position.rule)
}

fn references<'r>(rule: &'r Rule, visit: &mut dyn FnMut(&'r [Term])) {
    for rule in chain(rule) {
        let mut each = |node: Node<'r>| {
            if let Node::Term(Term { value: TermValue::Ref(reference), .. }) = node {
                visit(reference);
            }
            Flow::Into
        };
        walk(Node::Head(&rule.head), &mut each);
        walk(Node::Body(&rule.body), &mut each);
    }
}

/// The rules whose values a reference may need.
fn selected(compiled: &Compiled, reference: &[Term], found: &mut BTreeSet<RuleRef>) {
    let Some((Term { value: TermValue::Var(head), .. }, keys)) = reference.split_first() else {
        return;
    };
    if &**head == "data" {
        below(compiled, &compiled.tree, reference, keys, found);
    }
}

/// As deep as a reference is long.
fn below(
    compiled: &Compiled,
    node: &RuleTree,
    reference: &[Term],
    keys: &[Term],
    found: &mut BTreeSet<RuleRef>,
) {
    let Some((key, rest)) = keys.split_first() else {
        return node.depth_first(&mut |node| found.extend(&node.rules));
    };
    let mut enter = |child: &RuleTree| {
        let intersects = |position: &&RuleRef| {
            let module = compiled.modules.get(position.module);
            module.and_then(|module| Some((module, module.rules.get(position.rule)?))).is_some_and(
                |(module, rule)| {
                    let of_rule = full_ref(module, rule);
                    let at = reference.len() - rest.len();
                    of_rule.iter().zip(reference).skip(at).all(|(left, right)| {
                        !is_constant(&left.value)
                            || !is_constant(&right.value)
                            || compare(left, right).is_eq()
                    })
                },
            )
        };
        found.extend(child.rules.iter().filter(intersects));
        below(compiled, child, reference, rest, found);
    };
    if is_constant(&key.value) {
        Key::of(&key.value)
            .and_then(|key| node.children.get(&key))
            .into_iter()
            .for_each(&mut enter);
    } else {
        node.children.values().for_each(enter);
    }
}
