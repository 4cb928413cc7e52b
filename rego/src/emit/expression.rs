//! Expressions: the values that statements bind or test.

use regorus::Value;
use regorus::rvm::Instruction;
use regorus::rvm::instructions::LiteralOrRegister;

use super::assembler::{ARGUMENTS, Fields};
use super::frame::{Frame, Key};
use super::registers::Register;
use super::shape::{Kind, Shape};
use super::{Call, Refusal, Source, WithSite};
use crate::builtins;
use crate::core::{Expr, Operand, Replacement, Root, RuleId, Substitute, Var};
use crate::core::{own, walk};

/// Built-ins that are instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Whether the second has the first as an element or value.
    Member,
    Count,
}

impl Frame<'_> {
    /// Evaluates an expression into a register that holds none of its operands.
    pub(super) fn expression(&mut self, expr: &Expr, dest: Register) -> Result<(), Refusal> {
        match expr {
            Expr::Operand(Operand::Var(var)) => {
                let src = self.register_of(*var)?;
                self.out.push(Instruction::Move { dest, src });
                Ok(())
            }
            Expr::Operand(Operand::Const(value)) => self.out.load(dest, value),
            Expr::Path(root, keys) => self.path(root, keys, dest),
            Expr::Builtin(name, args) => match self.operator(name, args) {
                Some(operator) => self.operate(operator, args, dest),
                None => self.builtin(name, args, dest),
            },
            Expr::Call(function, args) => {
                let args = self.arguments(*function, args)?;
                let index = self.survey.of(*function)?.index;
                self.out.call_function(index, dest, &args)
            }
            Expr::Rule(rule) => {
                let rule_index = self.survey.of(*rule)?.index;
                self.out.push(Instruction::CallRule { dest, rule_index });
                Ok(())
            }
            Expr::Array(elements) => {
                let elements = self.operands(elements)?;
                self.out.array(dest, elements)
            }
            Expr::Set(elements) => {
                let elements = self.operands(elements)?;
                self.out.set(dest, elements)
            }
            Expr::Object(fields) => self.object(fields, dest),
            Expr::Replaced(slots) => {
                let slots = slots.iter().map(|slot| Value::from(slot.0)).collect::<Vec<_>>();
                let register = self.temporary()?;
                self.out.load(register, &Value::from(slots))?;
                self.out.call(Call::Replaced, dest, &[register])
            }
            Expr::With { function, args, replacements } => {
                self.with(*function, args, replacements, dest)
            }
        }
    }

    fn path(&mut self, root: &Root, keys: &[Operand], dest: Register) -> Result<(), Refusal> {
        let root = match root {
            Root::Input => {
                self.out.push(Instruction::LoadInput { dest });
                dest
            }
            Root::Data => return self.stored(keys, dest),
            Root::Extent => {
                let keys = self.stored_keys(keys)?;
                let all = self.temporary()?;
                self.keys(all, &keys)?;
                return self.out.call(Call::Extent, dest, &[all]);
            }
            Root::Operand(operand) => self.operand(operand)?,
        };
        self.index(dest, root, keys)
    }

    fn index(&mut self, dest: Register, root: Register, keys: &[Operand]) -> Result<(), Refusal> {
        let mut components = Vec::with_capacity(keys.len());
        for key in keys {
            components.push(match key {
                Operand::Var(var) => LiteralOrRegister::Register(self.register_of(*var)?),
                Operand::Const(value) => LiteralOrRegister::Literal(self.out.literal(value)?),
            });
        }
        self.out.index(dest, root, components)
    }

    /// A path into base data. Values that the VM finds there, a store finds too: base data has no
    /// sets, and its keys are text. A store also finds a key's text for a number, and an element of
    /// an array for a text of digits.
    fn stored(&mut self, keys: &[Operand], dest: Register) -> Result<(), Refusal> {
        self.out.push(Instruction::LoadData { dest });
        self.index(dest, dest, keys)?;
        let is_found_alike = |key: &Operand| match key {
            Operand::Const(Value::String(text)) => {
                text.bytes().next_back().is_none_or(|last| !last.is_ascii_digit())
            }
            Operand::Const(_) | Operand::Var(_) => false,
        };
        if !keys.iter().all(is_found_alike) {
            let keys = self.stored_keys(keys)?;
            self.stored_if_undefined(dest, keys)?;
        }
        Ok(())
    }

    fn stored_keys(&mut self, keys: &[Operand]) -> Result<Vec<Key>, Refusal> {
        let mut stored = Vec::with_capacity(keys.len());
        for key in keys {
            stored.push(match key {
                Operand::Var(var) => Key::Register(self.register_of(*var)?),
                Operand::Const(value) => Key::Literal(self.temporary()?, value.clone()),
            });
        }
        Ok(stored)
    }

    /// The instruction that is equivalent to a built-in for any values of these arguments.
    pub(super) fn operator(&self, name: &str, args: &[Operand]) -> Option<Operator> {
        // regorus orders sets before objects, OPA after them. A scalar is before both.
        let has_scalar = || args.iter().any(|operand| self.shape(operand).kind == Kind::Scalar);
        match (name, args) {
            ("equal", [_, _]) => Some(Operator::Equal),
            ("neq", [_, _]) => Some(Operator::Unequal),
            ("lt", [_, _]) if has_scalar() => Some(Operator::Less),
            ("lte", [_, _]) if has_scalar() => Some(Operator::LessOrEqual),
            ("gt", [_, _]) if has_scalar() => Some(Operator::Greater),
            ("gte", [_, _]) if has_scalar() => Some(Operator::GreaterOrEqual),
            ("internal.member_2", [_, _]) => Some(Operator::Member),
            // The instruction has no value for strings, which OPA counts.
            ("count", [of]) if self.shape(of).kind == Kind::Collection => Some(Operator::Count),
            _ => None,
        }
    }

    fn operate(
        &mut self,
        operator: Operator,
        args: &[Operand],
        dest: Register,
    ) -> Result<(), Refusal> {
        let registers = self.operands(args)?;
        let (Some(&left), Some(&right)) = (registers.first(), registers.last()) else {
            return Ok(());
        };
        self.out.push(match operator {
            Operator::Equal => Instruction::Eq { dest, left, right },
            Operator::Unequal => Instruction::Ne { dest, left, right },
            Operator::Less => Instruction::Lt { dest, left, right },
            Operator::LessOrEqual => Instruction::Le { dest, left, right },
            Operator::Greater => Instruction::Gt { dest, left, right },
            Operator::GreaterOrEqual => Instruction::Ge { dest, left, right },
            Operator::Member => Instruction::Contains { dest, collection: right, value: left },
            Operator::Count => Instruction::Count { dest, collection: left },
        });
        Ok(())
    }

    fn builtin(
        &mut self,
        name: &'static str,
        args: &[Operand],
        dest: Register,
    ) -> Result<(), Refusal> {
        let place = self.out.place;
        let function = own::function(name)
            .or_else(|| builtins::function(name))
            .ok_or(Refusal::Builtin { name, place })?;
        let args = self.operands(args)?;
        self.out.call(Call::Builtin { name, function }, dest, &args)
    }

    /// The registers of a function's arguments in the VM, up to its limit: the last is an array of
    /// the rest where there are more.
    fn arguments(&mut self, function: RuleId, args: &[Operand]) -> Result<Vec<Register>, Refusal> {
        let mut registers = self.operands(args)?;
        if is_packed(self.survey.of(function)?.parameters.unwrap_or(0)) {
            let rest = registers.split_off(registers.len().min(ARGUMENTS - 1));
            let packed = self.temporary()?;
            self.out.array(packed, rest)?;
            registers.push(packed);
        }
        Ok(registers)
    }

    fn object(&mut self, fields: &[(Operand, Operand)], dest: Register) -> Result<(), Refusal> {
        let mut made = Fields::default();
        for (key, value) in fields {
            // The last value for a key counts, so keys after one that is known only later are not
            // put into the template.
            match key {
                Operand::Const(key) if made.others.is_empty() => match value {
                    Operand::Const(value) => {
                        made.known.remove(key);
                        made.template.insert(key.clone(), value.clone());
                    }
                    Operand::Var(var) => {
                        made.known.insert(key.clone(), self.register_of(*var)?);
                        made.template.insert(key.clone(), Value::Null);
                    }
                },
                key => {
                    let key = self.operand(key)?;
                    let value = self.operand(value)?;
                    made.others.push((key, value));
                }
            }
        }
        self.out.object(dest, made)
    }

    fn with(
        &mut self,
        function: RuleId,
        args: &[Operand],
        replacements: &[Replacement],
        dest: Register,
    ) -> Result<(), Refusal> {
        let arguments = self.arguments(function, args)?;
        let mut values = Vec::new();
        let mut sources = Vec::new();
        for replacement in replacements {
            let source = match &replacement.value {
                Substitute::Value(operand) => {
                    values.push(self.operand(operand)?);
                    Source::Value
                }
                Substitute::Function(function) => Source::Function(*function),
            };
            sources.push((replacement.target.clone(), source));
        }
        let site = self.out.with_site(WithSite { function, replacements: sources });
        let [site_register, args_register, values_register] =
            [self.temporary()?, self.temporary()?, self.temporary()?];
        self.out.load(site_register, &site)?;
        self.out.array(args_register, arguments)?;
        self.out.array(values_register, values)?;
        self.out.call(Call::With, dest, &[site_register, args_register, values_register])
    }

    /// Whether an expression has a value for all operands.
    pub(super) fn is_defined(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Operand(_)
            | Expr::Array(_)
            | Expr::Set(_)
            | Expr::Object(_)
            | Expr::Replaced(_) => true,
            Expr::Rule(rule) | Expr::Call(rule, _) => {
                self.survey.of(*rule).is_ok_and(|facts| facts.is_defined)
            }
            Expr::Builtin(name, args) => self.operator(name, args).is_some(),
            // A replaced function may be undefined.
            Expr::Path(..) | Expr::With { .. } => false,
        }
    }

    /// The known properties of an expression's value.
    pub(super) fn shape_of(&self, expr: &Expr) -> Shape {
        self.survey.shapes.expression(expr, |operand| self.shape(operand))
    }

    /// Whether an expression is undefined, without other effects, where a variable is. For a test,
    /// false is equivalent.
    pub(super) fn propagates(&self, expr: &Expr, var: Var, is_test: bool) -> bool {
        let is_var = |operand: &Operand| walk::variable(operand) == Some(var);
        match expr {
            Expr::Operand(operand) => is_var(operand),
            Expr::Path(Root::Operand(root), keys) => is_var(root) || keys.iter().any(is_var),
            Expr::Path(Root::Input | Root::Data | Root::Extent, keys) => keys.iter().any(is_var),
            Expr::Builtin(name, args) => {
                let is_false = self.operator(name, args) == Some(Operator::Member);
                args.iter().any(is_var) && (is_test || !is_false)
            }
            Expr::Array(elements) | Expr::Set(elements) => elements.iter().any(is_var),
            Expr::Object(fields) => fields.iter().any(|(key, value)| is_var(key) || is_var(value)),
            Expr::Call(..) | Expr::Rule(_) | Expr::Replaced(_) | Expr::With { .. } => false,
        }
    }
}

/// Whether a function of this many parameters takes the last of them in an array.
pub(super) const fn is_packed(parameters: usize) -> bool {
    parameters > ARGUMENTS
}

/// How many arguments the VM passes to a function of this many parameters.
pub(super) fn passed(parameters: usize) -> usize {
    parameters.min(ARGUMENTS)
}
