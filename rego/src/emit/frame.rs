//! The state of emitting one rule: registers of variables, and their known properties.

use std::collections::HashMap;

use regorus::Value;
use regorus::rvm::Instruction;

use super::assembler::{Assembler, Jump};
use super::registers::{REGISTERS, Register, Registers};
use super::shape::{self, Shape};
use super::survey::Survey;
use super::{Call, Conflict, Refusal, What};
use crate::core::{Operand, Var};
use crate::source::Span;

/// The register of a rule's result.
pub(super) const RESULT: Register = 0;

/// A rule that is being emitted.
pub(super) struct Frame<'a> {
    pub(super) out: &'a mut Assembler,
    pub(super) survey: &'a Survey,
    registers: Registers,
    variables: HashMap<Var, Variable>,
    /// Temporary registers of a statement, the latest last.
    temporaries: Vec<Register>,
    detours: Vec<Detour>,
    /// The known properties of the collection whose elements were yielded last.
    pub(super) collected: Option<Shape>,
}

/// Rarely executed code behind the rule's.
#[derive(Debug)]
struct Detour {
    jump: Jump,
    place: Option<Span>,
    does: Does,
}

#[derive(Debug)]
enum Does {
    /// Ends the evaluation.
    Conflict(Conflict),
    /// Looks up base data as a store does, and jumps back.
    Stored { dest: Register, keys: Vec<Key>, free: Register, back: usize },
}

/// A key of a path into base data.
#[derive(Debug)]
pub(super) enum Key {
    /// It is in a register.
    Register(Register),
    /// A constant, and a register that is free for it.
    Literal(Register, Value),
}

/// The register of a variable.
#[derive(Debug, Clone, Copy)]
struct Variable {
    register: Register,
    shape: Shape,
}

/// The number of older temporaries.
#[derive(Debug, Clone, Copy)]
#[must_use = "temporaries must be freed"]
pub(super) struct Mark(usize);

impl<'a> Frame<'a> {
    /// A frame with this many registers for parameters.
    pub(super) fn new(out: &'a mut Assembler, survey: &'a Survey, parameters: usize) -> Self {
        Self {
            out,
            survey,
            registers: Registers::new(parameters),
            variables: HashMap::new(),
            temporaries: Vec::new(),
            detours: Vec::new(),
            collected: None,
        }
    }

    pub(super) fn register_count(&self) -> Register {
        self.registers.count()
    }

    /// A register until [`Frame::give_back`].
    pub(super) fn take(&mut self) -> Result<Register, Refusal> {
        self.registers.take().ok_or_else(|| self.out.ceiling(What::Registers, REGISTERS))
    }

    pub(super) fn give_back(&mut self, register: Register) {
        self.registers.give_back(register);
    }

    /// A register until [`Frame::release`].
    pub(super) fn temporary(&mut self) -> Result<Register, Refusal> {
        let register = self.take()?;
        self.temporaries.push(register);
        Ok(register)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.temporaries.len())
    }

    /// Frees the temporaries since the mark.
    pub(super) fn release(&mut self, mark: Mark) {
        while self.temporaries.len() > mark.0 {
            if let Some(register) = self.temporaries.pop() {
                self.registers.give_back(register);
            }
        }
    }

    /// Binds a variable from here on, in a new register.
    pub(super) fn bind(&mut self, var: Var, shape: Shape) -> Result<Register, Refusal> {
        let register = self.take()?;
        self.bind_to(var, register, shape);
        Ok(register)
    }

    /// Binds a variable in a register that is in use already, as a parameter's is.
    pub(super) fn bind_to(&mut self, var: Var, register: Register, shape: Shape) {
        self.variables.insert(var, Variable { register, shape });
    }

    /// Updates the known properties of a variable.
    pub(super) fn learn(&mut self, var: Var, shape: Shape) {
        if let Some(variable) = self.variables.get_mut(&var) {
            variable.shape = shape;
        }
    }

    /// A variable is no longer used.
    pub(super) fn unbind(&mut self, var: Var) {
        if let Some(variable) = self.variables.remove(&var) {
            self.registers.give_back(variable.register);
        }
    }

    fn variable(&self, var: Var) -> Result<Variable, Refusal> {
        self.variables.get(&var).copied().ok_or(Refusal::Malformed {
            reason: "a variable is used where it is not bound",
            place: self.out.place,
        })
    }

    /// The register of a variable.
    pub(super) fn register_of(&self, var: Var) -> Result<Register, Refusal> {
        Ok(self.variable(var)?.register)
    }

    /// The known properties of an operand.
    pub(super) fn shape(&self, operand: &Operand) -> Shape {
        shape::of_operand(operand, |var| self.variables.get(&var).map(|found| found.shape))
    }

    /// A register that holds an operand: a variable's, or a temporary.
    pub(super) fn operand(&mut self, operand: &Operand) -> Result<Register, Refusal> {
        match operand {
            Operand::Var(var) => self.register_of(*var),
            Operand::Const(value) => {
                let register = self.temporary()?;
                self.out.load(register, value)?;
                Ok(register)
            }
        }
    }

    pub(super) fn operands<'b>(
        &mut self,
        operands: impl IntoIterator<Item = &'b Operand>,
    ) -> Result<Vec<Register>, Refusal> {
        operands.into_iter().map(|operand| self.operand(operand)).collect()
    }

    /// Ends the evaluation with a conflict where the register is true.
    pub(super) fn conflict_if(
        &mut self,
        register: Register,
        conflict: Conflict,
        place: Option<Span>,
    ) {
        let jump = self.out.jump_if(register);
        self.detours.push(Detour { jump, place, does: Does::Conflict(conflict) });
    }

    /// Looks up base data as a store does where `dest` is undefined (or false, which only costs
    /// time).
    pub(super) fn stored_if_undefined(
        &mut self,
        dest: Register,
        keys: Vec<Key>,
    ) -> Result<(), Refusal> {
        let free = self.temporary()?;
        self.out.push(Instruction::Not { dest: free, operand: dest });
        let jump = self.out.jump_if(free);
        let does = Does::Stored { dest, keys, free, back: self.out.here() };
        self.detours.push(Detour { jump, place: self.out.place, does });
        Ok(())
    }

    /// The detours of a rule, behind its code. Returns whether there is a conflict whose message
    /// has its name.
    pub(super) fn detours(&mut self) -> Result<bool, Refusal> {
        let mut tells_name = false;
        for Detour { jump, place, does } in std::mem::take(&mut self.detours) {
            self.out.place = place;
            self.out.land(jump)?;
            match does {
                Does::Conflict(conflict) => {
                    tells_name |= conflict != Conflict::Object;
                    self.out.call(Call::Conflict(conflict), RESULT, &[])?;
                }
                Does::Stored { dest, keys, free, back } => {
                    self.keys(free, &keys)?;
                    self.out.call(Call::Stored, dest, &[free])?;
                    self.out.jump_to(back, free)?;
                }
            }
        }
        Ok(tells_name)
    }

    /// An array of keys.
    pub(super) fn keys(&mut self, dest: Register, keys: &[Key]) -> Result<(), Refusal> {
        let mut registers = Vec::with_capacity(keys.len());
        for key in keys {
            registers.push(match key {
                Key::Register(register) => *register,
                Key::Literal(register, value) => {
                    self.out.load(*register, value)?;
                    *register
                }
            });
        }
        self.out.array(dest, registers)
    }
}
