//! The uses between rules, as far as they are known before evaluation. OPA's `SetGraph`.
//!
//! A reference with variables may use many rules. Where a variable can only have a few known values
//! ([`known`]), each of them counts; otherwise the reference uses every rule that it may reach.

mod cycles;
mod known;
mod origins;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ast::{Expr, Module, Name, Ref, Rule, Term, TermValue};

use super::Compiler;
use super::order::{compare_terms, equal};
use super::text;
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

/// The uses between definitions.
///
/// References to the same document share a set of definitions: a thousand rules may use a rule of a
/// thousand definitions.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// All definitions in order of their places.
    pub(crate) definitions: Vec<Definition>,
    /// Definitions that are used together, by their positions in `definitions`, sorted.
    pub(crate) sets: Vec<Vec<usize>>,
    /// The uses of each definition, by positions in `sets`, sorted.
    pub(crate) uses: Vec<Vec<usize>>,
    /// The definitions that use themselves, directly or through others.
    pub(crate) recursive: Vec<bool>,
    /// For each recursive definition, the uses that depend on a variable.
    pub(crate) undecided: Vec<Vec<UndecidedUse>>,
}

/// A reference that uses rules only if its variables have certain values.
#[derive(Debug)]
pub(crate) struct UndecidedUse {
    /// As it is written.
    pub(crate) reference: Ref,
    /// The same with the known values of its variables.
    pub(crate) narrowed: Ref,
    /// The variables that may have a value when it is evaluated.
    pub(crate) bound: VarSet,
    /// The origins of its variables' values, as far as they are known.
    pub(crate) origins: BTreeMap<Name, Origin>,
    /// The rules that it may use.
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
    let mut sets = Sets::new(&rules, graph.positions());
    graph.uses = graph.definitions.iter().map(|definition| sets.used_by(*definition)).collect();
    graph.sets = sets.sets;
    match graph.sorted() {
        Some(order) => compiler.order = whole_rules(&graph, &rules, &order),
        None => {
            graph.recursive = cycles::recursive(&graph);
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

/// Rules in the order of their last branches.
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
    /// The position of each definition in `definitions`.
    pub(crate) fn positions(&self) -> BTreeMap<Definition, usize> {
        self.definitions.iter().enumerate().map(|(position, one)| (*one, position)).collect()
    }

    /// The definitions that some sets have, sorted.
    fn members(&self, mut sets: impl Iterator<Item = usize>) -> Cow<'_, [usize]> {
        let members = |set: usize| self.sets.get(set).map_or(&[][..], Vec::as_slice);
        match (sets.next(), sets.next()) {
            (None, _) => Cow::Borrowed(&[]),
            (Some(only), None) => Cow::Borrowed(members(only)),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(sets);
                let mut all: Vec<usize> = all.flat_map(members).copied().collect();
                all.sort_unstable();
                all.dedup();
                Cow::Owned(all)
            }
        }
    }

    /// The definitions that one uses, sorted.
    fn used_by(&self, position: usize) -> Cow<'_, [usize]> {
        self.members(self.uses.get(position).into_iter().flatten().copied())
    }

    /// The definitions, each after those that it uses; `None` where one uses itself, directly or
    /// through others.
    pub(crate) fn sorted(&self) -> Option<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.definitions.len()];
        // Whether all of a set's definitions are done.
        let mut is_done = vec![false; self.sets.len()];
        let mut sorted = Vec::with_capacity(states.len());
        let mut path = Vec::new();
        for start in 0..self.definitions.len() {
            let mut enter = Some(start);
            loop {
                if let Some(position) = enter.take() {
                    let state = states.get_mut(position)?;
                    match state {
                        State::New => {
                            *state = State::Open;
                            let sets = self.uses.get(position)?.iter().copied();
                            let open = sets.filter(|set| is_done.get(*set) != Some(&true));
                            path.push((position, self.members(open), 0));
                        }
                        State::Open => return None,
                        State::Done => {}
                    }
                }
                let Some((position, used, next)) = path.last_mut() else { break };
                enter = used.get(*next).copied();
                *next += 1;
                if enter.is_none() {
                    *states.get_mut(*position)? = State::Done;
                    sorted.push(*position);
                    for set in self.uses.get(*position)? {
                        *is_done.get_mut(*set)? = true;
                    }
                    path.pop();
                }
            }
        }
        Some(sorted)
    }
}

/// A reference below `data` that has been found.
struct Use<'r> {
    /// As it is written.
    reference: &'r Ref,
    /// The references that it can stand for.
    expanded: Vec<Cow<'r, Ref>>,
    /// The position of the statement in the body; the body's length for the head.
    at: usize,
}

/// The sets of definitions that references may use, each made once.
struct Sets<'a> {
    rules: &'a Rules<'a>,
    /// The position of each definition.
    positions: BTreeMap<Definition, usize>,
    /// The sets by the text of their references, whose variables are left out.
    known: HashMap<String, usize>,
    sets: Vec<Vec<usize>>,
}

impl<'a> Sets<'a> {
    fn new(rules: &'a Rules<'a>, positions: BTreeMap<Definition, usize>) -> Self {
        Self { rules, positions, known: HashMap::new(), sets: Vec::new() }
    }

    /// The uses of a definition, sorted.
    fn used_by(&mut self, definition: Definition) -> Vec<usize> {
        let mut used = BTreeSet::new();
        self.rules.each_use(definition, &mut |one| {
            used.extend(one.expanded.iter().map(|reference| self.of(reference)));
        });
        used.into_iter().collect()
    }

    /// The set that a reference uses.
    fn of(&mut self, reference: &[Term]) -> usize {
        let reference = self.rules.relevant(reference);
        let mut pattern = String::new();
        for key in reference.iter().skip(1) {
            if is_constant(&key.value) {
                pattern.push_str(&text::of_term(key));
            }
            // The text of a constant never begins with this.
            pattern.push(']');
        }
        let next = self.sets.len();
        *self.known.entry(pattern).or_insert_with(|| {
            let rules = self.rules.reachable(reference).into_iter();
            let definitions = rules.flat_map(|rule| self.rules.branches(rule));
            let positions = definitions.filter_map(|one| self.positions.get(&one).copied());
            let mut set: Vec<usize> = positions.collect();
            set.sort_unstable();
            self.sets.push(set);
            next
        })
    }
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

    /// Calls `found` with each reference of a definition that may use rules.
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
                let expanded = if known.is_empty() {
                    vec![Cow::Borrowed(reference)]
                } else {
                    expand(reference, &known).into_iter().map(Cow::Owned).collect()
                };
                found(Use { reference, expanded, at });
                Flow::Into
            });
        }
    }

    /// The part of a reference that says which rules it may use: keys that look into a rule's value
    /// do not.
    fn relevant<'r>(&self, reference: &'r [Term]) -> &'r [Term] {
        let mut node = self.tree;
        for (index, key) in reference.iter().enumerate().skip(1) {
            let child = super::Key::of(&key.value).and_then(|key| node.children.get(&key));
            let Some(child) = child else { break };
            node = child;
            if node.has_open_rules {
                break;
            }
            if node.children.is_empty() {
                return reference.get(..=index).unwrap_or(reference);
            }
        }
        reference
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

    /// The uses of a definition that depend on variables, without those that another reference
    /// makes unconditionally.
    fn undecided(&self, definition: Definition) -> Vec<UndecidedUse> {
        let Some(rule) = self.definition(definition) else { return Vec::new() };
        let mut decided = BTreeSet::new();
        let mut all: Vec<UndecidedUse> = Vec::new();
        // References in one statement share the variables bound before it.
        let mut bound = (usize::MAX, VarSet::default());
        self.each_use(definition, &mut |one| {
            let rules: Vec<RuleRef> =
                one.expanded.iter().flat_map(|reference| self.reachable(reference)).collect();
            if !has_variable_key(one.reference) {
                decided.extend(rules);
                return;
            }
            if bound.0 != one.at {
                bound = (one.at, vars_before(rule, one.at));
            }
            let narrowed = match one.expanded.as_slice() {
                [only] => only.as_ref(),
                _ => one.reference,
            };
            let selected = |rule: &&RuleRef| selects(narrowed, self.path(**rule), &bound.1, None);
            decided.extend(rules.iter().filter(selected).copied());
            all.push(UndecidedUse {
                reference: one.reference.clone(),
                narrowed: narrowed.clone(),
                bound: bound.1.clone(),
                origins: origins::of(rule, one.at, narrowed),
                rules,
            });
        });
        for one in &mut all {
            one.rules.retain(|rule| !decided.contains(rule));
        }
        all.retain(|one| !one.rules.is_empty());
        all
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

/// Whether two references may name the same document from a position on. A key that is not constant
/// may be anything.
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

/// Whether a reference uses a rule for any values of its variables. An unbound variable that occurs
/// once iterates over all keys. `open` gets the positions of keys that must equal the rule's;
/// without it the first such key decides.
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

#[cfg(test)]
mod tests {
    use crate::compile::testing::{errors, parsed};
    use crate::compile::{Options, compile};

    #[test]
    fn references_into_one_rule_share_what_they_use() {
        let text = "package t\nrole := {\"a\": 1} if input.a\nrole := {\"b\": 1} if input.b\np := role.a\nq := role.b\nr if role[input.x]";
        let (sources, modules) = parsed(&[text]);
        let graph = compile(&sources, modules, &Options::default()).unwrap().graph;
        assert_eq!(graph.sets, [[0, 1]]);
        assert_eq!(graph.uses, [vec![], vec![], vec![0], vec![0], vec![0]]);
    }

    #[test]
    fn keys_behind_a_rule_tell_which_rules_with_variables_are_meant() {
        let text = "package t\np.a := {\"c\": 1}\np[x].b := 1 if { some x in [\"z\"]; q }\nq if p.a.c == 1";
        assert_eq!(errors(&[text]), [""; 0]);
        let recursive = text.replace("p.a.c", "p.z.b");
        assert!(errors(&[&recursive]).iter().all(|error| error.contains("recursive")));
        assert_eq!(errors(&[&recursive]).len(), 2);
    }
}
