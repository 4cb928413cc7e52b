//! Blocks: statements, loops and the handling of each solution.

use std::collections::HashMap;

use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::instructions::{GuardMode, LiteralOrRegister, LoopMode};

use super::assembler::OpenLoop;
use super::expression::Operator;
use super::frame::{Frame, RESULT};
use super::registers::Register;
use super::shape::{Sets, Shape};
use super::{Call, Conflict, Refusal, What};
use crate::core::walk::{self, TooDeep};
use crate::core::{Collection, Expr, Operand, Statement, StatementKind, Var};
use crate::source::Span;

/// The goal for a block's solutions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal<'a> {
    pub(super) yields: Yield<'a>,
    /// A register that becomes true with a solution.
    pub(super) hit: Option<Register>,
    /// Its place.
    pub(super) place: Option<Span>,
}

/// The result of a solution.
#[derive(Debug, Clone, Copy)]
pub(super) enum Yield<'a> {
    /// Nothing: its existence is enough.
    Nothing,
    /// A rule's value.
    Value {
        /// The value.
        value: &'a Operand,
        /// The conflict where there is a different value already, if that is possible.
        conflict: Option<Conflict>,
        /// Whether all bodies of the rule yield the same constant.
        is_same: bool,
    },
    /// An element of a collection.
    Element {
        /// The register of the collection.
        into: Register,
        kind: Collection,
        key: Option<&'a Operand>,
        value: &'a Operand,
    },
}

impl Goal<'_> {
    pub(super) const EXISTS: Self = Self { yields: Yield::Nothing, hit: None, place: None };

    /// Whether the first solution is enough; core says where it is, since any other may raise a
    /// conflict.
    pub(super) const fn is_reached_by_first(&self) -> bool {
        match self.yields {
            Yield::Nothing => true,
            Yield::Value { is_same, .. } => is_same,
            Yield::Element { .. } => false,
        }
    }

    fn operands(&self) -> impl Iterator<Item = &Operand> {
        let (key, value) = match self.yields {
            Yield::Nothing => (None, None),
            Yield::Value { value, .. } => (None, Some(value)),
            Yield::Element { key, value, .. } => (key, Some(value)),
        };
        key.into_iter().chain(value)
    }
}

/// A loop around the rest of a block.
struct Around {
    entered: Entered,
    /// The variables that are bound outside.
    outside: Vec<Var>,
}

/// A loop that has begun.
#[derive(Debug, Clone, Copy)]
struct Entered {
    open: OpenLoop,
    /// The register of its result, at its end.
    result: Register,
    /// Whether that register does not belong to a variable.
    is_temporary: bool,
}

/// The loop that ends a block in core.
struct Each<'a> {
    key: Option<Var>,
    value: Var,
    collection: &'a Operand,
    block: &'a [Statement],
    place: Option<Span>,
}

/// A block's statements before the loop that ends it, and that loop.
fn parts(block: &[Statement]) -> (&[Statement], Option<Each<'_>>) {
    if let Some((last, before)) = block.split_last()
        && let StatementKind::Each { key, value, collection, block } = &last.kind
    {
        let place = last.span;
        return (before, Some(Each { key: *key, value: *value, collection, block, place }));
    }
    (block, None)
}

/// Statements that are all bindings.
fn bindings(statements: &[Statement]) -> Option<Vec<(Var, &Expr, Option<Span>)>> {
    let mut bindings = Vec::with_capacity(statements.len());
    for statement in statements {
        let StatementKind::Let(var, expr) = &statement.kind else { return None };
        bindings.push((*var, expr, statement.span));
    }
    Some(bindings)
}

impl Frame<'_> {
    /// A block in its enclosing loops and rule: where it fails, they continue.
    pub(super) fn block(
        &mut self,
        mut block: &[Statement],
        goal: &Goal<'_>,
    ) -> Result<(), Refusal> {
        let mode = if goal.is_reached_by_first() { LoopMode::Any } else { LoopMode::ForEach };
        let mut around: Vec<Around> = Vec::new();
        let mut bound = Vec::new();
        loop {
            let each = self.statements(block, goal, &mut bound)?;
            let Some(each) = each else { break };
            let outside = std::mem::take(&mut bound);
            bound.extend(each.key.into_iter().chain([each.value]));
            self.out.place = each.place.or(self.out.place);
            let entered = self.enter(mode, each.key, each.value, each.collection)?;
            around.push(Around { entered, outside });
            block = each.block;
        }
        self.reach(goal)?;
        self.unbind_all(bound);
        while let Some(Around { entered, outside }) = around.pop() {
            self.leave(entered)?;
            if goal.is_reached_by_first() {
                self.out.guard(entered.result, GuardMode::Condition);
            }
            self.unbind_all(outside);
        }
        Ok(())
    }

    /// A block's statements except for the loop that ends it, which is returned. A variable's
    /// register is freed after its last use.
    fn statements<'b>(
        &mut self,
        block: &'b [Statement],
        goal: &Goal<'_>,
        bound: &mut Vec<Var>,
    ) -> Result<Option<Each<'b>>, Refusal> {
        let (before, each) = parts(block);
        let last_uses = self.last_uses(block, goal)?;
        let mut may_be_undefined = false;
        for (position, statement) in before.iter().enumerate() {
            self.out.place = statement.span.or(self.out.place);
            let mark = self.mark();
            let next = block.get(position + 1);
            match &statement.kind {
                StatementKind::Let(var, expr) => {
                    let dest = self.bind(*var, self.shape_of(expr))?;
                    bound.push(*var);
                    self.expression(expr, dest)?;
                    may_be_undefined |= !self.is_defined(expr);
                    if may_be_undefined && !self.is_absorbed(*var, next) {
                        self.out.guard(dest, GuardMode::NotUndefined);
                        may_be_undefined = false;
                    }
                }
                StatementKind::Test(expr) => {
                    self.test(expr)?;
                    may_be_undefined = false;
                }
                StatementKind::Not(block) => self.not(block)?,
                StatementKind::Every { key, value, collection, block } => {
                    self.every(*key, *value, collection, block)?;
                    may_be_undefined = false;
                }
                StatementKind::Collect { var, kind, block, key, value } => {
                    // Its content is known at the solution.
                    let into = self.bind(*var, Shape::ANY)?;
                    bound.push(*var);
                    let yields = Yield::Element { into, kind: *kind, key: key.as_ref(), value };
                    self.collect(block, &Goal { yields, hit: None, place: statement.span })?;
                    let collected = self.collected.take();
                    self.learn(*var, collected.unwrap_or(Shape::ANY));
                }
                // `parts` takes it from the end, and it never occurs elsewhere.
                StatementKind::Each { .. } => {
                    return Err(Refusal::Malformed {
                        reason: "a loop is not the last statement of its block",
                        place: statement.span,
                    });
                }
            }
            self.release(mark);
            bound.retain(|var| {
                let is_used = last_uses.get(var).is_some_and(|last| *last > position);
                if !is_used {
                    self.unbind(*var);
                }
                is_used
            });
        }
        Ok(each)
    }

    /// The last use of each variable in a block, inner blocks included. The goal's variables are
    /// used after all statements.
    fn last_uses(
        &self,
        block: &[Statement],
        goal: &Goal<'_>,
    ) -> Result<HashMap<Var, usize>, Refusal> {
        let mut last_uses = HashMap::new();
        for (position, statement) in block.iter().enumerate() {
            let mut found = |inner: &Statement| {
                for operand in walk::own_operands(inner) {
                    last_uses.extend(walk::variable(operand).map(|var| (var, position)));
                }
            };
            walk::statements(std::slice::from_ref(statement), &mut found)
                .map_err(|TooDeep| self.out.ceiling(What::Nesting, walk::NESTING))?;
        }
        last_uses.extend(goal.operands().filter_map(walk::variable).map(|var| (var, usize::MAX)));
        Ok(last_uses)
    }

    fn unbind_all(&mut self, vars: Vec<Var>) {
        vars.into_iter().for_each(|var| self.unbind(var));
    }

    /// Whether the next statement fails where a variable is undefined, without an earlier effect.
    fn is_absorbed(&self, var: Var, next: Option<&Statement>) -> bool {
        match next.map(|next| &next.kind) {
            Some(StatementKind::Let(_, expr)) => self.propagates(expr, var, false),
            Some(StatementKind::Test(expr)) => self.propagates(expr, var, true),
            // A value that is not a collection has no elements.
            Some(
                StatementKind::Each { collection, .. } | StatementKind::Every { collection, .. },
            ) => walk::variable(collection) == Some(var),
            Some(StatementKind::Not(_) | StatementKind::Collect { .. }) | None => false,
        }
    }

    /// Whether statements bind without a guard, so that they do not fail. The last may leave an
    /// undefined value to `next`.
    fn has_no_guard(&self, statements: &[Statement], next: Option<&Statement>) -> bool {
        let mut may_be_undefined = false;
        for (position, statement) in statements.iter().enumerate() {
            match &statement.kind {
                StatementKind::Let(var, expr) => {
                    may_be_undefined |= !self.is_defined(expr);
                    let next = statements.get(position + 1).or(next);
                    if may_be_undefined && !self.is_absorbed(*var, next) {
                        return false;
                    }
                }
                StatementKind::Collect { .. } => may_be_undefined = false,
                StatementKind::Test(_)
                | StatementKind::Not(_)
                | StatementKind::Each { .. }
                | StatementKind::Every { .. } => return false,
            }
        }
        true
    }

    fn test(&mut self, expr: &Expr) -> Result<(), Refusal> {
        match expr {
            Expr::Builtin(name, args) if self.operator(name, args) == Some(Operator::Equal) => {
                let registers = self.operands(args)?;
                if let [left, right] = registers.as_slice() {
                    self.out.push(Instruction::AssertEq { left: *left, right: *right });
                }
                Ok(())
            }
            expr => {
                let tested = self.value(expr)?;
                self.out.guard(tested, GuardMode::Condition);
                Ok(())
            }
        }
    }

    /// The register of an expression's value: a variable's own, or a temporary.
    fn value(&mut self, expr: &Expr) -> Result<Register, Refusal> {
        if let Expr::Operand(operand) = expr {
            return self.operand(operand);
        }
        let register = self.temporary()?;
        self.expression(expr, register)?;
        Ok(register)
    }

    fn not(&mut self, block: &[Statement]) -> Result<(), Refusal> {
        // A test at the end of statements without a guard: undefined counts as false.
        if let Some((last, before)) = block.split_last()
            && let StatementKind::Test(expr) = &last.kind
            && let Some(bindings) = bindings(before)
            && self.has_no_guard(before, Some(last))
        {
            let mut bound = Vec::new();
            for (var, expr, span) in bindings {
                self.out.place = span.or(self.out.place);
                let dest = self.bind(var, self.shape_of(expr))?;
                bound.push(var);
                self.expression(expr, dest)?;
            }
            self.out.place = last.span.or(self.out.place);
            let tested = self.value(expr)?;
            self.out.guard(tested, GuardMode::Not);
            self.unbind_all(bound);
            return Ok(());
        }
        let found = self.once(block, &Goal::EXISTS)?;
        self.out.guard(found, GuardMode::Not);
        Ok(())
    }

    fn every(
        &mut self,
        key: Option<Var>,
        value: Var,
        collection: &Operand,
        block: &[Statement],
    ) -> Result<(), Refusal> {
        let entered = self.enter(LoopMode::Every, key, value, collection)?;
        self.block(block, &Goal::EXISTS)?;
        self.leave(entered)?;
        // Undefined for a value that is not a collection.
        self.out.guard(entered.result, GuardMode::Condition);
        self.unbind_all(key.into_iter().chain([value]).collect());
        Ok(())
    }

    fn enter(
        &mut self,
        mode: LoopMode,
        key: Option<Var>,
        value: Var,
        collection: &Operand,
    ) -> Result<Entered, Refusal> {
        let mark = self.mark();
        let shape = self.shape(collection);
        let mut collection = self.operand(collection)?;
        let is_unordered = shape.sets == Sets::Nested;
        let value = self.bind(value, shape.part())?;
        let key = key.map(|key| self.bind(key, shape.part())).transpose()?;
        let call = match key {
            _ if !is_unordered => None,
            None => Some(Call::Ordered),
            Some(_) => Some(Call::Pairs),
        };
        if let Some(call) = call {
            let ordered = self.temporary()?;
            self.out.call(call, ordered, &[collection])?;
            collection = ordered;
        }
        let entered = match key.filter(|_| is_unordered) {
            Some(key) => {
                let pair = self.take()?;
                let open = self.out.open_loop(mode, collection, pair, pair)?;
                for (dest, position) in [(key, 0), (value, 1)] {
                    let position = self.out.literal(&Value::from(position))?;
                    self.out.index(dest, pair, vec![LiteralOrRegister::Literal(position)])?;
                }
                Entered { open, result: pair, is_temporary: true }
            }
            None => {
                let open = self.out.open_loop(mode, collection, key.unwrap_or(value), value)?;
                Entered { open, result: value, is_temporary: false }
            }
        };
        // The loop has the collection itself.
        self.release(mark);
        Ok(entered)
    }

    /// Ends a loop. Its result's register is valid until another is taken.
    fn leave(&mut self, entered: Entered) -> Result<(), Refusal> {
        self.out.close_loop(entered.open)?;
        if entered.is_temporary {
            self.give_back(entered.result);
        }
        Ok(())
    }

    /// Collects a block's solutions in a register that is bound.
    fn collect(&mut self, block: &[Statement], goal: &Goal<'_>) -> Result<(), Refusal> {
        let Yield::Element { into, kind, value, .. } = goal.yields else { return Ok(()) };
        self.empty(into, kind)?;
        if let ([Statement { kind: StatementKind::Let(var, expr), span }], Operand::Var(element)) =
            (block, value)
            && var == element
            && kind != Collection::Object
        {
            // A value, or nothing: the VM leaves out undefined values.
            self.out.place = span.or(self.out.place);
            self.collected = Some(Shape::of_collected(kind, None, self.shape_of(expr)));
            let value = self.value(expr)?;
            self.out.push(match kind {
                Collection::Set => Instruction::SetAdd { set: into, value },
                Collection::Array | Collection::Object => {
                    Instruction::ArrayPushDefined { arr: into, value }
                }
            });
            return Ok(());
        }
        let (before, each) = parts(block);
        if self.has_no_guard(before, block.get(before.len()))
            && (each.is_some() || before.is_empty())
        {
            self.block(block, goal)
        } else {
            self.once(block, goal).map(|_| ())
        }
    }

    /// An empty collection.
    pub(super) fn empty(&mut self, dest: Register, kind: Collection) -> Result<(), Refusal> {
        match kind {
            Collection::Array => self.out.push(Instruction::ArrayNew { dest }),
            Collection::Set => self.out.push(Instruction::SetNew { dest }),
            Collection::Object => self.out.load(dest, &Value::new_object())?,
        }
        Ok(())
    }

    /// A block that may fail without failing the enclosing one: a loop with one iteration. Whether
    /// it has a solution is in the register until the statement ends.
    pub(super) fn once(
        &mut self,
        block: &[Statement],
        goal: &Goal<'_>,
    ) -> Result<Register, Refusal> {
        let mode = if goal.is_reached_by_first() { LoopMode::Any } else { LoopMode::ForEach };
        let result = self.temporary()?;
        let mark = self.mark();
        let one = self.temporary()?;
        self.out.load(one, &Value::from(vec![Value::Null]))?;
        let open = self.out.open_loop(mode, one, result, result)?;
        self.release(mark);
        self.block(block, goal)?;
        self.out.close_loop(open)?;
        Ok(result)
    }

    /// Handles a solution.
    fn reach(&mut self, goal: &Goal<'_>) -> Result<(), Refusal> {
        let mark = self.mark();
        self.out.place = goal.place.or(self.out.place);
        match goal.yields {
            Yield::Nothing => {}
            Yield::Value { value, conflict: Some(conflict), .. } => {
                let value = self.operand(value)?;
                let differs = self.temporary()?;
                // Undefined where there is no value yet.
                self.out.push(Instruction::Ne { dest: differs, left: RESULT, right: value });
                self.conflict_if(differs, conflict, goal.place);
                self.out.push(Instruction::Move { dest: RESULT, src: value });
            }
            Yield::Value { value, conflict: None, .. } => {
                self.expression(&Expr::Operand(value.clone()), RESULT)?;
            }
            Yield::Element { into, kind, key, value } => {
                let shape_of_key = key.map(|key| self.shape(key));
                let shape = Shape::of_collected(kind, shape_of_key, self.shape(value));
                self.collected = Some(shape);
                let value = self.operand(value)?;
                match (kind, key) {
                    (Collection::Array, _) => {
                        self.out.push(Instruction::ArrayPush { arr: into, value });
                    }
                    (Collection::Set, _) => {
                        self.out.push(Instruction::SetAdd { set: into, value });
                    }
                    (Collection::Object, Some(key)) => {
                        let key = self.operand(key)?;
                        self.put(into, key, value, goal.place)?;
                    }
                    // The survey has seen that there is one.
                    (Collection::Object, None) => {}
                }
            }
        }
        if let Some(dest) = goal.hit {
            self.out.push(Instruction::LoadTrue { dest });
        }
        self.release(mark);
        Ok(())
    }

    /// A key's value, or the conflict with a different one.
    fn put(
        &mut self,
        obj: Register,
        key: Register,
        value: Register,
        place: Option<Span>,
    ) -> Result<(), Refusal> {
        let differs = self.temporary()?;
        self.out.push(Instruction::Index { dest: differs, container: obj, key });
        self.out.push(Instruction::Ne { dest: differs, left: differs, right: value });
        self.conflict_if(differs, Conflict::Object, place);
        self.out.push(Instruction::ObjectSet { obj, key, value });
        Ok(())
    }
}
