//! Walks over core that more than one stage needs.

use super::{Body, Definition, Expr, Operand, Root, RuleId, Statement, StatementKind};
use super::{Substitute, Var};

/// The highest nesting of blocks, without `Each`, which is walked without recursion. The parser's
/// bound on nesting is lower; this one protects the stack of every walk in any case: a level takes
/// less than 2 KiB in a debug build.
pub(crate) const NESTING: usize = 512;

/// There are more than [`NESTING`] nested blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Calls back with every statement of a block, those of inner blocks included, in the order of the
/// text.
///
/// # Errors
/// When blocks are nested too deeply.
pub(crate) fn statements<'a>(
    block: &'a [Statement],
    found: &mut impl FnMut(&'a Statement),
) -> Result<(), TooDeep> {
    statements_at(block, NESTING, found)
}

fn statements_at<'a>(
    mut block: &'a [Statement],
    depth: usize,
    found: &mut impl FnMut(&'a Statement),
) -> Result<(), TooDeep> {
    let below = depth.checked_sub(1).ok_or(TooDeep)?;
    loop {
        let mut rest = None;
        for statement in block {
            found(statement);
            match &statement.kind {
                StatementKind::Let(..) | StatementKind::Test(_) => {}
                StatementKind::Each { block, .. } => rest = Some(block),
                StatementKind::Not(inner)
                | StatementKind::Every { block: inner, .. }
                | StatementKind::Collect { block: inner, .. } => {
                    statements_at(inner, below, found)?;
                }
            }
        }
        match rest {
            Some(inner) => block = inner,
            None => return Ok(()),
        }
    }
}

/// The bodies of definitions.
pub(crate) fn bodies(definitions: &[Definition]) -> impl Iterator<Item = &Body> {
    definitions.iter().flat_map(|definition| &definition.bodies)
}

/// The operands of an expression, in order.
pub(crate) fn operands(expr: &Expr) -> Vec<&Operand> {
    match expr {
        Expr::Operand(operand) => vec![operand],
        Expr::Path(Root::Operand(root), keys) => std::iter::once(root).chain(keys).collect(),
        Expr::Path(Root::Input | Root::Data | Root::Extent, operands)
        | Expr::Builtin(_, operands)
        | Expr::Call(_, operands)
        | Expr::Array(operands)
        | Expr::Set(operands) => operands.iter().collect(),
        Expr::Object(fields) => fields.iter().flat_map(|(key, value)| [key, value]).collect(),
        Expr::Rule(_) | Expr::Replaced(_) => Vec::new(),
        Expr::With { args, replacements, .. } => {
            let values = replacements.iter().filter_map(|replacement| match &replacement.value {
                Substitute::Value(operand) => Some(operand),
                Substitute::Function(_) => None,
            });
            args.iter().chain(values).collect()
        }
    }
}

/// The operands of a statement itself: those of inner blocks only where a comprehension collects
/// them.
pub(crate) fn own_operands(statement: &Statement) -> Vec<&Operand> {
    match &statement.kind {
        StatementKind::Let(_, expr) | StatementKind::Test(expr) => operands(expr),
        StatementKind::Not(_) => Vec::new(),
        StatementKind::Each { collection, .. } | StatementKind::Every { collection, .. } => {
            vec![collection]
        }
        StatementKind::Collect { key, value, .. } => key.iter().chain([value]).collect(),
    }
}

/// The variable of an operand.
pub(crate) const fn variable(operand: &Operand) -> Option<Var> {
    match operand {
        Operand::Var(var) => Some(*var),
        Operand::Const(_) => None,
    }
}

/// The rules and functions that an expression uses, replacements included.
pub(crate) fn used_rules(expr: &Expr) -> Vec<RuleId> {
    match expr {
        Expr::Call(rule, _) | Expr::Rule(rule) => vec![*rule],
        Expr::With { function, replacements, .. } => {
            let replacing = replacements.iter().filter_map(|replacement| match replacement.value {
                Substitute::Function(function) => Some(function),
                Substitute::Value(_) => None,
            });
            std::iter::once(*function).chain(replacing).collect()
        }
        Expr::Operand(_)
        | Expr::Path(..)
        | Expr::Builtin(..)
        | Expr::Array(_)
        | Expr::Set(_)
        | Expr::Object(_)
        | Expr::Replaced(_) => Vec::new(),
    }
}

/// The expression of a statement that has one.
pub(crate) const fn expression(statement: &Statement) -> Option<&Expr> {
    match &statement.kind {
        StatementKind::Let(_, expr) | StatementKind::Test(expr) => Some(expr),
        StatementKind::Not(_)
        | StatementKind::Each { .. }
        | StatementKind::Every { .. }
        | StatementKind::Collect { .. } => None,
    }
}
