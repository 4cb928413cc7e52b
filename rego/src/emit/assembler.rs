//! Instructions and tables, with every number checked.

use std::collections::{BTreeMap, HashMap};

use regorus::Value;
use regorus::rvm::instructions::{
    ArrayCreateParams, BuiltinCallParams, ChainedIndexParams, FunctionCallParams, GuardMode,
    LiteralOrRegister, LoopMode, LoopStartParams, ObjectCreateParams, SetCreateParams,
};
use regorus::rvm::program::{BuiltinInfo, RuleInfo};
use regorus::rvm::{Instruction, Program as Bytecode};

use super::literals::Literals;
use super::places::Places;
use super::registers::Register;
use super::{Call, Emitted, Refusal, What, WithSite};
use crate::core::{RuleId, Slot};
use crate::source::Span;

/// Arguments of a call in the VM.
pub(super) const ARGUMENTS: usize = 8;

/// The range of 16 bits.
const NUMBERS: usize = u16::MAX as usize;

/// How many different functions a program can call: the number that the machine can link.
pub(crate) const CALLS: usize = 256;

/// Registers of the window that entry points run in: the result and [`ARGUMENTS`].
const ENTRY_WINDOW: u8 = 9;

/// A program that is being emitted.
#[derive(Debug)]
pub(super) struct Assembler {
    bytecode: Bytecode,
    literals: Literals,
    calls: Vec<Call>,
    call_numbers: HashMap<(&'static str, usize), u16>,
    entries: BTreeMap<RuleId, usize>,
    withs: Vec<WithSite>,
    pub(super) names: BTreeMap<RuleId, Box<str>>,
    pub(super) places: Places,
    /// The rule that is being emitted.
    pub(super) place: Option<Span>,
}

/// A loop whose body is being emitted.
#[derive(Debug, Clone, Copy)]
#[must_use = "a loop has an end"]
pub(super) struct OpenLoop {
    params: u16,
    start: u16,
}

/// A jump whose target is not known yet.
#[derive(Debug, Clone, Copy)]
#[must_use = "a jump has a target"]
pub(super) struct Jump(usize);

/// The parts of an object.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The constant keys, with constant values or placeholders for values in registers.
    pub(super) template: BTreeMap<Value, Value>,
    /// Keys of the template and the registers of their values.
    pub(super) known: BTreeMap<Value, Register>,
    /// Registers of other keys and values, in order.
    pub(super) others: Vec<(Register, Register)>,
}

impl Assembler {
    pub(super) fn new() -> Self {
        let mut bytecode = Bytecode::new();
        // Each VM has a copy of these values.
        bytecode.metadata.compiler_version = String::new();
        bytecode.metadata.compiled_at = String::new();
        bytecode.metadata.source_info = String::new();
        bytecode.dispatch_window_size = ENTRY_WINDOW;
        Self {
            bytecode,
            literals: Literals::default(),
            calls: Vec::new(),
            call_numbers: HashMap::new(),
            entries: BTreeMap::new(),
            withs: Vec::new(),
            names: BTreeMap::new(),
            places: Places::default(),
            place: None,
        }
    }

    pub(super) const fn ceiling(&self, what: What, limit: usize) -> Refusal {
        Refusal::Ceiling { what, limit, place: self.place }
    }

    /// The number of the next instruction.
    pub(super) fn here(&self) -> usize {
        self.bytecode.instructions.len()
    }

    pub(super) fn push(&mut self, instruction: Instruction) {
        self.bytecode.instructions.push(instruction);
    }

    /// The next instruction as a jump's target.
    fn target(&self) -> Result<u16, Refusal> {
        u16::try_from(self.here()).map_err(|_| self.ceiling(What::Instructions, NUMBERS))
    }

    pub(super) fn literal(&mut self, value: &Value) -> Result<u16, Refusal> {
        let Some(number) = self.literals.number(value) else {
            return Err(self.ceiling(What::Height, crate::core::depth::HEIGHT));
        };
        u16::try_from(number).map_err(|_| self.ceiling(What::Literals, NUMBERS))
    }

    pub(super) fn load(&mut self, dest: Register, value: &Value) -> Result<(), Refusal> {
        let instruction = match value {
            Value::Bool(value) => Instruction::LoadBool { dest, value: *value },
            Value::Null => Instruction::LoadNull { dest },
            other => Instruction::Load { dest, literal_idx: self.literal(other)? },
        };
        self.push(instruction);
        Ok(())
    }

    pub(super) fn guard(&mut self, register: Register, mode: GuardMode) {
        self.push(Instruction::Guard { register, mode });
    }

    /// Continues at the jump's target where the register is true.
    pub(super) fn jump_if(&mut self, register: Register) -> Jump {
        let jump = Jump(self.here());
        self.push(Instruction::AnyOfNext { check: register, result: register, end_pc: 0 });
        jump
    }

    /// The next instruction is the jump's target.
    pub(super) fn land(&mut self, jump: Jump) -> Result<(), Refusal> {
        // The VM continues after the instruction that it jumps to.
        let before = self.target()?.saturating_sub(1);
        if let Some(Instruction::AnyOfNext { end_pc, .. }) =
            self.bytecode.instructions.get_mut(jump.0)
        {
            *end_pc = before;
        }
        Ok(())
    }

    /// Continues at an existing instruction, or the next one, through a free register.
    pub(super) fn jump_to(&mut self, target: usize, free: Register) -> Result<(), Refusal> {
        let end_pc = u16::try_from(target.saturating_sub(1))
            .map_err(|_| self.ceiling(What::Instructions, NUMBERS))?;
        self.push(Instruction::LoadTrue { dest: free });
        self.push(Instruction::AnyOfNext { check: free, result: free, end_pc });
        Ok(())
    }

    /// Begins a loop. Whether an element was a success is in `value` after it.
    pub(super) fn open_loop(
        &mut self,
        mode: LoopMode,
        collection: Register,
        key: Register,
        value: Register,
    ) -> Result<OpenLoop, Refusal> {
        self.room(self.bytecode.instruction_data.loop_params.len())?;
        let params = self.bytecode.add_loop_params(LoopStartParams {
            mode,
            collection,
            key_reg: key,
            value_reg: value,
            result_reg: value,
            body_start: 0,
            loop_end: 0,
        });
        self.push(Instruction::LoopStart { params_index: params });
        Ok(OpenLoop { params, start: self.target()? })
    }

    pub(super) fn close_loop(&mut self, open: OpenLoop) -> Result<(), Refusal> {
        self.push(Instruction::LoopNext { body_start: 0, loop_end: 0 });
        let end = self.target()?;
        self.bytecode.update_loop_params(open.params, |params| {
            params.body_start = open.start;
            params.loop_end = end;
        });
        Ok(())
    }

    /// A call of a function that the machine links. It may end the evaluation, so its place is
    /// recorded.
    pub(super) fn call(
        &mut self,
        call: Call,
        dest: Register,
        args: &[Register],
    ) -> Result<(), Refusal> {
        let key = (call.name(), args.len());
        let builtin_index = match self.call_numbers.get(&key) {
            Some(known) => *known,
            None => {
                let number = u16::try_from(self.calls.len())
                    .ok()
                    .filter(|number| usize::from(*number) < CALLS)
                    .ok_or_else(|| self.ceiling(What::Builtins, CALLS))?;
                self.calls.push(call);
                // The VM caches results of some names, and copies the name into errors.
                let num_args = u16::try_from(args.len()).unwrap_or(u16::MAX);
                self.bytecode
                    .builtin_info_table
                    .push(BuiltinInfo { name: String::new(), num_args });
                self.call_numbers.insert(key, number);
                number
            }
        };
        let (num_args, args) = self.arguments(args)?;
        self.room(self.bytecode.instruction_data.builtin_call_params.len())?;
        let params_index = self.bytecode.add_builtin_call_params(BuiltinCallParams {
            dest,
            builtin_index,
            num_args,
            args,
        });
        self.places.mark(self.here(), self.place);
        self.push(Instruction::BuiltinCall { params_index });
        Ok(())
    }

    /// A call of a function of the policy.
    pub(super) fn call_function(
        &mut self,
        function: u16,
        dest: Register,
        args: &[Register],
    ) -> Result<(), Refusal> {
        let (num_args, args) = self.arguments(args)?;
        self.room(self.bytecode.instruction_data.function_call_params.len())?;
        let params_index = self.bytecode.add_function_call_params(FunctionCallParams {
            dest,
            func_rule_index: function,
            num_args,
            args,
        });
        self.push(Instruction::FunctionCall { params_index });
        Ok(())
    }

    fn arguments(&self, args: &[Register]) -> Result<(u8, [Register; ARGUMENTS]), Refusal> {
        let mut registers = [0; ARGUMENTS];
        if args.len() > registers.len() {
            return Err(self.ceiling(What::Arguments, ARGUMENTS));
        }
        registers.iter_mut().zip(args).for_each(|(slot, register)| *slot = *register);
        Ok((u8::try_from(args.len()).unwrap_or(u8::MAX), registers))
    }

    pub(super) fn index(
        &mut self,
        dest: Register,
        root: Register,
        keys: Vec<LiteralOrRegister>,
    ) -> Result<(), Refusal> {
        let instruction = match keys.as_slice() {
            [] if dest == root => return Ok(()),
            [] => Instruction::Move { dest, src: root },
            [LiteralOrRegister::Literal(key)] => {
                Instruction::IndexLiteral { dest, container: root, literal_idx: *key }
            }
            [LiteralOrRegister::Register(key)] => {
                Instruction::Index { dest, container: root, key: *key }
            }
            _ => {
                let data = &mut self.bytecode.instruction_data;
                let params = ChainedIndexParams { dest, root, path_components: keys };
                let count = data.chained_index_params.len();
                let params_index = data.add_chained_index_params(params);
                self.room(count)?;
                Instruction::ChainedIndex { params_index }
            }
        };
        self.push(instruction);
        Ok(())
    }

    pub(super) fn array(&mut self, dest: Register, elements: Vec<Register>) -> Result<(), Refusal> {
        let table = &self.bytecode.instruction_data.array_create_params;
        self.room(table.len())?;
        let params = ArrayCreateParams { dest, elements };
        let params_index = self.bytecode.instruction_data.add_array_create_params(params);
        self.push(Instruction::ArrayCreate { params_index });
        Ok(())
    }

    pub(super) fn set(&mut self, dest: Register, elements: Vec<Register>) -> Result<(), Refusal> {
        let table = &self.bytecode.instruction_data.set_create_params;
        self.room(table.len())?;
        let params = SetCreateParams { dest, elements };
        let params_index = self.bytecode.instruction_data.add_set_create_params(params);
        self.push(Instruction::SetCreate { params_index });
        Ok(())
    }

    pub(super) fn object(&mut self, dest: Register, fields: Fields) -> Result<(), Refusal> {
        let mut literal_key_fields = Vec::with_capacity(fields.known.len());
        // In the order of keys, as the VM requires.
        for (key, register) in &fields.known {
            literal_key_fields.push((self.literal(key)?, *register));
        }
        let template_literal_idx = self.literal(&Value::from(fields.template))?;
        self.room(self.bytecode.instruction_data.object_create_params.len())?;
        let params = ObjectCreateParams {
            dest,
            template_literal_idx,
            literal_key_fields,
            fields: fields.others,
        };
        let params_index = self.bytecode.instruction_data.add_object_create_params(params);
        self.push(Instruction::ObjectCreate { params_index });
        Ok(())
    }

    /// Whether a table with this many entries has room for one more.
    fn room(&self, count: usize) -> Result<(), Refusal> {
        if count < NUMBERS { Ok(()) } else { Err(self.ceiling(What::Parameters, NUMBERS)) }
    }

    /// The number of a site of `with`, as a constant.
    pub(super) fn with_site(&mut self, site: WithSite) -> Value {
        let number = Value::from(self.withs.len());
        self.withs.push(site);
        number
    }

    /// Rules are defined in the order of their numbers.
    pub(super) fn define_rule(&mut self, index: u16, info: RuleInfo) {
        self.bytecode.max_rule_window_size =
            self.bytecode.max_rule_window_size.max(info.num_registers);
        let index = usize::from(index);
        let missing =
            || RuleInfo::new(String::new(), info.rule_type.clone(), Default::default(), 0, 1);
        if self.bytecode.rule_infos.len() <= index {
            self.bytecode.rule_infos.resize_with(index + 1, missing);
        }
        if let Some(slot) = self.bytecode.rule_infos.get_mut(index) {
            *slot = info;
        }
    }

    /// An entry point begins at the next instruction.
    pub(super) fn begin_entry(&mut self, rule: RuleId) -> bool {
        let number = self.entries.len();
        if self.entries.contains_key(&rule) {
            return false;
        }
        self.entries.insert(rule, number);
        self.bytecode.entry_points.insert(number.to_string(), self.here());
        true
    }

    pub(super) fn finish(mut self, slots: &[Slot]) -> Emitted {
        let bytecode = &mut self.bytecode;
        bytecode.literals = self.literals.into_values();
        bytecode.instructions.shrink_to_fit();
        bytecode.rule_infos.shrink_to_fit();
        bytecode.builtin_info_table.shrink_to_fit();
        bytecode.entry_points.shrink_to_fit();
        let data = &mut bytecode.instruction_data;
        data.loop_params.shrink_to_fit();
        data.builtin_call_params.shrink_to_fit();
        data.function_call_params.shrink_to_fit();
        data.object_create_params.shrink_to_fit();
        data.array_create_params.shrink_to_fit();
        data.set_create_params.shrink_to_fit();
        data.chained_index_params.shrink_to_fit();
        self.calls.shrink_to_fit();
        self.withs.shrink_to_fit();
        self.places.shrink();
        Emitted {
            bytecode: self.bytecode,
            calls: self.calls,
            entries: self.entries,
            withs: self.withs,
            slots: slots.to_vec(),
            places: self.places,
            names: self.names,
        }
    }
}
