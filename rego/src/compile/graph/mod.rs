//! Which rules use which, as far as that is known before evaluation. OPA's `SetGraph`.
//!
//! A reference with variables may use many rules. Where a variable can only have a few known values
//! ([`known`]), it is taken for each of them; otherwise the reference uses whatever it may reach.

mod cycles;
mod known;
mod origins;

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Expr, Module, Name, Ref, Rule, Term, TermValue};

use super::Compiler;
use super::order::{compare_terms, equal};
use super::tree::{RuleRef, RuleTree, full_ref};
use super::vars::{Collector, Skip, VarSet};
use super::visit::{Flow, Node, chain, is_constant, walk_terms};

use known::{Bindings, expand, has_variable_key};
pub(crate) use known::{known_values, members};
pub(crate) use origins::Origin;

/// A definition: a rule, or one of its `else` branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Definition {
    /// The chain's head.
    pub(crate) rule: RuleRef,
    /// 0 is the head, 1 its first `else`.
    pub(crate) branch: usize,
}

/// Which definitions use which.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// All definitions in order of their places.
    pub(crate) definitions: Vec<Definition>,
    /// The definitions that each uses, by their positions in `definitions`, sorted.
    pub(crate) uses: Vec<Vec<usize>>,
    /// The definitions that use themselves by way of whatever others. Empty where there are none.
    pub(crate) recursive: Vec<bool>,
    /// Of each recursive definition, the uses that a variable decides on.
    pub(crate) undecided: Vec<Vec<UndecidedUse>>,
}

/// A reference that uses rules only if its variables have certain values.
#[derive(Debug)]
pub(crate) struct UndecidedUse {
    /// As it is written.
    pub(crate) reference: Ref,
    /// The same with what is known of its variables filled in.
    pub(crate) narrowed: Ref,
    /// The variables that may have a value when it is evaluated.
    pub(crate) bound: VarSet,
    /// Where its variables get their values, as far as that is known.
    pub(crate) origins: BTreeMap<Name, Origin>,
    /// What it may use.
    pub(crate) rules: Vec<RuleRef>,
}

/// Builds the graph of all modules.
pub(crate) fn set_graph(compiler: &mut Compiler<'_>) {
    let rules = Rules::new(&compiler.modules, &compiler.tree);
    let place = |definition: &Definition| {
        let rule = rules.definition(*definition);
        rule.map(|rule| compiler.sources.location(rule.span))
    };
    let mut definitions: Vec<_> =
        rules.all().map(|definition| (place(&definition), definition)).collect();
    definitions.sort_by(|(left_place, left), (right_place, right)| {
        let head = |definition: &Definition| {
            rules.definition(*definition).map_or(&[][..], |rule| &rule.head.reference)
        };
        left_place.cmp(right_place).then_with(|| compare_terms(head(left), head(right)))
    });
    let definitions: Vec<_> = definitions.into_iter().map(|(_, definition)| definition).collect();
    let mut graph = Graph { definitions, ..Graph::default() };
    let positions = graph.positions();
    graph.uses = graph
        .definitions
        .iter()
        .map(|definition| {
            let mut used = BTreeSet::new();
            rules.each_use(*definition, &mut |one| {
                used.extend(rules.branches(one.rule).filter_map(|branch| positions.get(&branch)));
            });
            used.into_iter().copied().collect()
        })
        .collect();
    match graph.sorted() {
        Some(order) => compiler.order = whole_rules(&graph, &rules, &order),
        None => {
            graph.recursive = cycles::recursive(&graph.uses);
            let definitions = graph.definitions.iter().zip(&graph.recursive);
            graph.undecided = definitions
                .map(
                    |(definition, recursive)| {
                        if *recursive { rules.undecided(*definition) } else { Vec::new() }
                    },
                )
                .collect();
        }
    }
    compiler.graph = graph;
}

/// Rules in the order in which the last of their branches comes up.
fn whole_rules(graph: &Graph, rules: &Rules<'_>, order: &[usize]) -> Vec<RuleRef> {
    let mut left: BTreeMap<RuleRef, usize> = BTreeMap::new();
    let mut whole = Vec::new();
    for definition in order.iter().filter_map(|position| graph.definitions.get(*position)) {
        let count = || rules.branches(definition.rule).count();
        let left = left.entry(definition.rule).or_insert_with(count);
        *left = left.saturating_sub(1);
        if *left == 0 {
            whole.push(definition.rule);
        }
    }
    whole
}

impl Graph {
    /// Where each definition stands in `definitions`.
    pub(crate) fn positions(&self) -> BTreeMap<Definition, usize> {
        self.definitions.iter().enumerate().map(|(position, one)| (*one, position)).collect()
    }

    /// The definitions so that each comes after those it uses; nothing where it uses itself by way
    /// of whatever others.
    pub(crate) fn sorted(&self) -> Option<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.definitions.len()];
        let mut sorted = Vec::with_capacity(states.len());
        for start in 0..self.definitions.len() {
            let mut path = vec![(start, 0)];
            while let Some((position, next)) = path.pop() {
                let state = states.get_mut(position)?;
                if next == 0 {
                    match state {
                        State::New => *state = State::Open,
                        State::Open => return None,
                        State::Done => continue,
                    }
                }
                match self.uses.get(position).and_then(|uses| uses.get(next)) {
                    Some(used) => {
                        path.push((position, next + 1));
                        path.push((*used, 0));
                    }
                    None => {
                        *state = State::Done;
                        sorted.push(position);
                    }
                }
            }
        }
        Some(sorted)
    }
}

/// A use that has been found.
struct Use<'r> {
    /// The reference as it is written.
    reference: &'r Ref,
    /// What it was narrowed to, where one reference is left.
    narrowed: &'r [Term],
    /// The position of the statement in the body; the body's length for the head.
    at: usize,
    /// What is used.
    rule: RuleRef,
}

/// All rules and their paths.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    modules: &'a [Module],
    tree: &'a RuleTree,
    /// The whole references of rules, by module and position.
    paths: Vec<Vec<Ref>>,
}

impl<'a> Rules<'a> {
    /// Those of all modules.
    pub(crate) fn new(modules: &'a [Module], tree: &'a RuleTree) -> Self {
        let paths = |module: &Module| {
            module.rules.iter().map(|rule| full_ref(module, rule)).collect::<Vec<_>>()
        };
        Self { modules, tree, paths: modules.iter().map(paths).collect() }
    }

    fn rule(&self, rule: RuleRef) -> Option<&'a Rule> {
        self.modules.get(rule.module)?.rules.get(rule.rule)
    }

    /// A rule's whole reference.
    pub(crate) fn path(&self, rule: RuleRef) -> &[Term] {
        let path = self.paths.get(rule.module).and_then(|paths| paths.get(rule.rule));
        path.map_or(&[], Vec::as_slice)
    }

    fn definition(&self, definition: Definition) -> Option<&'a Rule> {
        chain(self.rule(definition.rule)?).nth(definition.branch)
    }

    fn branches(&self, rule: RuleRef) -> impl Iterator<Item = Definition> {
        let branches = self.rule(rule).map_or(0, |rule| chain(rule).count());
        (0..branches).map(move |branch| Definition { rule, branch })
    }

    fn all(&self) -> impl Iterator<Item = Definition> {
        self.modules.iter().enumerate().flat_map(move |(module, rules)| {
            let rules = (0..rules.rules.len()).map(move |rule| RuleRef { module, rule });
            rules.flat_map(|rule| self.branches(rule))
        })
    }

    /// Calls `found` with each reference of a definition and each rule that it may use.
    fn each_use(&self, definition: Definition, found: &mut dyn FnMut(Use<'_>)) {
        let Some(rule) = self.definition(definition) else { return };
        // Most rules have no reference with a variable.
        let mut bindings = None;
        for (at, node) in nodes(rule) {
            walk_terms(node, &mut |term| {
                let TermValue::Ref(reference) = &term.value else { return Flow::Into };
                if !is_data(reference) {
                    return Flow::Into;
                }
                let known = if has_variable_key(reference) {
                    let bindings = bindings.get_or_insert_with(|| Bindings::of(&rule.body));
                    bindings.before(at)
                } else {
                    BTreeMap::new()
                };
                if known.is_empty() {
                    for rule in self.reachable(reference) {
                        found(Use { reference, narrowed: reference, at, rule });
                    }
                    return Flow::Into;
                }
                let expanded = expand(reference, &known);
                let narrowed = match expanded.as_slice() {
                    [one] => one,
                    _ => reference,
                };
                for one in &expanded {
                    for rule in self.reachable(one) {
                        found(Use { reference, narrowed, at, rule });
                    }
                }
                Flow::Into
            });
        }
    }

    /// The rules that a reference may use: those on its way and those below its end.
    pub(crate) fn reachable(&self, reference: &[Term]) -> BTreeSet<RuleRef> {
        let mut found = BTreeSet::new();
        let mut nodes = vec![self.tree];
        for (index, key) in reference.iter().enumerate().skip(1) {
            let mut next = Vec::new();
            for node in nodes {
                if is_constant(&key.value) {
                    let child = super::Key::of(&key.value).and_then(|key| node.children.get(&key));
                    next.extend(child);
                } else {
                    next.extend(node.children.values());
                }
            }
            for node in &next {
                let rules = node.rules.iter().copied();
                found.extend(rules.filter(|rule| may_meet(self.path(*rule), reference, index + 1)));
            }
            nodes = next;
        }
        for node in nodes {
            node.depth_first(&mut |node| found.extend(node.rules.iter().copied()));
        }
        found
    }

    /// The uses of a definition that depend on variables, those left out that another reference makes
    /// in any case.
    fn undecided(&self, definition: Definition) -> Vec<UndecidedUse> {
        let Some(rule) = self.definition(definition) else { return Vec::new() };
        let mut decided = BTreeSet::new();
        let mut all: Vec<(*const Ref, UndecidedUse)> = Vec::new();
        // References in one statement share what is bound before it.
        let mut bound = (usize::MAX, VarSet::default());
        self.each_use(definition, &mut |one| {
            if !has_variable_key(one.reference) {
                decided.insert(one.rule);
                return;
            }
            if bound.0 != one.at {
                bound = (one.at, vars_before(rule, one.at));
            }
            if selects(one.narrowed, self.path(one.rule), &bound.1, None) {
                decided.insert(one.rule);
            }
            let identity = std::ptr::from_ref(one.reference);
            match all.last_mut() {
                Some((last, entry)) if *last == identity => entry.rules.push(one.rule),
                _ => {
                    let entry = UndecidedUse {
                        reference: one.reference.clone(),
                        narrowed: one.narrowed.to_vec(),
                        bound: bound.1.clone(),
                        origins: origins::of(rule, one.at, one.narrowed),
                        rules: vec![one.rule],
                    };
                    all.push((identity, entry));
                }
            }
        });
        let open = all.into_iter().map(|(_, mut one)| {
            one.rules.retain(|rule| !decided.contains(rule));
            one
        });
        open.filter(|one| !one.rules.is_empty()).collect()
    }
}

/// The statements of a definition with their positions, then its head.
fn nodes(rule: &Rule) -> impl Iterator<Item = (usize, Node<'_>)> {
    let body = rule.body.iter().enumerate().map(|(at, expr)| (at, Node::Expr(expr)));
    body.chain([(rule.body.len(), Node::Head(&rule.head))])
}

fn is_data(reference: &[Term]) -> bool {
    matches!(reference.first().map(|head| &head.value), Some(TermValue::Var(name)) if &**name == "data")
}

/// Whether two references may be of the same document from a position on. What is not constant may
/// be anything.
fn may_meet(left: &[Term], right: &[Term], from: usize) -> bool {
    let pairs = left.iter().zip(right).skip(from);
    pairs.into_iter().all(|(left, right)| {
        !is_constant(&left.value) || !is_constant(&right.value) || equal(left, right)
    })
}

/// The variables that may have a value when a statement is evaluated: those of the head, which the
/// caller can bind, and of the statements before.
fn vars_before(rule: &Rule, at: usize) -> VarSet {
    let mut collector = Collector::new(Skip::default());
    let head = &rule.head;
    collector.terms(head.args.iter().flatten().chain(&head.key).chain(&head.value));
    if let Some(TermValue::Var(name)) = head.reference.first().map(|name| &name.value) {
        collector.vars.add(name);
    }
    let before: &[Expr] = rule.body.get(..at).unwrap_or(&rule.body);
    collector.body(before);
    collector.vars
}

/// Whether a reference uses a rule whatever its variables hold. A variable that has no value and
/// stands in it once goes through all keys. `open` gets the positions of keys that must have the
/// rule's for it; without it the first such key is an answer.
pub(crate) fn selects(
    reference: &[Term],
    rule: &[Term],
    bound: &VarSet,
    mut open: Option<&mut Vec<usize>>,
) -> bool {
    let mut decided = true;
    for (index, (key, rule_key)) in reference.iter().zip(rule).enumerate().skip(1) {
        if !is_constant(&rule_key.value) {
            continue;
        }
        if let TermValue::Var(var) = &key.value
            && !bound.contains(var)
            && reference.iter().filter(|term| equal(term, key)).count() == 1
        {
            continue;
        }
        if is_constant(&key.value) {
            if !equal(key, rule_key) {
                return false;
            }
            continue;
        }
        let Some(open) = open.as_deref_mut() else { return false };
        decided = false;
        open.push(index);
    }
    decided
}
