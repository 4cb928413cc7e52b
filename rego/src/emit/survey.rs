//! The properties of other rules that the emission of a rule needs.

use std::collections::{BTreeSet, HashSet};

use super::shape::Shapes;
use super::{Refusal, What};
use crate::core::walk::{self, TooDeep};
use crate::core::{
    Collection, Definition, Expr, Operand, Program, Rule, RuleId, RuleKind, Slot, SlotId,
    Statement, StatementKind,
};

/// One rule, as used by others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Its number in the VM.
    pub(super) index: u16,
    /// The number of the function that evaluates it where it is neither replaced nor cached.
    pub(super) own_index: u16,
    /// Whether its values are cached.
    pub(super) is_kept: bool,
    /// The number of its parameters; `None` for a rule that is not a function.
    pub(super) parameters: Option<usize>,
    /// Whether it always has a value.
    pub(super) is_defined: bool,
}

/// All rules.
#[derive(Debug)]
pub(super) struct Survey {
    facts: Vec<Facts>,
    /// The known properties of values.
    pub(super) shapes: Shapes,
    /// Functions that are evaluated in their own environments.
    pub(super) evaluated_alone: BTreeSet<RuleId>,
}

impl Survey {
    pub(super) fn of(&self, rule: RuleId) -> Result<&Facts, Refusal> {
        let malformed = Refusal::Malformed { reason: "there is no such rule", place: None };
        find(&self.facts, rule).ok_or(malformed)
    }
}

fn find(facts: &[Facts], rule: RuleId) -> Option<&Facts> {
    facts.get(rule.index())
}

/// Surveys all rules, and checks that core is valid. Their order and the functions with cached
/// values are known.
pub(super) fn survey(
    program: &Program,
    order: &[RuleId],
    kept: &HashSet<RuleId>,
) -> Result<Survey, Refusal> {
    let limit = usize::from(u16::MAX);
    let ceiling = Refusal::Ceiling { what: What::Rules, limit, place: None };
    let mut own = program.rules.len();
    let mut facts = Vec::with_capacity(program.rules.len());
    for (index, rule) in program.rules.iter().enumerate() {
        let number = |index| {
            u16::try_from(index).ok().filter(|index| *index < u16::MAX).ok_or(ceiling.clone())
        };
        let index = number(index)?;
        let is_kept = kept.contains(&RuleId(u32::from(index)));
        let is_double = rule.slot.is_some() || is_kept;
        let own_index = if is_double { number(own)? } else { index };
        own += usize::from(is_double);
        facts.push(Facts {
            index,
            own_index,
            is_kept,
            parameters: parameters(rule),
            is_defined: is_defined(rule),
        });
    }
    let mut evaluated_alone = BTreeSet::new();
    for slot in &program.slots {
        if let Slot::Function { candidates, .. } = slot {
            evaluated_alone.extend(candidates);
        }
    }
    for rule in &program.rules {
        look_at(rule, program, &facts, &mut evaluated_alone)?;
    }
    Ok(Survey { facts, shapes: Shapes::of(program, order)?, evaluated_alone })
}

fn parameters(rule: &Rule) -> Option<usize> {
    match rule.kind {
        RuleKind::Function(count) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
        RuleKind::Entry => Some(1),
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => None,
    }
}

/// Whether a rule has a value, also where it is replaced: a function that replaces another may be
/// undefined.
fn is_defined(rule: &Rule) -> bool {
    match rule.kind {
        RuleKind::Set | RuleKind::Object => true,
        RuleKind::Complete => rule.default.is_some(),
        RuleKind::Function(_) | RuleKind::Entry => rule.default.is_some() && rule.slot.is_none(),
    }
}

/// The constant that all bodies yield, if they yield the same one.
pub(super) fn same_constant(definitions: &[Definition]) -> Option<&regorus::Value> {
    let mut values = walk::bodies(definitions).map(|body| match &body.value {
        Operand::Const(value) => Some(value),
        Operand::Var(_) => None,
    });
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

/// Whether a rule's statements are valid core.
fn look_at(
    rule: &Rule,
    program: &Program,
    facts: &[Facts],
    evaluated_alone: &mut BTreeSet<RuleId>,
) -> Result<(), Refusal> {
    let malformed = |reason, place| Refusal::Malformed { reason, place };
    let is_function = |slot: SlotId| {
        let found = usize::try_from(slot.0).ok().and_then(|index| program.slots.get(index));
        matches!(found, Some(Slot::Function { .. })) && parameters(rule).is_some()
    };
    if rule.slot.is_some_and(|slot| !is_function(slot)) {
        return Err(malformed("a rule with a slot is not a function", rule.span));
    }
    let is_collection = matches!(rule.kind, RuleKind::Set | RuleKind::Object);
    if is_collection && rule.definitions.iter().any(|definition| definition.bodies.len() != 1) {
        return Err(malformed("a set or an object has an else", rule.span));
    }
    let mut alone = Vec::new();
    for body in walk::bodies(&rule.definitions) {
        if (rule.kind == RuleKind::Object) != body.key.is_some() {
            return Err(malformed("an object has no key, or another document has one", body.span));
        }
        let mut fault = loop_fault(&body.block);
        let mut check = |statement: &Statement| {
            fault = fault.or_else(|| statement_fault(statement, facts));
            if let Some(Expr::With { .. }) = walk::expression(statement) {
                alone.extend(walk::expression(statement).map(walk::used_rules));
            }
        };
        walk::statements(&body.block, &mut check).map_err(|TooDeep| Refusal::Ceiling {
            what: What::Nesting,
            limit: walk::NESTING,
            place: body.span,
        })?;
        if let Some(reason) = fault {
            return Err(malformed(reason, body.span));
        }
    }
    evaluated_alone.extend(alone.into_iter().flatten());
    Ok(())
}

fn loop_fault(block: &[Statement]) -> Option<&'static str> {
    let is_loop = |statement: &Statement| matches!(statement.kind, StatementKind::Each { .. });
    let is_faulty = block.iter().rev().skip(1).any(is_loop);
    is_faulty.then_some("a loop is not the last statement of its block")
}

fn statement_fault(statement: &Statement, facts: &[Facts]) -> Option<&'static str> {
    match &statement.kind {
        StatementKind::Let(_, expr) | StatementKind::Test(expr) => expression_fault(expr, facts),
        StatementKind::Collect { kind, key, .. }
            if (*kind == Collection::Object) != key.is_some() =>
        {
            Some("an object comprehension has no key, or another one has one")
        }
        StatementKind::Not(block)
        | StatementKind::Each { block, .. }
        | StatementKind::Every { block, .. }
        | StatementKind::Collect { block, .. } => loop_fault(block),
    }
}

fn expression_fault(expr: &Expr, facts: &[Facts]) -> Option<&'static str> {
    let takes = |rule: &RuleId, count: Option<usize>| {
        find(facts, *rule).is_some_and(|facts| facts.parameters == count)
    };
    let holds = match expr {
        Expr::Rule(rule) => takes(rule, None),
        Expr::Call(function, args) | Expr::With { function, args, .. } => {
            takes(function, Some(args.len()))
        }
        Expr::Operand(_)
        | Expr::Path(..)
        | Expr::Builtin(..)
        | Expr::Array(_)
        | Expr::Set(_)
        | Expr::Object(_)
        | Expr::Replaced(_) => true,
    };
    (!holds).then_some("the number of arguments differs from that of parameters")
}
