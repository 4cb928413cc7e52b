//! Which functions' values are kept for the rest of an evaluation.
//!
//! The VM evaluates a function at each call. OPA keeps its values, so functions that call functions
//! twice take it no longer than their text is; here each level would take twice as long as the one
//! below. So values of functions that are worth it are kept, by their arguments.

use std::collections::HashSet;

use crate::core::walk;
use crate::core::{Block, Expr, Program, Rule, RuleId, RuleKind, StatementKind};

/// From how many statements on (those of what it calls, and of loops, counted again each time) a
/// function's values are kept. To find one takes about as long as ten statements.
const WORTH: u64 = 16;

/// How often the statements of a loop count. How many elements there are is not known.
const TURNS: u64 = 16;

/// What a call of a function counts whose values are kept.
const FOUND: u64 = 4;

/// How many functions' values are kept at most: each takes a dozen of the instructions that bytecode
/// has room for, and larger programs need the room more.
const FUNCTIONS: usize = 1_000;

/// Finds the functions whose values are kept. `order` is [`depth::order`]'s, which has checked that
/// blocks do not nest too deeply.
///
/// [`depth::order`]: crate::core::depth::order
pub(super) fn kept(program: &Program, order: &[RuleId]) -> HashSet<RuleId> {
    let mut counts = Counts(vec![1; program.rules.len()]);
    let mut kept = HashSet::new();
    for &id in order {
        let Some(rule) = program.rules.get(id.index()) else { continue };
        let is_function = match rule.kind {
            RuleKind::Function(_) | RuleKind::Entry => true,
            // The VM keeps their values.
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => false,
        };
        if !is_function {
            continue;
        }
        let mut count = counts.rule(rule);
        if count >= WORTH && kept.len() < FUNCTIONS {
            kept.insert(id);
            // Not more than that, however often it is called with the same arguments.
            count = FOUND;
        }
        if let Some(known) = counts.0.get_mut(id.index()) {
            *known = count;
        }
    }
    kept
}

/// How many statements a call of each rule evaluates.
struct Counts(Vec<u64>);

impl Counts {
    fn rule(&self, rule: &Rule) -> u64 {
        walk::bodies(&rule.definitions)
            .map(|body| self.block(&body.block))
            .fold(1, u64::saturating_add)
    }

    fn block(&self, mut block: &Block) -> u64 {
        let (mut count, mut turns) = (0_u64, 1_u64);
        loop {
            let mut rest = None;
            for statement in block {
                let own = match &statement.kind {
                    StatementKind::Let(_, expr) | StatementKind::Test(expr) => {
                        self.expression(expr)
                    }
                    StatementKind::Not(inner) | StatementKind::Collect { block: inner, .. } => {
                        self.block(inner)
                    }
                    StatementKind::Every { block: inner, .. } => {
                        self.block(inner).saturating_mul(TURNS)
                    }
                    StatementKind::Each { block: inner, .. } => {
                        rest = Some(inner);
                        0
                    }
                };
                count = count.saturating_add(own.saturating_add(1).saturating_mul(turns));
            }
            match rest {
                Some(inner) => block = inner,
                None => return count,
            }
            turns = turns.saturating_mul(TURNS);
        }
    }

    fn expression(&self, expr: &Expr) -> u64 {
        let used = walk::used_rules(expr);
        let counts = used.iter().map(|rule| self.0.get(rule.index()).copied().unwrap_or(1));
        counts.fold(0, u64::saturating_add)
    }
}
