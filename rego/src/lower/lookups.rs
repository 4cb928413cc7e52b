//! Functions that find values below a package at keys that are known only at run time.

use regorus::Value;
use regorus::value::Set;

use crate::core::{Definition, Expr, Operand, Root, Rule, RuleKind, StatementKind, Var};
use crate::diagnostic::Diagnostic;

use super::documents::{CHUNK, only, parts, unless_replaced};
use super::nodes::{NodeId, Shape};
use super::requests::{Known, Lookup, Request, Steps, Wanted};
use super::scope::{Scope, part};
use super::{Lowering, MAX_PARAMETERS, helper};

impl Lookup {
    /// The number of the function's parameters, and whether these are one array.
    fn parameters(&self) -> (u32, bool) {
        let keys = self.keys.iter().filter(|key| !matches!(key, Known::One(_)));
        let count = keys.count() + usize::from(self.found.is_some());
        let packed = count > MAX_PARAMETERS;
        (if packed { 1 } else { u32::try_from(count).unwrap_or(u32::MAX) }, packed)
    }

    /// The next body of the function: its keys, and the result of another lookup.
    fn begin(&self, scope: &mut Scope) -> (Vec<Operand>, Option<Operand>) {
        scope.restart();
        let (_, packed) = self.parameters();
        let mut next = 0_u32;
        let mut parameter = |scope: &mut Scope| {
            let place = next;
            next += 1;
            if packed {
                scope.operand(part(Var(0), usize::try_from(place).unwrap_or(usize::MAX)))
            } else {
                Operand::Var(Var(place))
            }
        };
        let keys = self
            .keys
            .iter()
            .map(|key| match key {
                Known::One(value) => Operand::Const(value.clone()),
                Known::Of(_) | Known::Any => parameter(scope),
            })
            .collect();
        (keys, self.found.map(|_| parameter(scope)))
    }

    fn function(&self, scope: &Scope, name: String, definitions: Vec<Definition>) -> Rule {
        let (parameters, _) = self.parameters();
        Rule {
            definitions,
            variables: scope.variables(),
            ..helper(name, RuleKind::Function(parameters))
        }
    }
}

impl Lowering<'_> {
    /// The function for a lookup.
    pub(super) fn lookup(&mut self, lookup: &Lookup) -> Result<Rule, Diagnostic> {
        let node = lookup.node;
        let slots = self.slots_below_root(node);
        let mut scope = Scope::new(lookup.parameters().0, 0);
        let scope = &mut scope;
        let mut definitions = Vec::new();
        if let Some(count) = lookup.found {
            let (keys, found) = lookup.begin(scope);
            let value = Expr::Path(Root::Operand(in_value(found)), vec![Operand::Const(1.into())]);
            let mut value = scope.operand(value);
            if let rest @ [_, ..] = keys.get(count..).unwrap_or_default() {
                value = scope.operand(Expr::Path(Root::Operand(value), rest.to_vec()));
            }
            definitions.push(of_value(scope, lookup.wanted, value));
        }
        if !slots.is_empty() {
            let keys = begin_in_tree(scope, lookup)?;
            scope.test(Expr::Replaced(slots.clone()));
            definitions.push(self.in_base(scope, lookup, keys)?);
        }
        if lookup.keys.is_empty() {
            begin_in_tree(scope, lookup)?;
            unless_replaced(scope, &slots)?;
            let path: Vec<_> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
            let base = self.base_or_nothing(scope, &path)?;
            let names = self.nodes.get(node).children.iter().map(|(key, _)| key.clone());
            let names = Operand::Const(Value::from(names.collect::<Vec<_>>()));
            let keys = scope.operand(Expr::Builtin("$keys", vec![base, names]));
            definitions.push(only(scope, keys));
        } else {
            let children = self.children_at(node, &lookup.keys);
            definitions.extend(self.by_child(scope, lookup, (0, children.len()))?);
            let keys = begin_in_tree(scope, lookup)?;
            unless_replaced(scope, &slots)?;
            if let Some(key) = keys.first() {
                unless_one_of(scope, key, children.into_iter().map(|child| child.key))?;
            }
            definitions.push(self.in_base(scope, lookup, keys)?);
        }
        Ok(lookup.function(scope, self.nodes.name(node), definitions))
    }

    /// The same for some of the children that the first key may lead to.
    pub(super) fn lookup_part(
        &mut self,
        lookup: &Lookup,
        first: usize,
        count: usize,
    ) -> Result<Rule, Diagnostic> {
        let mut scope = Scope::new(lookup.parameters().0, 0);
        let definitions = self.by_child(&mut scope, lookup, (first, count))?;
        Ok(lookup.function(&scope, self.nodes.name(lookup.node), definitions))
    }

    /// A definition for each child; of many children, one for each range of keys.
    fn by_child(
        &mut self,
        scope: &mut Scope,
        lookup: &Lookup,
        (first, count): (usize, usize),
    ) -> Result<Vec<Definition>, Diagnostic> {
        let slots = self.slots_below_root(lookup.node);
        let children = self.children_at(lookup.node, &lookup.keys);
        let mut definitions = Vec::new();
        if count > CHUNK {
            for (first, count) in parts(first, count) {
                let keys = begin_in_tree(scope, lookup)?;
                unless_replaced(scope, &slots)?;
                let range = children.get(first..first + count).unwrap_or_default();
                if let (Some(key), [low, .., high]) = (keys.first(), range) {
                    let bound = |bound: &Child| Operand::Const(bound.key.clone());
                    scope.test(Expr::Builtin("lte", vec![bound(low), key.clone()]));
                    scope.test(Expr::Builtin("lte", vec![key.clone(), bound(high)]));
                }
                let part = Request::LookupPart { lookup: lookup.clone(), first, count };
                let args = (0..lookup.parameters().0).map(|parameter| Operand::Var(Var(parameter)));
                let value = scope.operand(Expr::Call(self.request(part), args.collect()));
                definitions.push(only(scope, value));
            }
            return Ok(definitions);
        }
        for child in children.into_iter().skip(first).take(count) {
            let keys = begin_in_tree(scope, lookup)?;
            unless_replaced(scope, &slots)?;
            if let Some(key) = keys.first() {
                let pair = vec![key.clone(), Operand::Const(child.key)];
                scope.test(Expr::Builtin("equal", pair));
            }
            definitions.push(self.at_child(scope, lookup, child.node, &keys, child.depth)?);
        }
        Ok(definitions)
    }

    /// The children that a lookup's first key may lead to. Children that do not fit the constant
    /// keys after it are left out: only base data can be there.
    fn children_at(&self, node: NodeId, keys: &[Known]) -> Vec<Child> {
        let Some((first, rest)) = keys.split_first() else { return Vec::new() };
        let children = self.nodes.get(node).children.iter().filter(|(key, _)| first.may_be(key));
        let descend = |(key, child): &(Value, NodeId)| {
            let (mut node, mut depth) = (*child, 1);
            for known in rest {
                let Known::One(next) = known else { break };
                if self.nodes.get(node).shape != Shape::Package {
                    break;
                }
                node = self.nodes.get(node).children.iter().find(|(key, _)| key == next)?.1;
                depth += 1;
            }
            Some(Child { key: key.clone(), node, depth })
        };
        children.filter_map(descend).collect()
    }

    /// The value at the node of the first `depth` keys.
    fn at_child(
        &mut self,
        scope: &mut Scope,
        lookup: &Lookup,
        node: NodeId,
        keys: &[Operand],
        depth: usize,
    ) -> Result<Definition, Diagnostic> {
        let rest = keys.get(depth..).unwrap_or_default();
        let known = lookup.keys.get(depth..).unwrap_or_default();
        if self.nodes.get(node).shape != Shape::Package {
            let value = self.rule_at(scope, node, Steps::Given(rest), 0)?;
            let value = scope.operand(value);
            return Ok(of_value(scope, lookup.wanted, value));
        }
        let value = if rest.is_empty() && lookup.wanted == Wanted::Value {
            Expr::Rule(self.request(Request::Extent(node)))
        } else {
            let open = rest.iter().zip(known).filter(|(_, known)| !matches!(known, Known::One(_)));
            let args = open.map(|(key, _)| key.clone()).collect();
            let below = Lookup { node, keys: known.to_vec(), found: None, wanted: lookup.wanted };
            let args = Self::arguments(scope, args);
            Expr::Call(self.request(Request::Lookup(below)), args)
        };
        let value = scope.operand(value);
        Ok(only(scope, value))
    }

    /// The base data at a lookup's keys.
    fn in_base(
        &mut self,
        scope: &mut Scope,
        lookup: &Lookup,
        keys: Vec<Operand>,
    ) -> Result<Definition, Diagnostic> {
        let mut path: Vec<_> =
            self.nodes.path(lookup.node).into_iter().map(Operand::Const).collect();
        path.extend(keys);
        let value = match lookup.wanted {
            Wanted::Value => self.base_at(&path),
            Wanted::Keys => {
                let base = self.base_or_nothing(scope, &path)?;
                Expr::Builtin("$keys", vec![base, Operand::Const(Value::new_array())])
            }
        };
        let value = scope.operand(value);
        Ok(only(scope, value))
    }

    /// OPA checks for replacements at each step below the root, and never at the root itself.
    pub(super) fn slots_below_root(&self, node: NodeId) -> Vec<crate::core::SlotId> {
        if node == super::nodes::Nodes::ROOT { Vec::new() } else { self.slots_above(node) }
    }
}

/// A child of a node, and the node that constant keys lead to from there.
struct Child {
    key: Value,
    node: NodeId,
    depth: usize,
}

/// The next body of a lookup, for values outside of rules.
fn begin_in_tree(scope: &mut Scope, lookup: &Lookup) -> Result<Vec<Operand>, Diagnostic> {
    let (keys, found) = lookup.begin(scope);
    if let Some(found) = found {
        let mark = scope.open()?;
        scope.operand(Expr::Path(Root::Operand(found), vec![Operand::Const(1.into())]));
        let block = scope.close(mark);
        scope.push(StatementKind::Not(block));
    }
    Ok(keys)
}

fn in_value(found: Option<Operand>) -> Operand {
    found.unwrap_or(Operand::Const(Value::Null))
}

/// A rule's value, or its keys.
fn of_value(scope: &mut Scope, wanted: Wanted, value: Operand) -> Definition {
    let value = match wanted {
        Wanted::Value => value,
        Wanted::Keys => scope.operand(Expr::Builtin("$items", vec![value])),
    };
    only(scope, value)
}

/// Continues where a key differs from all of these.
fn unless_one_of(
    scope: &mut Scope,
    key: &Operand,
    keys: impl Iterator<Item = Value>,
) -> Result<(), Diagnostic> {
    let keys = Operand::Const(keys.collect::<Set>().into_value());
    let mark = scope.open()?;
    scope.operand(Expr::Path(Root::Operand(keys), vec![key.clone()]));
    let block = scope.close(mark);
    scope.push(StatementKind::Not(block));
    Ok(())
}
