//! Removes unused keys of loops from a finished rule.

use crate::core::{Block, Expr, Operand, Replacement, Root, Rule, StatementKind, Substitute, Var};

/// Removes unused keys.
pub(super) fn tidy(rule: &mut Rule) {
    let mut used = vec![false; usize::try_from(rule.variables).unwrap_or(0)];
    for body in rule.definitions.iter().flat_map(|definition| &definition.bodies) {
        body.key.iter().chain([&body.value]).for_each(|operand| mark(operand, &mut used));
        mark_block(&body.block, &mut used);
    }
    for body in rule.definitions.iter_mut().flat_map(|definition| &mut definition.bodies) {
        drop_keys(&mut body.block, &used);
    }
}

fn is_used(var: Var, used: &[bool]) -> bool {
    usize::try_from(var.0).ok().and_then(|index| used.get(index)).copied().unwrap_or(true)
}

fn mark(operand: &Operand, used: &mut [bool]) {
    if let Operand::Var(var) = operand
        && let Some(place) = usize::try_from(var.0).ok().and_then(|index| used.get_mut(index))
    {
        *place = true;
    }
}

// Blocks are at most MAX_BLOCK_DEPTH deep: the scope has checked that.
fn mark_block(block: &Block, used: &mut [bool]) {
    for statement in block {
        match &statement.kind {
            StatementKind::Let(_, expr) | StatementKind::Test(expr) => mark_expr(expr, used),
            StatementKind::Not(block) => mark_block(block, used),
            StatementKind::Each { collection, block, .. }
            | StatementKind::Every { collection, block, .. } => {
                mark(collection, used);
                mark_block(block, used);
            }
            StatementKind::Collect { block, key, value, .. } => {
                mark_block(block, used);
                key.iter().chain([value]).for_each(|operand| mark(operand, used));
            }
        }
    }
}

fn mark_expr(expr: &Expr, used: &mut [bool]) {
    match expr {
        Expr::Operand(operand) => mark(operand, used),
        Expr::Path(root, keys) => {
            if let Root::Operand(operand) = root {
                mark(operand, used);
            }
            keys.iter().for_each(|key| mark(key, used));
        }
        Expr::Builtin(_, operands)
        | Expr::Call(_, operands)
        | Expr::Array(operands)
        | Expr::Set(operands) => operands.iter().for_each(|operand| mark(operand, used)),
        Expr::Object(items) => {
            for (key, value) in items {
                mark(key, used);
                mark(value, used);
            }
        }
        Expr::Rule(_) | Expr::Replaced(_) => {}
        Expr::With { args, replacements, .. } => {
            args.iter().for_each(|operand| mark(operand, used));
            for Replacement { value, .. } in replacements {
                match value {
                    Substitute::Value(operand) => mark(operand, used),
                    Substitute::Function(_) => {}
                }
            }
        }
    }
}

fn drop_keys(block: &mut Block, used: &[bool]) {
    for statement in block {
        match &mut statement.kind {
            StatementKind::Let(..) | StatementKind::Test(_) => {}
            StatementKind::Not(block) | StatementKind::Collect { block, .. } => {
                drop_keys(block, used);
            }
            StatementKind::Each { key, block, .. } | StatementKind::Every { key, block, .. } => {
                if key.is_some_and(|key| !is_used(key, used)) {
                    *key = None;
                }
                drop_keys(block, used);
            }
        }
    }
}
