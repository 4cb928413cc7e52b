//! Documents of the rule tree: packages as values, and lookups by keys that are known at run time.

use regorus::Value;
use regorus::value::Set;

use crate::core::{
    Body, Collection, Definition, Expr, Operand, Root, Rule, RuleKind, SlotId, StatementKind, Var,
};
use crate::diagnostic::Diagnostic;

use super::nodes::{NodeId, Nodes, Shape};
use super::references::{Step, Steps, part};
use super::scope::{Mark, Scope};
use super::{Lowering, MAX_PARAMETERS, Request, helper};

/// How many children or definitions one rule of core puts together: each takes a variable.
pub(super) const CHUNK: usize = 32;

impl Lowering<'_> {
    /// The document at a node that is no rule: what the rules below make, and base data.
    pub(super) fn extent(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        // OPA looks for replacements at each step below the root, and never at the root itself.
        let slots = if node == Nodes::ROOT { Vec::new() } else { self.slots_above(node) };
        let path: Vec<Operand> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        let mut scope = Scope::new(0, 0);
        let mut definitions = Vec::new();
        if !slots.is_empty() {
            scope.test(Expr::Replaced(slots.clone()));
            let value = scope.operand(self.base_at(&path));
            definitions.push(only(&mut scope, value));
        }
        unless_replaced(&mut scope, &slots)?;
        let base = self.base_or_nothing(&mut scope, node, &path)?;
        let count = self.nodes.get(node).children.len();
        let made =
            scope.operand(Expr::Rule(self.request(Request::Virtual { node, first: 0, count })));
        let value = scope.operand(Expr::Builtin("$merge", vec![base, made]));
        definitions.push(only(&mut scope, value));
        Ok(Rule {
            definitions,
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Complete)
        })
    }

    /// Base data at a node, as an array of one element or none.
    fn base_or_nothing(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        path: &[Operand],
    ) -> Result<Operand, Diagnostic> {
        let var = scope.fresh();
        let mark = scope.open()?;
        let mut value = scope.operand(self.base_at(path));
        if node == Nodes::ROOT {
            value = scope.operand(Expr::Builtin("$without_system", vec![value]));
        }
        Ok(optional(scope, var, mark, value))
    }

    /// The children that a document has, of so many from a position on.
    fn visible(&self, node: NodeId, first: usize, count: usize) -> Vec<(Value, NodeId)> {
        let children = self.nodes.get(node).children.iter().skip(first).take(count);
        let is_visible = |child: &NodeId| {
            let child = self.nodes.get(*child);
            !child.hidden && !matches!(child.shape, Shape::Function(_))
        };
        children.filter(|(_, child)| is_visible(child)).cloned().collect()
    }

    /// An object of what some children are, where they are defined.
    pub(super) fn virtual_part(
        &mut self,
        node: NodeId,
        first: usize,
        count: usize,
    ) -> Result<Rule, Diagnostic> {
        let mut scope = Scope::new(0, 0);
        let value = if count > CHUNK {
            let part = |first, count| Request::Virtual { node, first, count };
            let parts = parts(first, count).map(|(first, count)| part(first, count));
            let values: Vec<_> =
                parts.map(|request| scope.operand(Expr::Rule(self.request(request)))).collect();
            let values = scope.operand(Expr::Array(values));
            scope.operand(Expr::Builtin("$union", vec![values]))
        } else {
            let mut names = Vec::new();
            let mut values = Vec::new();
            for (name, child) in self.visible(node, first, count) {
                names.push(name);
                values.push(self.value_or_nothing(&mut scope, child)?);
            }
            let values = scope.operand(Expr::Array(values));
            let names = Operand::Const(Value::from(names));
            scope.operand(Expr::Builtin("$virtual", vec![names, values]))
        };
        Ok(Rule {
            definitions: vec![only(&mut scope, value)],
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Complete)
        })
    }

    /// What the rules at a node and below make, as an array of one element or none.
    fn value_or_nothing(&mut self, scope: &mut Scope, node: NodeId) -> Result<Operand, Diagnostic> {
        let count = self.nodes.get(node).children.len();
        let request = match self.nodes.get(node).shape {
            Shape::Package => Request::Virtual { node, first: 0, count },
            Shape::Function(_) | Shape::Complete | Shape::Set | Shape::Object | Shape::General => {
                Request::Rule(node)
            }
        };
        let var = scope.fresh();
        let mark = scope.open()?;
        let value = scope.operand(Expr::Rule(self.request(request)));
        Ok(optional(scope, var, mark, value))
    }

    /// The function that finds what is below a node: of the keys that are given, and of all values
    /// of the others. With the latter it is an array of solutions, each an array of the keys that
    /// were found and the value.
    pub(super) fn lookup(&mut self, node: NodeId, given: &[bool]) -> Result<Rule, Diagnostic> {
        let slots = if node == Nodes::ROOT { Vec::new() } else { self.slots_above(node) };
        let (parameters, packed) = parameters_of(given);
        let mut scope = Scope::new(parameters, 0);
        let mut definitions = Vec::new();

        if !slots.is_empty() {
            let steps = begin(&mut scope, given, packed);
            scope.test(Expr::Replaced(slots.clone()));
            let body = self.solutions(&mut scope, &steps, |lowering, scope, made| {
                let path = lowering.nodes.path(node).into_iter().map(Operand::Const).collect();
                lowering.base(scope, path, made, 0)
            })?;
            definitions.push(body);
        }
        if given.first() == Some(&true) {
            let count = self.nodes.get(node).children.len();
            definitions.extend(self.by_child(&mut scope, node, given, &slots, (0, count))?);
            let steps = begin(&mut scope, given, packed);
            unless_replaced(&mut scope, &slots)?;
            self.unless_child(&mut scope, node, &steps)?;
            let body = self.solutions(&mut scope, &steps, |lowering, scope, made| {
                let path = lowering.nodes.path(node).into_iter().map(Operand::Const).collect();
                lowering.base(scope, path, made, 0)
            })?;
            definitions.push(body);
        } else {
            let steps = begin(&mut scope, given, packed);
            unless_replaced(&mut scope, &slots)?;
            let body = self.solutions(&mut scope, &steps, |lowering, scope, made| {
                lowering.each_key(scope, node, &steps, made)
            })?;
            definitions.push(body);
        }
        Ok(Rule {
            definitions,
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Function(parameters))
        })
    }

    /// The same for some of the children of a node, whose key is given.
    pub(super) fn lookup_part(
        &mut self,
        node: NodeId,
        given: &[bool],
        first: usize,
        count: usize,
    ) -> Result<Rule, Diagnostic> {
        let (parameters, _) = parameters_of(given);
        let mut scope = Scope::new(parameters, 0);
        let definitions = self.by_child(&mut scope, node, given, &[], (first, count))?;
        Ok(Rule {
            definitions,
            variables: scope.variables(),
            ..helper(self.nodes.name(node), RuleKind::Function(parameters))
        })
    }

    /// A definition for each child; of many children, one for each range of keys.
    fn by_child(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        given: &[bool],
        slots: &[SlotId],
        (first, count): (usize, usize),
    ) -> Result<Vec<Definition>, Diagnostic> {
        let (parameters, packed) = parameters_of(given);
        let children = self.nodes.get(node).children.clone();
        let mut definitions = Vec::new();
        if count > CHUNK {
            for (first, count) in parts(first, count) {
                let range = children.get(first..first + count).unwrap_or_default();
                let steps = begin(scope, given, packed);
                unless_replaced(scope, slots)?;
                if let (Some(Step::Given(key)), [(low, _), .., (high, _)]) = (steps.first(), range)
                {
                    let (low, high) = (Operand::Const(low.clone()), Operand::Const(high.clone()));
                    scope.test(Expr::Builtin("lte", vec![low, key.clone()]));
                    scope.test(Expr::Builtin("lte", vec![key.clone(), high]));
                }
                let part = Request::LookupPart { node, given: given.to_vec(), first, count };
                let args = (0..parameters).map(|parameter| Operand::Var(Var(parameter)));
                let value = scope.operand(Expr::Call(self.request(part), args.collect()));
                definitions.push(only(scope, value));
            }
            return Ok(definitions);
        }
        for (key, child) in children.iter().skip(first).take(count) {
            let steps = begin(scope, given, packed);
            unless_replaced(scope, slots)?;
            if let Some(Step::Given(given)) = steps.first() {
                let pair = vec![given.clone(), Operand::Const(key.clone())];
                scope.test(Expr::Builtin("equal", pair));
            }
            definitions.push(self.solutions(scope, &steps, |lowering, scope, made| {
                lowering.at_child(scope, *child, &steps, made)
            })?);
        }
        Ok(definitions)
    }

    /// Goes on where the first key is not that of a child.
    fn unless_child(
        &self,
        scope: &mut Scope,
        node: NodeId,
        steps: &[Step<'_>],
    ) -> Result<(), Diagnostic> {
        let Some(Step::Given(key)) = steps.first() else { return Ok(()) };
        let keys = self.nodes.get(node).children.iter().map(|(key, _)| key.clone());
        let keys = Operand::Const(keys.collect::<Set>().into_value());
        let mark = scope.open()?;
        scope.operand(Expr::Path(Root::Operand(keys), vec![key.clone()]));
        let block = scope.close(mark);
        scope.push(StatementKind::Not(block));
        Ok(())
    }

    /// A definition whose value is that of keys, or an array of all solutions.
    fn solutions(
        &mut self,
        scope: &mut Scope,
        steps: &[Step<'static>],
        find: impl FnOnce(&mut Self, &mut Scope, &mut Steps<'_>) -> Result<Expr, Diagnostic>,
    ) -> Result<Definition, Diagnostic> {
        let mut made = Steps::made(steps);
        if steps.iter().all(|step| matches!(step, Step::Given(_))) {
            let value = find(self, scope, &mut made)?;
            let value = scope.operand(value);
            return Ok(only(scope, value));
        }
        let var = scope.fresh();
        let mark = scope.open()?;
        let value = find(self, scope, &mut made)?;
        let value = scope.operand(value);
        made.outputs.push(value);
        let solution = scope.operand(Expr::Array(made.outputs));
        let block = scope.close(mark);
        scope.push(StatementKind::Collect {
            var,
            kind: Collection::Array,
            block,
            key: None,
            value: solution,
        });
        Ok(only(scope, Operand::Var(var)))
    }

    /// The steps after the first, below a child.
    fn at_child(
        &mut self,
        scope: &mut Scope,
        child: NodeId,
        steps: &[Step<'static>],
        made: &mut Steps<'_>,
    ) -> Result<Expr, Diagnostic> {
        if self.nodes.get(child).shape != Shape::Package {
            return self.rule_at(scope, child, made, 1);
        }
        let rest = steps.get(1..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Expr::Rule(self.request(Request::Extent(child))));
        }
        let (value, found) = self.look_up(scope, child, rest)?;
        made.outputs.extend(found.into_iter().map(|(_, key)| key));
        Ok(value)
    }

    /// Goes through the keys of a node, and looks up the rest below each.
    fn each_key(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        steps: &[Step<'static>],
        made: &mut Steps<'_>,
    ) -> Result<Expr, Diagnostic> {
        let path: Vec<Operand> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        let base = self.base_or_nothing(scope, node, &path)?;
        let names = self.nodes.get(node).children.iter().map(|(key, _)| key.clone());
        let names = Operand::Const(Value::from(names.collect::<Vec<_>>()));
        let keys = scope.operand(Expr::Builtin("$keys", vec![base, names]));
        let (_, key) = scope.each(keys)?;
        let mut rest = vec![Step::Given(Operand::Var(key))];
        rest.extend(steps.iter().skip(1).cloned());
        let (value, found) = self.look_up(scope, node, &rest)?;
        made.outputs.push(Operand::Var(key));
        made.outputs.extend(found.into_iter().map(|(_, key)| key));
        Ok(value)
    }
}

/// How many parameters a lookup has, and whether these are one array.
fn parameters_of(given: &[bool]) -> (u32, bool) {
    let count = given.iter().filter(|given| **given).count();
    let packed = count > MAX_PARAMETERS;
    (if packed { 1 } else { u32::try_from(count).unwrap_or(u32::MAX) }, packed)
}

/// The next body of a lookup: its keys, from its parameters.
fn begin(scope: &mut Scope, given: &[bool], packed: bool) -> Vec<Step<'static>> {
    scope.restart();
    let (mut next, mut outputs) = (0_u32, 0_usize);
    let mut steps = Vec::with_capacity(given.len());
    for given in given {
        if !given {
            steps.push(Step::Output(outputs));
            outputs += 1;
            continue;
        }
        let place = usize::try_from(next).unwrap_or(usize::MAX);
        steps.push(Step::Given(if packed {
            scope.operand(part(Var(0), place))
        } else {
            Operand::Var(Var(next))
        }));
        next += 1;
    }
    steps
}

/// Goes on where the environment replaces none of these.
pub(super) fn unless_replaced(scope: &mut Scope, slots: &[SlotId]) -> Result<(), Diagnostic> {
    if slots.is_empty() {
        return Ok(());
    }
    let mark = scope.open()?;
    scope.test(Expr::Replaced(slots.to_vec()));
    let block = scope.close(mark);
    scope.push(StatementKind::Not(block));
    Ok(())
}

/// A definition of one body, which is the one that has been begun; the next begins.
pub(super) fn only(scope: &mut Scope, value: Operand) -> Definition {
    let block = scope.finish();
    scope.restart();
    Definition { bodies: vec![Body { block, key: None, value, span: None }] }
}

/// A range in at most [`CHUNK`] parts of equal size.
pub(super) fn parts(first: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = count.div_ceil(CHUNK).max(CHUNK);
    (0..count.div_ceil(size)).map(move |part| (first + part * size, size.min(count - part * size)))
}

/// Binds a variable to an array of the value that the block since the mark has, or of nothing where
/// the block has no solution.
fn optional(scope: &mut Scope, var: Var, mark: Mark, value: Operand) -> Operand {
    let block = scope.close(mark);
    let kind = Collection::Array;
    scope.push(StatementKind::Collect { var, kind, block, key: None, value });
    Operand::Var(var)
}
