//! Policies as bytecode, where it is known to answer as the interpreter does.
//!
//! regorus' bytecode machine is some times faster than its interpreter, and differs from it
//! without saying so. Three things make it safe to ask: the gate lets only policies through that
//! are made of what is known to be compiled well (`gate.rs`); the bytecode gets the checks that it
//! lacks (`hardening.rs`), so that what it cannot do right becomes an error; and after any error
//! the interpreter is asked. What holds is: **an answer of the bytecode is the interpreter's.**
//! `differential.rs` tries to find one that is not.

mod builtins;
mod checks;
mod gate;
mod hardening;

#[cfg(test)]
mod differential;

use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::{Program, RegoVM};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

pub(crate) use checks::Checks;
pub(crate) use gate::Refused;

/// A policy as bytecode, ready to be asked.
#[derive(Debug)]
pub(crate) struct Bytecode {
    machine: RegoVM,
    program: Arc<Program>,
    data: Value,
}

/// The bytecode has no answer: the interpreter has to be asked.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl Bytecode {
    /// Compiles what an engine has been given, which has been prepared for evaluations, to be
    /// asked for one rule. `data` is what the engine has for data.
    ///
    /// # Errors
    /// What the bytecode is not known to do well. Such a policy is the interpreter's.
    pub(crate) fn compile(engine: &Engine, data: Value, rule: &str) -> Result<Self, Refused> {
        // It is asked for its modules as if it were changed by it.
        let mut engine = engine.clone();
        let loops = gate::check(engine.get_modules(), &data)?;
        Self::compile_unchecked(&mut engine, data, rule, Some(&loops))
    }

    fn compile_unchecked(
        engine: &mut Engine,
        data: Value,
        rule: &str,
        loops: Option<&gate::Loops>,
    ) -> Result<Self, Refused> {
        let refused = |what| Refused { what, location: None };
        let compiled = engine
            .compile_with_entrypoint(&rule.into())
            .map_err(|_| refused("what the bytecode's compiler does not take"))?;
        let program = Compiler::compile_from_policy(&compiled, &[rule])
            .map_err(|_| refused("what the bytecode's compiler does not take"))?;
        let program = Arc::try_unwrap(program).unwrap_or_else(|shared| (*shared).clone());
        let program = Arc::new(hardening::hardened(program, loops).map_err(refused)?);
        let machine =
            Self::machine(&program, &data).map_err(|Unanswered| refused("data where a rule is"))?;
        Ok(Self { machine, program, data })
    }

    fn machine(program: &Arc<Program>, data: &Value) -> Result<RegoVM, Unanswered> {
        let mut machine = RegoVM::new();
        // An error is fatal by our own checks. Strictly, the machine would also refuse to compare
        // values of different types, which the interpreter does.
        machine.set_strict_builtin_errors(false);
        // The timer is what ends an evaluation.
        machine.set_max_instructions(usize::MAX);
        machine.load_program(Arc::clone(program));
        machine.set_data(data.clone()).map_err(|_| Unanswered)?;
        Ok(machine)
    }

    /// The rule's value, if the bytecode can tell it within the limit.
    ///
    /// The engine's functions may panic, as they do for the interpreter. Then, and after an error,
    /// [`Self::renew`] comes before the next question.
    ///
    /// # Errors
    /// Where the interpreter has to be asked, for whatever reason.
    pub(crate) fn ask(
        &mut self,
        input: Value,
        timer: ExecutionTimerConfig,
    ) -> Result<Value, Unanswered> {
        self.machine.set_execution_timer_config(Some(timer));
        self.machine.set_input(input);
        let answer = self.machine.execute_entry_point_by_index(0).map_err(|_| Unanswered);
        builtins::forget_results();
        answer
    }

    /// Forgets whatever an evaluation left that ended by an error or a panic.
    ///
    /// # Errors
    /// Never for a program that was loaded once.
    pub(crate) fn renew(&mut self) -> Result<(), Unanswered> {
        self.machine = Self::machine(&self.program, &self.data)?;
        Ok(())
    }
}
