//! The stack that an evaluation can take, computed before it begins.
//!
//! Evaluators call themselves for each rule that a rule uses, and values are compared and dropped
//! level by level. Rules are not recursive, so both depths have a bound that is computed here, and a
//! program whose bound is too high is not evaluated. A worker evaluates on its main thread, which has
//! a stack of 8 MiB.

use std::collections::{HashMap, HashSet};

use regorus::Value;

use super::walk::{self, TooDeep};
use super::{
    Block, Expr, Operand, Program, Rule, RuleId, RuleKind, Slot, SlotId, Statement, StatementKind,
    Target, Var,
};
use crate::source::Span;

/// Levels that constructors may add to values from outside (inputs, data and values that built-ins
/// parse are bounded themselves). To drop or compare a value takes less than 300 bytes a level,
/// also in a debug build.
pub(crate) const HEIGHT: usize = 2_000;

/// Levels of values from outside: values that built-ins parse have the most.
const OUTSIDE: usize = 512;

/// Levels that a built-in may add to its arguments (`walk` makes an array of arrays).
const BUILTIN: usize = 2;

/// The stack that an evaluator takes, in its own levels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// For a rule or function.
    pub(crate) rule: usize,
    /// For a block in another.
    pub(crate) block: usize,
    /// For the rest of a block in `Each`.
    pub(crate) each: usize,
    /// For the check whether a function is replaced, or whether its value is known.
    pub(crate) front: usize,
    /// For an environment, beside its function.
    pub(crate) environment: usize,
    /// The highest number of levels.
    pub(crate) limit: usize,
}

/// Why a program is not evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A rule uses itself: invalid core.
    Recursion(Option<Span>),
    /// More than [`walk::NESTING`] nested blocks.
    Nesting(Option<Span>),
    /// More levels than the limit.
    Levels(Option<Span>),
    /// A value could be higher than [`HEIGHT`].
    Height(Option<Span>),
}

/// The most that a rule takes.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    /// Levels of calls, itself included.
    levels: usize,
    /// The most that a replacement takes which is introduced in it or below.
    replacing: usize,
    /// Levels that its value has over those of its arguments and of values from outside.
    height: usize,
}

/// Refuses programs that could overflow the stack.
///
/// A replacement of a function may add more levels to a value than the function does, at each call.
/// So evaluators check its value ([`is_high`]), which then counts as one from outside.
///
/// `order` is [`order`]'s; `kept` are the functions whose values the evaluator keeps.
pub(crate) fn check(
    program: &Program,
    order: &[RuleId],
    costs: &Costs,
    kept: &HashSet<RuleId>,
) -> Result<(), Fault> {
    let mut needs = vec![Need::default(); program.rules.len()];
    for &id in order {
        let Some(rule) = program.rules.get(id.index()) else { continue };
        let front = if rule.slot.is_some() || kept.contains(&id) { costs.front } else { 0 };
        let mut need = need_of(program, costs, rule, &needs)?;
        need.levels = need.levels.saturating_add(front);
        if need.levels.saturating_add(need.replacing) > costs.limit {
            return Err(Fault::Levels(rule.span));
        }
        if need.height > HEIGHT {
            return Err(Fault::Height(rule.span));
        }
        if let Some(known) = needs.get_mut(id.index()) {
            *known = need;
        }
    }
    Ok(())
}

/// Whether a value has more levels than values from outside have.
pub(crate) fn is_high(value: &Value) -> bool {
    let mut level: Vec<&Value> = vec![value];
    for _ in 0..OUTSIDE {
        let below = level.into_iter().flat_map(|value| -> Vec<&Value> {
            match value {
                Value::Array(array) => array.iter().collect(),
                Value::Set(set) => set.iter().collect(),
                Value::Object(object) => {
                    object.iter().flat_map(|(key, value)| [key, value]).collect()
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Undefined => Vec::new(),
            }
        });
        level = below.collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// All rules, each after those that it uses.
pub(crate) fn order(program: &Program) -> Result<Vec<RuleId>, Fault> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum State {
        Unseen,
        Open,
        Done,
    }
    let mut states = vec![State::Unseen; program.rules.len()];
    let mut order = Vec::with_capacity(program.rules.len());
    let mut open: Vec<(RuleId, Vec<RuleId>)> = Vec::new();
    for first in (0..program.rules.len()).filter_map(|index| u32::try_from(index).ok()) {
        let mut next = Some(RuleId(first));
        loop {
            if let Some(id) = next.take() {
                let state = states.get_mut(id.index());
                let rule = program.rules.get(id.index());
                if let Some((state, rule)) = state.zip(rule) {
                    match state {
                        State::Unseen => {
                            *state = State::Open;
                            open.push((id, uses(rule)?));
                        }
                        State::Open => {
                            return Err(Fault::Recursion(rule.span));
                        }
                        State::Done => {}
                    }
                }
            }
            let Some((id, rest)) = open.last_mut() else { break };
            next = rest.pop();
            if next.is_none() {
                if let Some(state) = states.get_mut(id.index()) {
                    *state = State::Done;
                }
                order.push(*id);
                open.pop();
            }
        }
    }
    Ok(order)
}

fn uses(rule: &Rule) -> Result<Vec<RuleId>, Fault> {
    let mut used = Vec::new();
    each_statement(rule, &mut |statement| {
        if let Some(expr) = walk::expression(statement) {
            used.extend(walk::used_rules(expr));
        }
    })?;
    Ok(used)
}

fn each_statement<'a>(rule: &'a Rule, found: &mut impl FnMut(&'a Statement)) -> Result<(), Fault> {
    for body in walk::bodies(&rule.definitions) {
        walk::statements(&body.block, found).map_err(|TooDeep| Fault::Nesting(body.span))?;
    }
    Ok(())
}

fn need_of(program: &Program, costs: &Costs, rule: &Rule, needs: &[Need]) -> Result<Need, Fault> {
    let mut below = Need::default();
    each_statement(rule, &mut |statement| {
        let Some(expr) = walk::expression(statement) else { return };
        let around = if matches!(expr, Expr::With { .. }) { costs.environment } else { 0 };
        let used = walk::used_rules(expr);
        let mut used = used.iter().map(|rule| need(needs, *rule));
        if let Some(called) = used.next() {
            below.levels = below.levels.max(called.levels.saturating_add(around));
            below.replacing = below.replacing.max(called.replacing);
        }
        for replacing in used {
            let all = replacing.levels.saturating_add(replacing.replacing);
            below.replacing = below.replacing.max(all.saturating_add(around));
        }
    })?;
    let mut own = costs.rule;
    let mut height = 0;
    let mut nesting = 0;
    for body in walk::bodies(&rule.definitions) {
        nesting = nesting.max(nesting_of(&body.block, costs));
        let mut heights = Heights { program, needs, variables: HashMap::new() };
        heights.block(&body.block);
        height = height.max(heights.highest(body.key.iter().chain([&body.value])));
    }
    own += nesting;
    let is_collection = matches!(rule.kind, RuleKind::Set | RuleKind::Object);
    Ok(Need {
        levels: below.levels.saturating_add(own),
        replacing: below.replacing,
        height: height.saturating_add(usize::from(is_collection)),
    })
}

/// The levels of the inner blocks. Their nesting has been checked.
fn nesting_of(mut block: &[Statement], costs: &Costs) -> usize {
    let mut deepest = 0;
    let mut loops = 0;
    loop {
        let mut rest = None;
        for statement in block {
            match &statement.kind {
                StatementKind::Let(..) | StatementKind::Test(_) => {}
                StatementKind::Each { block, .. } => rest = Some(block),
                StatementKind::Not(inner)
                | StatementKind::Every { block: inner, .. }
                | StatementKind::Collect { block: inner, .. } => {
                    deepest = deepest.max(loops + costs.block + nesting_of(inner, costs));
                }
            }
        }
        match rest {
            Some(inner) => block = inner,
            None => return deepest.max(loops),
        }
        loops += costs.each;
    }
}

fn need(needs: &[Need], id: RuleId) -> Need {
    needs.get(id.index()).copied().unwrap_or_default()
}

/// The levels that the variables of a body have over those of parameters and of values from
/// outside.
struct Heights<'a> {
    program: &'a Program,
    needs: &'a [Need],
    variables: HashMap<Var, usize>,
}

impl Heights<'_> {
    fn path_length(&self, slot: SlotId) -> usize {
        let slot = usize::try_from(slot.0).ok().and_then(|slot| self.program.slots.get(slot));
        match slot {
            Some(Slot::Data(path)) => path.len(),
            Some(Slot::Function { .. }) | None => 0,
        }
    }

    fn operand(&self, operand: &Operand) -> usize {
        walk::variable(operand).and_then(|var| self.variables.get(&var)).copied().unwrap_or(0)
    }

    fn highest<'a>(&self, operands: impl IntoIterator<Item = &'a Operand>) -> usize {
        operands.into_iter().map(|operand| self.operand(operand)).max().unwrap_or(0)
    }

    /// The nesting of blocks has been checked.
    fn block(&mut self, mut block: &Block) {
        loop {
            let mut rest = None;
            for statement in block {
                match &statement.kind {
                    StatementKind::Let(var, expr) => {
                        let height = self.expression(expr);
                        self.variables.insert(*var, height);
                    }
                    StatementKind::Test(_) => {}
                    StatementKind::Not(block) => self.block(block),
                    StatementKind::Each { key, value, collection, block } => {
                        self.element(*key, *value, collection);
                        rest = Some(block);
                    }
                    StatementKind::Every { key, value, collection, block } => {
                        self.element(*key, *value, collection);
                        self.block(block);
                    }
                    StatementKind::Collect { var, block, key, value, .. } => {
                        self.block(block);
                        let height = self.highest(key.iter().chain([value]));
                        self.variables.insert(*var, height.saturating_add(1));
                    }
                }
            }
            match rest {
                Some(inner) => block = inner,
                None => return,
            }
        }
    }

    fn element(&mut self, key: Option<Var>, value: Var, collection: &Operand) {
        let height = self.operand(collection);
        self.variables.extend(key.into_iter().chain([value]).map(|var| (var, height)));
    }

    fn expression(&self, expr: &Expr) -> usize {
        let operands = self.highest(walk::operands(expr));
        let more = match expr {
            Expr::Operand(_) | Expr::Path(..) | Expr::Replaced(_) => 0,
            Expr::Array(_) | Expr::Set(_) | Expr::Object(_) => 1,
            Expr::Builtin(..) => BUILTIN,
            Expr::Call(rule, _) | Expr::Rule(rule) => need(self.needs, *rule).height,
            Expr::With { function, replacements, .. } => {
                let made = replacements.iter().map(|replacement| match &replacement.target {
                    Target::Input(path) => path.len(),
                    Target::Data(slot) => self.path_length(*slot),
                    Target::Function(_) => 0,
                });
                need(self.needs, *function).height.saturating_add(made.max().unwrap_or(0))
            }
        };
        operands.saturating_add(more)
    }
}
