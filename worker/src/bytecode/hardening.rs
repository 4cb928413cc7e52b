//! Makes bytecode answer as the interpreter does, or fail.
//!
//! regorus compiles a policy to instructions that are too lenient: an error in a rule's body is
//! taken for a body that does not hold, an undefined value is bound to a variable as if it were
//! one, and what is taken back in a comprehension is taken back somewhere else. So checks are put
//! between the instructions. What the machine cannot do right is an error of the kind that it does
//! not swallow, and the interpreter is asked instead.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::rvm::instructions::{
    BuiltinCallParams, ComprehensionMode, GuardMode, LiteralOrRegister, LoopMode, LoopStartParams,
};
use regorus::rvm::program::{BuiltinInfo, RuleType};
use regorus::rvm::{Instruction, Program};

use super::builtins::{Check, replacement};
use super::gate::Loops;

/// The register of a rule's result.
const RESULT: u8 = 0;

/// How many registers of each rule are for the checks: one that they answer in, one for what they
/// are told.
const SCRATCH: u8 = 2;

/// Why bytecode cannot be made safe.
type Refusal = &'static str;

const MALFORMED: Refusal = "bytecode of an unknown form";
const UNSEEN: Refusal = "a reference that the compiler takes for one that finds its key";
const TOO_LARGE: Refusal = "more rules and expressions than the bytecode has places for";

/// The program with its checks, if it goes through members only where the gate has seen it; `None`
/// lets it do so everywhere.
pub(super) fn hardened(program: Program, loops: Option<&Loops>) -> Result<Program, Refusal> {
    Hardening::new(program, loops)?.finish()
}

/// Instructions that belong together: a rule's body, or the patterns of a function's parameters.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: usize,
    /// Of its last instruction.
    end: usize,
    rule: usize,
    is_body: bool,
}

/// Where one goes through members, or gathers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    Loop,
    Comprehension(usize),
}

#[derive(Debug)]
struct Hardening<'a> {
    program: Program,
    seen: Option<&'a Loops>,
    /// What stands before each of the instructions, and after the last one.
    before: Vec<Vec<Instruction>>,
    checks: BTreeMap<Check, u16>,
    /// The loops of ours, and the comprehensions that they are in.
    loops: Vec<(u16, usize)>,
}

impl<'a> Hardening<'a> {
    fn new(mut program: Program, seen: Option<&'a Loops>) -> Result<Self, Refusal> {
        let mut resolved = Vec::new();
        for info in &program.builtin_info_table {
            let function = replacement(&info.name).ok_or("a built-in function outside the list")?;
            resolved.push((function, u8::try_from(info.num_args).map_err(|_| MALFORMED)?));
        }
        program.resolved_builtins = resolved;
        program.sources = Vec::new();
        let before = vec![Vec::new(); program.instructions.len() + 1];
        Ok(Self { program, seen, before, checks: BTreeMap::new(), loops: Vec::new() })
    }

    fn finish(mut self) -> Result<Program, Refusal> {
        let segments = self.segments()?;
        for segment in &segments {
            self.segment(*segment)?;
        }
        self.dispatch(&segments)?;
        for rule in &mut self.program.rule_infos {
            rule.num_registers = rule.num_registers.checked_add(SCRATCH).ok_or(TOO_LARGE)?;
            // It ends at the first result of several that look the same, and so before an error
            // that the interpreter would have found.
            rule.early_exit_on_first_success = false;
        }
        self.program.max_rule_window_size =
            self.program.max_rule_window_size.checked_add(SCRATCH).ok_or(TOO_LARGE)?;
        self.relocate()?;
        self.program.validate_limits().map_err(|_| TOO_LARGE)?;
        Ok(self.program)
    }

    fn segments(&self) -> Result<Vec<Segment>, Refusal> {
        let mut segments = Vec::new();
        for (rule, info) in self.program.rule_infos.iter().enumerate() {
            let entries = info.definitions.iter().flatten().map(|start| (*start, true));
            let patterns = info.destructuring_blocks.iter().flatten().map(|start| (*start, false));
            for (start, is_body) in entries.chain(patterns) {
                let start = usize::try_from(start).map_err(|_| MALFORMED)?;
                let rest = self.program.instructions.get(start..).ok_or(MALFORMED)?;
                let length = rest.iter().position(|instruction| match instruction {
                    Instruction::RuleReturn {} => is_body,
                    Instruction::DestructuringSuccess {} => !is_body,
                    _ => false,
                });
                let end = start + length.ok_or(MALFORMED)?;
                segments.push(Segment { start, end, rule, is_body });
            }
        }
        segments.sort_by_key(|segment| segment.start);
        let overlap = segments.windows(2).any(|pair| match pair {
            [one, next] => one.end >= next.start,
            _ => false,
        });
        if overlap { Err(MALFORMED) } else { Ok(segments) }
    }

    /// What is outside of rules does nothing but call the entry point.
    fn dispatch(&self, segments: &[Segment]) -> Result<(), Refusal> {
        let mut next = 0;
        let ends = segments.iter().map(|segment| (segment.start, segment.end + 1));
        let whole = self.program.instructions.len();
        for (start, end) in ends.chain([(whole, whole)]) {
            for instruction in self.program.instructions.get(next..start).ok_or(MALFORMED)? {
                match instruction {
                    Instruction::CallRule { .. } | Instruction::Return { .. } => {}
                    _ => return Err(MALFORMED),
                }
            }
            next = end;
        }
        Ok(())
    }

    fn segment(&mut self, segment: Segment) -> Result<(), Refusal> {
        let Segment { start, end, rule, is_body } = segment;
        let info = self.program.rule_infos.get(rule).ok_or(MALFORMED)?;
        let scratch = info.num_registers;
        let told = scratch.checked_add(1).ok_or(TOO_LARGE)?;
        // Where all definitions say the same, there is nothing to compare.
        let has_choices = info.rule_type == RuleType::Complete
            && info.definitions.len() > 1
            && !info.early_exit_on_first_success;
        let first_entry = info.definitions.first().and_then(|bodies| bodies.first());
        let first_pattern = info.destructuring_blocks.first().copied().flatten();
        let is_at =
            |entry: Option<u32>| entry.and_then(|entry| usize::try_from(entry).ok()) == Some(start);
        let begins = has_choices
            && match first_pattern {
                Some(_) => is_at(first_pattern),
                None => is_at(first_entry.copied()),
            };
        let rule_type = info.rule_type.clone();
        let parameters = info.function_info.as_ref().map(|function| function.num_params);
        let is_function = parameters.is_some();
        let instructions: Vec<Instruction> =
            self.program.instructions.get(start..=end).ok_or(MALFORMED)?.to_vec();
        if is_body {
            if !matches!(
                instructions.first(),
                Some(Instruction::RuleInit { result_reg: RESULT, .. })
            ) {
                return Err(MALFORMED);
            }
            // Each is loaded where it is first named, which may be where nothing comes to pass.
            let mut roots: Vec<Instruction> = Vec::new();
            roots.extend(instructions.iter().filter(|instruction| {
                matches!(instruction, Instruction::LoadInput { .. } | Instruction::LoadData { .. })
            }));
            self.put(start + 1, roots)?;
            if begins {
                self.tell(start + 1, told, rule)?;
                self.check(start + 1, Check::NoResult, scratch, &[told])?;
            }
        } else {
            if begins {
                self.tell(start, told, rule)?;
                self.check(start, Check::NoResult, scratch, &[told])?;
            }
            let count = u8::try_from(parameters.ok_or(MALFORMED)?).map_err(|_| TOO_LARGE)?;
            // A function of something undefined is undefined, whether or not it looks at it.
            let guards = (1..=count).map(defined);
            self.put(start, guards.collect())?;
        }
        let data: BTreeSet<u8> = instructions
            .iter()
            .filter_map(|instruction| match instruction {
                Instruction::LoadData { dest } => Some(*dest),
                _ => None,
            })
            .collect();

        let regions = self.regions(start, &instructions)?;
        let has_loops = regions.iter().flatten().any(|region| *region == Region::Loop);
        let mut wrapped = BTreeSet::new();
        for (offset, instruction) in instructions.iter().enumerate() {
            let at = start + offset;
            let around = regions.get(offset).ok_or(MALFORMED)?;
            let is_repeated = around.contains(&Region::Loop);
            if let (
                Some(Region::Comprehension(index)),
                Instruction::Guard { .. }
                | Instruction::Move { .. }
                | Instruction::ComprehensionYield { .. },
            ) = (around.last(), instruction)
            {
                wrapped.insert(*index);
            }
            // An undefined value among others of a rule makes the interpreter forget these others.
            let yielded = |register: u8| {
                if is_repeated && !is_function {
                    Yield::Repeated { register }
                } else {
                    Yield::Once { register }
                }
            };
            match *instruction {
                Instruction::Add { dest, left, right } => {
                    self.replace(at, Check::Add, dest, &[left, right])?;
                }
                Instruction::Sub { dest, left, right } => {
                    self.replace(at, Check::Subtract, dest, &[left, right])?;
                }
                Instruction::Mul { dest, left, right } => {
                    self.replace(at, Check::Multiply, dest, &[left, right])?;
                }
                Instruction::Div { dest, left, right } => {
                    self.replace(at, Check::Divide, dest, &[left, right])?;
                }
                Instruction::Mod { dest, left, right } => {
                    self.replace(at, Check::Remainder, dest, &[left, right])?;
                }
                Instruction::Count { dest, collection } => {
                    self.replace(at, Check::ArrayLength, dest, &[collection])?;
                }
                Instruction::Move { dest: RESULT, src } => {
                    if !is_body || rule_type != RuleType::Complete {
                        return Err(MALFORMED);
                    }
                    self.require(at, yielded(src), scratch)?;
                    if is_repeated {
                        self.check(at, Check::SameValue, scratch, &[RESULT, src])?;
                    }
                }
                Instruction::Move { src, .. } => self.put(at, vec![defined(src)])?,
                Instruction::SetAdd { set: RESULT, value } => {
                    if rule_type != RuleType::PartialSet {
                        return Err(MALFORMED);
                    }
                    self.require(at, yielded(value), scratch)?;
                }
                Instruction::ObjectSet { obj: RESULT, key, value } => {
                    if rule_type != RuleType::PartialObject {
                        return Err(MALFORMED);
                    }
                    self.require(at, yielded(key), scratch)?;
                    self.require(at, yielded(value), scratch)?;
                    self.check(at, Check::SameMember, scratch, &[RESULT, key, value])?;
                    self.check(at, Check::Forget, scratch, &[key])?;
                }
                Instruction::ComprehensionYield { value_reg, key_reg } => {
                    self.put(at, vec![defined(value_reg)])?;
                    let index = around
                        .iter()
                        .rev()
                        .find_map(|region| match region {
                            Region::Comprehension(index) => Some(*index),
                            Region::Loop => None,
                        })
                        .ok_or(MALFORMED)?;
                    let params = self
                        .program
                        .instruction_data
                        .comprehension_begin_params
                        .get(index)
                        .ok_or(MALFORMED)?;
                    let result = params.result_reg;
                    match (&params.mode, key_reg) {
                        (ComprehensionMode::Object, Some(key)) => {
                            self.put(at, vec![defined(key)])?;
                            self.check(at, Check::SameMember, scratch, &[result, key, value_reg])?;
                            self.check(at, Check::Forget, scratch, &[key])?;
                        }
                        (ComprehensionMode::Array | ComprehensionMode::Set, None) => {}
                        _ => return Err(MALFORMED),
                    }
                }
                Instruction::LoopStart { params_index } => {
                    let params = self
                        .program
                        .instruction_data
                        .get_loop_params(params_index)
                        .ok_or(MALFORMED)?
                        .clone();
                    match params.mode {
                        LoopMode::Every => {}
                        LoopMode::ForEach if !self.is_seen(at) => return Err(UNSEEN),
                        LoopMode::ForEach => self.check(
                            at,
                            Check::Collection,
                            params.result_reg,
                            &[params.collection],
                        )?,
                        LoopMode::Any => return Err(MALFORMED),
                    }
                }
                Instruction::Index { container, key, .. } => {
                    if data.contains(&container) {
                        self.check(at, Check::NoNumber, scratch, &[key])?;
                    }
                }
                Instruction::ChainedIndex { params_index } => {
                    let index = usize::from(params_index);
                    let chains = &self.program.instruction_data.chained_index_params;
                    let params = chains.get(index).ok_or(MALFORMED)?.clone();
                    if data.contains(&params.root) {
                        for component in &params.path_components {
                            if let LiteralOrRegister::Register(key) = component {
                                self.check(at, Check::NoNumber, scratch, &[*key])?;
                            }
                        }
                    }
                }
                Instruction::RuleReturn {} => {
                    // Else nothing that was found is taken for found, and no `else` is tried.
                    if has_loops && rule_type == RuleType::Complete {
                        self.put(at, vec![defined(RESULT)])?;
                    }
                    if has_choices {
                        self.tell(at, told, rule)?;
                        self.check(at, Check::SameResult, scratch, &[told, RESULT])?;
                    }
                }
                Instruction::Load { .. }
                | Instruction::LoadTrue { .. }
                | Instruction::LoadFalse { .. }
                | Instruction::LoadNull { .. }
                | Instruction::LoadBool { .. }
                | Instruction::LoadData { .. }
                | Instruction::LoadInput { .. }
                | Instruction::Eq { .. }
                | Instruction::Ne { .. }
                | Instruction::Lt { .. }
                | Instruction::Le { .. }
                | Instruction::Gt { .. }
                | Instruction::Ge { .. }
                | Instruction::Not { .. }
                | Instruction::BuiltinCall { .. }
                | Instruction::FunctionCall { .. }
                | Instruction::CallRule { .. }
                | Instruction::ObjectCreate { .. }
                | Instruction::IndexLiteral { .. }
                | Instruction::ArrayCreate { .. }
                | Instruction::SetCreate { .. }
                | Instruction::Contains { .. }
                | Instruction::Guard { .. }
                | Instruction::LoopNext { .. }
                | Instruction::RuleInit { .. }
                | Instruction::DestructuringSuccess {}
                | Instruction::ComprehensionBegin { .. }
                | Instruction::ComprehensionEnd {} => {}
                Instruction::LoadContext { .. }
                | Instruction::LoadMetadata { .. }
                | Instruction::And { .. }
                | Instruction::Or { .. }
                | Instruction::HostAwait { .. }
                | Instruction::Return { .. }
                | Instruction::ObjectSet { .. }
                | Instruction::ArrayNew { .. }
                | Instruction::ArrayPush { .. }
                | Instruction::ArrayPushDefined { .. }
                | Instruction::SetNew { .. }
                | Instruction::SetAdd { .. }
                | Instruction::AssertEq { .. }
                | Instruction::ReturnUndefinedIfNotTrue { .. }
                | Instruction::CoalesceUndefinedToNull { .. }
                | Instruction::VirtualDataDocumentLookup { .. }
                | Instruction::Halt {}
                | Instruction::PolicyCondition { .. }
                | Instruction::LogicalBlockStart { .. }
                | Instruction::AllOfNext { .. }
                | Instruction::AnyOfNext { .. }
                | Instruction::LogicalBlockEnd { .. } => return Err(MALFORMED),
            }
        }
        for index in wrapped {
            self.wrap(index)?;
        }
        Ok(())
    }

    /// For each instruction of a segment what it is in, from the outside in.
    fn regions(
        &self,
        start: usize,
        instructions: &[Instruction],
    ) -> Result<Vec<Vec<Region>>, Refusal> {
        let data = &self.program.instruction_data;
        let mut open: Vec<(Region, usize)> = Vec::new();
        let mut regions = Vec::with_capacity(instructions.len());
        for (offset, instruction) in instructions.iter().enumerate() {
            let at = start + offset;
            while open.last().is_some_and(|(_, end)| *end <= at) {
                open.pop();
            }
            regions.push(open.iter().map(|(region, _)| *region).collect());
            let (region, first, end) = match *instruction {
                Instruction::LoopStart { params_index } => {
                    let params = data.get_loop_params(params_index).ok_or(MALFORMED)?;
                    (Region::Loop, params.body_start, params.loop_end)
                }
                Instruction::ComprehensionBegin { params_index } => {
                    let params = data
                        .get_comprehension_begin_params(params_index)
                        .filter(|params| params.collection_reg == params.result_reg)
                        .ok_or(MALFORMED)?;
                    let region = Region::Comprehension(usize::from(params_index));
                    (region, params.body_start, params.comprehension_end)
                }
                _ => continue,
            };
            let end = usize::from(end);
            let last = end.checked_sub(1).and_then(|last| self.program.instructions.get(last));
            let is_closed = matches!(
                (region, last),
                (Region::Loop, Some(Instruction::LoopNext { .. }))
                    | (Region::Comprehension(_), Some(Instruction::ComprehensionEnd {}))
            );
            let is_within = open.last().is_none_or(|(_, outer)| end <= *outer)
                && end <= start + instructions.len();
            if usize::from(first) != at + 1 || !is_closed || !is_within {
                return Err(MALFORMED);
            }
            open.push((region, end));
        }
        Ok(regions)
    }

    /// Whether the gate knows of a loop that begins here.
    fn is_seen(&self, at: usize) -> bool {
        let Some(seen) = self.seen else { return true };
        let span = self.program.instruction_spans.get(at).and_then(Option::as_ref);
        span.is_some_and(|span| seen.contains(&(span.line, span.column, span.length)))
    }

    fn put(&mut self, at: usize, instructions: Vec<Instruction>) -> Result<(), Refusal> {
        self.before.get_mut(at).ok_or(MALFORMED)?.extend(instructions);
        Ok(())
    }

    fn call(&mut self, check: Check, dest: u8, operands: &[u8]) -> Result<Instruction, Refusal> {
        let builtin_index = match self.checks.get(&check) {
            Some(index) => *index,
            None => {
                let info = BuiltinInfo {
                    name: check.name().to_owned(),
                    num_args: u16::from(check.operands()),
                };
                self.program.resolved_builtins.push((check.function(), check.operands()));
                let index = self.program.builtin_info_table.len();
                self.program.builtin_info_table.push(info);
                let index = u16::try_from(index).map_err(|_| TOO_LARGE)?;
                self.checks.insert(check, index);
                index
            }
        };
        let mut args = [0; 8];
        args.iter_mut().zip(operands).for_each(|(arg, operand)| *arg = *operand);
        let num_args = check.operands();
        if self.program.instruction_data.builtin_call_params.len() >= usize::from(u16::MAX) {
            return Err(TOO_LARGE);
        }
        let params = BuiltinCallParams { dest, builtin_index, num_args, args };
        let params_index = self.program.instruction_data.add_builtin_call_params(params);
        Ok(Instruction::BuiltinCall { params_index })
    }

    fn check(&mut self, at: usize, check: Check, dest: u8, operands: &[u8]) -> Result<(), Refusal> {
        let call = self.call(check, dest, operands)?;
        self.put(at, vec![call])
    }

    fn replace(
        &mut self,
        at: usize,
        check: Check,
        dest: u8,
        operands: &[u8],
    ) -> Result<(), Refusal> {
        let call = self.call(check, dest, operands)?;
        *self.program.instructions.get_mut(at).ok_or(MALFORMED)? = call;
        Ok(())
    }

    /// Asks for a value to be defined.
    fn require(&mut self, at: usize, value: Yield, scratch: u8) -> Result<(), Refusal> {
        match value {
            Yield::Once { register } => self.put(at, vec![defined(register)]),
            Yield::Repeated { register } => {
                let is_itself = Instruction::Eq { dest: scratch, left: register, right: register };
                let is_undefined = Instruction::Not { dest: scratch, operand: scratch };
                self.put(at, vec![is_itself, is_undefined])?;
                self.check(at, Check::False, scratch, &[scratch])
            }
        }
    }

    /// Puts a loop of one turn around what a comprehension does. The machine ends a turn of the
    /// innermost loop where a condition fails, also one that the whole comprehension is in; and
    /// without one, it forgets to end the comprehension.
    fn wrap(&mut self, index: usize) -> Result<(), Refusal> {
        let data = &mut self.program.instruction_data;
        let params = data.comprehension_begin_params.get(index).ok_or(MALFORMED)?.clone();
        if data.loop_params.len() >= usize::from(u16::MAX) {
            return Err(TOO_LARGE);
        }
        // The compiler gives a comprehension two registers that only another form of it uses.
        let [turns, turn] = [params.key_reg, params.value_reg];
        let params_index = data.add_loop_params(LoopStartParams {
            mode: LoopMode::ForEach,
            collection: turns,
            key_reg: turn,
            value_reg: turn,
            result_reg: turn,
            body_start: 0,
            loop_end: 0,
        });
        self.loops.push((params_index, index));
        let literal_idx = self.literal(Value::from(vec![Value::Null]))?;
        let start = [
            Instruction::Load { dest: turns, literal_idx },
            Instruction::LoopStart { params_index },
        ];
        let first = self.before.get_mut(usize::from(params.body_start)).ok_or(MALFORMED)?;
        first.splice(0..0, start);
        let end = usize::from(params.comprehension_end).checked_sub(1).ok_or(MALFORMED)?;
        self.put(end, vec![Instruction::LoopNext { body_start: 0, loop_end: 0 }])
    }

    /// Loads which rule it is.
    fn tell(&mut self, at: usize, dest: u8, rule: usize) -> Result<(), Refusal> {
        let literal_idx = self.literal(Value::from(rule))?;
        self.put(at, vec![Instruction::Load { dest, literal_idx }])
    }

    fn literal(&mut self, literal: Value) -> Result<u16, Refusal> {
        let literals = &mut self.program.literals;
        let known = literals.iter().position(|known| *known == literal);
        let index = known.unwrap_or(literals.len());
        if known.is_none() {
            literals.push(literal);
        }
        u16::try_from(index).map_err(|_| TOO_LARGE)
    }

    fn relocate(&mut self) -> Result<(), Refusal> {
        let count = self.program.instructions.len();
        let mut places = Vec::with_capacity(count + 1);
        let mut instructions = Vec::with_capacity(count * 2);
        for at in 0..=count {
            // Who goes to an instruction does what stands before it, too.
            places.push(instructions.len());
            instructions.extend(self.before.get(at).ok_or(MALFORMED)?.iter().copied());
            instructions.extend(self.program.instructions.get(at).copied());
        }
        let moved = |at: usize| places.get(at).copied().ok_or(MALFORMED);
        let short = |at: usize| u16::try_from(at).map_err(|_| TOO_LARGE);
        let long = |at: u32| {
            let at = moved(usize::try_from(at).map_err(|_| MALFORMED)?)?;
            u32::try_from(at).map_err(|_| TOO_LARGE)
        };

        let data = &mut self.program.instruction_data;
        let ours: BTreeMap<u16, usize> = self.loops.iter().copied().collect();
        for (index, params) in data.loop_params.iter_mut().enumerate() {
            if !ours.contains_key(&short(index)?) {
                // Also what stands before the first instruction of the body is done in every turn.
                params.body_start = short(moved(usize::from(params.body_start))?)?;
                params.loop_end = short(moved(usize::from(params.loop_end))?)?;
            }
        }
        for (loop_index, comprehension) in &self.loops {
            let params =
                data.comprehension_begin_params.get(*comprehension).ok_or(MALFORMED)?.clone();
            let first = moved(usize::from(params.body_start))?;
            let after = moved(usize::from(params.comprehension_end))?;
            let own = data.loop_params.get_mut(usize::from(*loop_index)).ok_or(MALFORMED)?;
            own.body_start = short(first + 2)?;
            own.loop_end = short(after.checked_sub(1).ok_or(MALFORMED)?)?;
        }
        for params in &mut data.comprehension_begin_params {
            params.body_start = short(moved(usize::from(params.body_start))?)?;
            params.comprehension_end = short(moved(usize::from(params.comprehension_end))?)?;
        }
        for instruction in &mut instructions {
            // The machine goes by the loop's parameters.
            if let Instruction::LoopNext { body_start, loop_end } = instruction {
                (*body_start, *loop_end) = (0, 0);
            }
        }
        for rule in &mut self.program.rule_infos {
            let definitions = rule
                .definitions
                .iter()
                .map(|bodies| bodies.iter().map(|at| long(*at)).collect())
                .collect::<Result<Vec<Vec<u32>>, Refusal>>()?;
            rule.definitions = definitions.into();
            for block in rule.destructuring_blocks.iter_mut().flatten() {
                *block = long(*block)?;
            }
        }
        for entry in self.program.entry_points.values_mut() {
            *entry = moved(*entry)?;
        }
        self.program.main_entry_point = long(self.program.main_entry_point)?;
        self.program.instruction_spans = Vec::new();
        self.program.instructions = instructions;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Yield {
    /// Without a value, the rule's body does not hold.
    Once { register: u8 },
    /// Without a value, the interpreter has to be asked.
    Repeated { register: u8 },
}

const fn defined(register: u8) -> Instruction {
    Instruction::Guard { register, mode: GuardMode::NotUndefined }
}
