//! Rules: definitions, the comparison of their values, and replacements.

use std::collections::HashSet;
use std::sync::Arc;

use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::instructions::{GuardMode, LiteralOrRegister};
use regorus::rvm::program::{FunctionInfo, RuleInfo, RuleType};

use super::assembler::{ARGUMENTS, Assembler};
use super::block::{Goal, Yield};
use super::expression::{is_packed, passed};
use super::frame::{Frame, RESULT};
use super::registers::Register;
use super::survey::{Facts, Survey, same_constant};
use super::{Call, Conflict, Refusal, What};
use crate::core::walk::{self, TooDeep};
use crate::core::{
    Body, Collection, Definition, Expr, Operand, Program, Root, Rule, RuleId, RuleKind, Statement,
    StatementKind, Var,
};

/// Emits all rules. Those without a jump come last: only jumps need instruction numbers of 16 bits.
pub(super) fn emit_all(
    program: &Program,
    survey: &Survey,
    out: &mut Assembler,
) -> Result<(), Refusal> {
    for jumping in [true, false] {
        for (number, rule) in program.rules.iter().enumerate() {
            let id = RuleId(u32::try_from(number).unwrap_or(u32::MAX));
            let facts = *survey.of(id)?;
            if (facts.index != facts.own_index || jumps(rule)) != jumping {
                continue;
            }
            out.place = rule.span;
            if facts.index != facts.own_index {
                out.places.begin_rule(out.here(), id, rule.span);
                emit_front(id, rule, &facts, survey, out)?;
            }
            out.place = rule.span;
            out.places.begin_rule(out.here(), id, rule.span);
            emit_rule(id, rule, &facts, survey, out)?;
        }
    }
    Ok(())
}

/// Whether a rule's code may have a jump or a loop.
fn jumps(rule: &Rule) -> bool {
    let may_jump = |statement: &Statement| match &statement.kind {
        StatementKind::Let(_, expr) | StatementKind::Test(expr) => {
            matches!(expr, Expr::Path(Root::Data, _))
        }
        StatementKind::Not(_)
        | StatementKind::Each { .. }
        | StatementKind::Every { .. }
        | StatementKind::Collect { .. } => true,
    };
    let is_compared = rule.kind == RuleKind::Object
        || rule.definitions.len() > 1 && same_constant(&rule.definitions).is_none();
    is_compared || walk::bodies(&rule.definitions).any(|body| body.block.iter().any(may_jump))
}

/// Emits the entry point of a rule.
pub(super) fn emit_entry(
    program: &Program,
    survey: &Survey,
    out: &mut Assembler,
    rule: RuleId,
) -> Result<(), Refusal> {
    let facts = survey.of(rule)?;
    if !out.begin_entry(rule) {
        return Ok(());
    }
    let span = program.rules.get(rule.index()).and_then(|rule| rule.span);
    out.places.begin_rule(out.here(), rule, span);
    match facts.parameters {
        None => out.push(Instruction::CallRule { dest: RESULT, rule_index: facts.index }),
        Some(parameters) => {
            // The machine puts the arguments there.
            let args: Vec<Register> = argument_registers(parameters).collect();
            out.push(Instruction::LoadContext { dest: RESULT });
            for (position, dest) in args.iter().enumerate() {
                let key = LiteralOrRegister::Literal(out.literal(&Value::from(position))?);
                out.index(*dest, RESULT, vec![key])?;
            }
            out.call_function(facts.index, RESULT, &args)?;
        }
    }
    out.push(Instruction::Return { value: RESULT });
    Ok(())
}

/// The argument registers of a function with this many parameters.
fn argument_registers(parameters: usize) -> impl Iterator<Item = Register> {
    (1..).take(passed(parameters))
}

/// A function that `with` may replace, or whose values are cached, becomes two: this one checks the
/// environment and the cache, and calls the other where necessary.
fn emit_front(
    id: RuleId,
    rule: &Rule,
    facts: &Facts,
    survey: &Survey,
    out: &mut Assembler,
) -> Result<(), Refusal> {
    let start = out.here();
    let args: Vec<Register> = argument_registers(facts.parameters.unwrap_or(0)).collect();
    let mut frame = Frame::new(out, survey, args.len());
    let packed = frame.temporary()?;
    let replaced = match rule.slot {
        Some(slot) => {
            let [number, is_replaced] = [frame.temporary()?, frame.temporary()?];
            frame.out.load(number, &Value::from(slot.0))?;
            frame.out.call(Call::Mocked, is_replaced, &[number])?;
            Some((number, frame.out.jump_if(is_replaced)))
        }
        None => None,
    };
    if facts.is_kept {
        let [number, known] = [frame.temporary()?, frame.temporary()?];
        frame.out.load(number, &Value::from(id.0))?;
        frame.out.array(packed, args.clone())?;
        frame.out.call(Call::Recall, known, &[number, packed])?;
        let is_new = frame.out.jump_if(known);
        let first = LiteralOrRegister::Literal(frame.out.literal(&Value::from(0_u32))?);
        frame.out.index(RESULT, known, vec![first])?;
        frame.out.push(Instruction::RuleReturn {});
        frame.out.land(is_new)?;
        frame.out.call_function(facts.own_index, RESULT, &args)?;
        frame.out.call(Call::Keep, known, &[number, packed, RESULT])?;
    } else {
        frame.out.call_function(facts.own_index, RESULT, &args)?;
    }
    frame.out.push(Instruction::RuleReturn {});
    if let Some((number, jump)) = replaced {
        frame.out.land(jump)?;
        frame.out.array(packed, args)?;
        frame.out.call(Call::Mock, RESULT, &[number, packed])?;
        frame.out.push(Instruction::RuleReturn {});
    }
    let registers = frame.register_count();
    let info = info(rule, RuleType::Complete, vec![vec![start]], registers);
    out.define_rule(facts.index, info);
    Ok(())
}

fn emit_rule(
    id: RuleId,
    rule: &Rule,
    facts: &Facts,
    survey: &Survey,
    out: &mut Assembler,
) -> Result<(), Refusal> {
    let default = rule.default.as_ref().map(|value| out.literal(value)).transpose()?;
    let parameters = facts.parameters.unwrap_or(0);
    let mut emitter =
        RuleEmitter { id, rule, parameters, frame: Frame::new(out, survey, passed(parameters)) };
    let (rule_type, definitions) = emitter.definitions()?;
    if emitter.frame.detours()? {
        emitter.frame.out.names.insert(id, rule.name.as_str().into());
    }
    let registers = emitter.frame.register_count();
    let mut info = info(rule, rule_type, definitions, registers);
    info.early_exit_on_first_success = match rule.kind {
        RuleKind::Complete | RuleKind::Function(_) | RuleKind::Entry => {
            same_constant(&rule.definitions).is_some()
        }
        RuleKind::Set | RuleKind::Object => false,
    };
    info.default_literal_index = default;
    out.define_rule(facts.own_index, info);
    Ok(())
}

/// The VM's description of a rule. The VM copies it at each call, so parts that need an allocation
/// are left out.
fn info(rule: &Rule, rule_type: RuleType, definitions: Vec<Vec<usize>>, registers: u8) -> RuleInfo {
    let starts = |bodies: Vec<usize>| {
        bodies.into_iter().map(|start| u32::try_from(start).unwrap_or(u32::MAX)).collect()
    };
    let definitions = Arc::new(definitions.into_iter().map(starts).collect());
    RuleInfo {
        name: String::new(),
        rule_type,
        definitions,
        function_info: match rule.kind {
            RuleKind::Function(num_params) => {
                Some(FunctionInfo { param_names: Vec::new(), num_params })
            }
            RuleKind::Entry => Some(FunctionInfo { param_names: Vec::new(), num_params: 1 }),
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => None,
        },
        default_literal_index: None,
        result_reg: RESULT,
        num_registers: registers,
        destructuring_blocks: Vec::new(),
        else_bodies: Vec::new(),
        early_exit_on_first_success: false,
    }
}

struct RuleEmitter<'a> {
    id: RuleId,
    rule: &'a Rule,
    parameters: usize,
    frame: Frame<'a>,
}

impl RuleEmitter<'_> {
    /// The rule's bodies, by definition: where each begins.
    fn definitions(&mut self) -> Result<(RuleType, Vec<Vec<usize>>), Refusal> {
        let is_same = same_constant(&self.rule.definitions).is_some();
        match self.rule.kind {
            // The VM keeps a function's result register from one definition to the next, so they can
            // be compared.
            RuleKind::Function(_) | RuleKind::Entry => Ok((RuleType::Complete, self.apart()?)),
            RuleKind::Complete if is_same || self.rule.definitions.len() <= 1 => {
                Ok((RuleType::Complete, self.apart()?))
            }
            RuleKind::Complete => Ok((RuleType::Complete, vec![vec![self.together()?]])),
            RuleKind::Set => Ok((RuleType::PartialSet, self.collected(Collection::Set)?)),
            RuleKind::Object => Ok((RuleType::PartialObject, self.collected(Collection::Object)?)),
        }
    }

    /// Each body becomes one body of the VM.
    fn apart(&mut self) -> Result<Vec<Vec<usize>>, Refusal> {
        let conflict = self.conflict();
        let is_same = same_constant(&self.rule.definitions).is_some();
        let mut starts = Vec::new();
        for (position, definition) in self.rule.definitions.iter().enumerate() {
            let mut bodies = Vec::new();
            for (place, body) in definition.bodies.iter().enumerate() {
                bodies.push(self.frame.out.here());
                // An earlier definition or another solution may have set a different value.
                let is_only = position == 0 && !(has_loop(body) && is_variable(&body.value));
                let conflict = conflict.filter(|_| !is_same && !is_only);
                let yields = Yield::Value { value: &body.value, conflict, is_same };
                let is_last = place + 1 == definition.bodies.len();
                self.body(body, yields, !is_last)?;
                self.frame.out.push(Instruction::RuleReturn {});
            }
            starts.push(bodies);
        }
        Ok(starts)
    }

    /// The bodies of the VM add to one collection.
    fn collected(&mut self, kind: Collection) -> Result<Vec<Vec<usize>>, Refusal> {
        let first = self.frame.out.here();
        self.frame.empty(RESULT, kind)?;
        let mut starts = Vec::new();
        for (position, body) in walk::bodies(&self.rule.definitions).enumerate() {
            let start = if position == 0 { first } else { self.frame.out.here() };
            starts.push(vec![start]);
            self.body(body, element(body, kind), false)?;
            self.frame.out.push(Instruction::RuleReturn {});
        }
        if starts.is_empty() {
            self.frame.out.push(Instruction::RuleReturn {});
            starts.push(vec![first]);
        }
        Ok(starts)
    }

    /// All definitions become one body of the VM, because their values are compared: the VM
    /// discards a value between definitions.
    fn together(&mut self) -> Result<usize, Refusal> {
        let start = self.frame.out.here();
        let conflict = self.conflict();
        for Definition { bodies } in &self.rule.definitions {
            let mark = self.frame.mark();
            let mut ends = Vec::new();
            let hit = self.frame.temporary()?;
            for (place, body) in bodies.iter().enumerate() {
                let yields = Yield::Value { value: &body.value, conflict, is_same: false };
                let is_last = place + 1 == bodies.len();
                if !is_last {
                    self.frame.out.push(Instruction::LoadFalse { dest: hit });
                }
                let goal = Goal { yields, hit: (!is_last).then_some(hit), place: body.span };
                self.frame.out.place = body.span;
                let inner = self.frame.mark();
                self.frame.once(&body.block, &goal)?;
                self.frame.release(inner);
                if !is_last {
                    ends.push(self.frame.out.jump_if(hit));
                }
            }
            for end in ends {
                self.frame.out.land(end)?;
            }
            self.frame.release(mark);
        }
        self.frame.out.push(Instruction::RuleReturn {});
        Ok(start)
    }

    const fn conflict(&self) -> Option<Conflict> {
        match self.rule.kind {
            RuleKind::Complete => Some(Conflict::Complete),
            RuleKind::Function(_) => Some(Conflict::Function),
            RuleKind::Entry => Some(Conflict::Object),
            RuleKind::Set | RuleKind::Object => None,
        }
    }

    /// One body, in its own loops. With a body after it, it fails where it has no solution.
    fn body(&mut self, body: &Body, yields: Yield<'_>, has_next: bool) -> Result<(), Refusal> {
        self.frame.out.place = body.span;
        let unpacked = self.bind_parameters(body)?;
        let mark = self.frame.mark();
        let mut goal = Goal { yields, hit: None, place: body.span };
        if has_next && has_loop(body) && !goal.is_reached_by_first() {
            let hit = self.frame.temporary()?;
            self.frame.out.push(Instruction::LoadFalse { dest: hit });
            goal.hit = Some(hit);
        }
        self.frame.block(&body.block, &goal)?;
        if let Some(hit) = goal.hit {
            self.frame.out.guard(hit, GuardMode::Condition);
        }
        self.frame.release(mark);
        unpacked.into_iter().for_each(|var| self.frame.unbind(var));
        Ok(())
    }

    /// Binds parameters to their registers. Parameters that arrive in an array are taken out of it
    /// where the body uses them; they are returned.
    fn bind_parameters(&mut self, body: &Body) -> Result<Vec<Var>, Refusal> {
        let is_packed = is_packed(self.parameters);
        let direct = if is_packed { ARGUMENTS - 1 } else { self.parameters };
        let shapes = &self.frame.survey.shapes;
        for (position, register) in (0..direct).zip(1..) {
            let var = Var(u32::try_from(position).unwrap_or(u32::MAX));
            self.frame.bind_to(var, register, shapes.parameter(self.id, position));
        }
        let mut unpacked = Vec::new();
        if is_packed {
            let rest: Register = argument_registers(self.parameters).last().unwrap_or(RESULT);
            let used = used_variables(body)?;
            let packed = (0..).map(Var).take(self.parameters).skip(direct);
            for (position, var) in packed.enumerate().filter(|(_, var)| used.contains(var)) {
                let shape = shapes.parameter(self.id, direct + position);
                let dest = self.frame.bind(var, shape)?;
                let key =
                    LiteralOrRegister::Literal(self.frame.out.literal(&Value::from(position))?);
                self.frame.out.index(dest, rest, vec![key])?;
                unpacked.push(var);
            }
        }
        Ok(unpacked)
    }
}

fn used_variables(body: &Body) -> Result<HashSet<Var>, Refusal> {
    let mut used = HashSet::new();
    let mut found = |statement: &Statement| {
        used.extend(walk::own_operands(statement).into_iter().filter_map(walk::variable));
    };
    walk::statements(&body.block, &mut found).map_err(|TooDeep| Refusal::Ceiling {
        what: What::Nesting,
        limit: walk::NESTING,
        place: body.span,
    })?;
    used.extend(body.key.iter().chain([&body.value]).filter_map(walk::variable));
    Ok(used)
}

fn element(body: &Body, kind: Collection) -> Yield<'_> {
    Yield::Element { into: RESULT, kind, key: body.key.as_ref(), value: &body.value }
}

const fn is_variable(operand: &Operand) -> bool {
    walk::variable(operand).is_some()
}

fn has_loop(body: &Body) -> bool {
    matches!(body.block.last(), Some(Statement { kind: StatementKind::Each { .. }, .. }))
}
