//! The functions whose values are cached for the rest of an evaluation.
//!
//! The VM evaluates a function at each call. OPA caches its values, so a chain of functions that
//! each call the next twice takes linear time there; here each level would double the time. So the
//! values of expensive functions are cached, by their arguments.

use std::collections::HashSet;

use crate::core::walk;
use crate::core::{Block, Expr, Program, Rule, RuleId, RuleKind, StatementKind};

/// The number of statements (those of called functions and of loops counted each time) from which a
/// function's values are cached. A look-up takes about as long as ten statements.
const WORTH: u64 = 16;

/// How often the statements of a loop count; the number of elements is not known.
const TURNS: u64 = 16;

/// The cost of a call of a function with cached values.
const FOUND: u64 = 4;

/// The highest number of functions with cached values: each takes a dozen instructions of bytecode,
/// which larger programs need for other things.
const FUNCTIONS: usize = 1_000;

/// Finds the functions whose values are cached. `order` is [`depth::order`]'s, which has checked
/// that blocks do not nest too deeply.
///
/// [`depth::order`]: crate::core::depth::order
pub(super) fn kept(program: &Program, order: &[RuleId]) -> HashSet<RuleId> {
    let mut counts = Counts(vec![1; program.rules.len()]);
    let mut kept = HashSet::new();
    for &id in order {
        let Some(rule) = program.rules.get(id.index()) else { continue };
        let is_function = match rule.kind {
            RuleKind::Function(_) | RuleKind::Entry => true,
            // The VM caches their values.
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => false,
        };
        if !is_function {
            continue;
        }
        let mut count = counts.rule(rule);
        if count >= WORTH && kept.len() < FUNCTIONS {
            kept.insert(id);
            // No more than that, for any number of calls with the same arguments.
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
