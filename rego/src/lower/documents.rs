//! Documents of the rule tree: packages as values.

use regorus::Value;

use crate::core::{
    Body, Collection, Definition, Expr, Operand, Rule, RuleKind, SlotId, StatementKind, Var,
};
use crate::diagnostic::Diagnostic;

use super::nodes::{NodeId, Shape};
use super::requests::Request;
use super::scope::{Mark, Scope};
use super::{Lowering, helper};

/// How many children or definitions one rule of core merges: each takes a variable.
pub(super) const CHUNK: usize = 32;

impl Lowering<'_> {
    /// The document at a node that is not a rule: the values of the rules below, and base data.
    pub(super) fn extent(&mut self, node: NodeId) -> Result<Rule, Diagnostic> {
        let slots = self.slots_below_root(node);
        let path: Vec<Operand> = self.nodes.path(node).into_iter().map(Operand::Const).collect();
        let mut scope = Scope::new(0, 0);
        let mut definitions = Vec::new();
        if !slots.is_empty() {
            scope.test(Expr::Replaced(slots.clone()));
            let value = scope.operand(self.base_at(&path));
            definitions.push(only(&mut scope, value));
        }
        unless_replaced(&mut scope, &slots)?;
        let base = self.base_or_nothing(&mut scope, &path)?;
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

    /// Base data at a path, as an array of at most one element.
    pub(super) fn base_or_nothing(
        &mut self,
        scope: &mut Scope,
        path: &[Operand],
    ) -> Result<Operand, Diagnostic> {
        let var = scope.fresh();
        let mark = scope.open()?;
        let mut value = scope.operand(self.base_at(path));
        if path.is_empty() {
            value = scope.operand(Expr::Builtin("$without_system", vec![value]));
        }
        Ok(optional(scope, var, mark, value))
    }

    /// The children that a document has, among a number of them from a position on.
    fn visible(&self, node: NodeId, first: usize, count: usize) -> Vec<(Value, NodeId)> {
        let children = self.nodes.get(node).children.iter().skip(first).take(count);
        let is_visible = |child: &NodeId| {
            let child = self.nodes.get(*child);
            !child.hidden && !matches!(child.shape, Shape::Function(_))
        };
        children.filter(|(_, child)| is_visible(child)).cloned().collect()
    }

    /// An object of the values of some children, where they are defined.
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

    /// The value of the rules at a node and below, as an array of at most one element.
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
}

/// Continues where the environment does not replace any of these.
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

/// Ends the current body as a definition, and begins the next.
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

/// Binds a variable to an array of the value of the block since the mark; the array is empty where
/// the block has no solution.
fn optional(scope: &mut Scope, var: Var, mark: Mark, value: Operand) -> Operand {
    let block = scope.close(mark);
    let kind = Collection::Array;
    scope.push(StatementKind::Collect { var, kind, block, key: None, value });
    Operand::Var(var)
}
