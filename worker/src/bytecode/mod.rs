//! The policy as regorus' bytecode, which answers several times as fast as its interpreter.
//!
//! Not every policy means the same to both, and the interpreter is the authority. So only what is
//! within the [`gate`] is compiled, which is what both were compared over; whatever fails in the
//! bytecode is the interpreter's to answer; and some of what the bytecode answers is put to the
//! interpreter too, see [`Checks`].

pub(crate) mod gate;

use std::sync::Arc;

use regorus::Value;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::rvm::program::Program;
use regorus::utils::limits::ExecutionTimerConfig;

use crate::diagnostics::shortened;

/// A compiled policy, and the machine that runs it.
#[derive(Debug)]
pub(crate) struct Bytecode {
    machine: RegoVM,
    program: Arc<Program>,
    data: Value,
    pub(crate) checks: Checks,
}

impl Bytecode {
    /// Compiles what the engine has compiled, to be asked for the rule `entry_point`.
    ///
    /// # Errors
    /// What it cannot be compiled for.
    pub(crate) fn compile(engine: &regorus::Engine, entry_point: &str) -> Result<Self, String> {
        // Compiling changes what the engine is about to evaluate.
        let mut engine = engine.clone();
        let data = engine.get_data();
        let compiled = engine.compile_with_entrypoint(&entry_point.into()).map_err(not_compiled)?;
        let program =
            Compiler::compile_from_policy(&compiled, &[entry_point]).map_err(not_compiled)?;
        let machine = machine(&program, &data)?;
        Ok(Self { machine, program, data, checks: Checks::default() })
    }

    /// The entry point's value. `None` when the bytecode has none to give, in that time or at all:
    /// then the interpreter is to say what is the matter.
    pub(crate) fn evaluate(&mut self, input: Value, timer: ExecutionTimerConfig) -> Option<Value> {
        self.machine.set_execution_timer_config(Some(timer));
        self.machine.set_input(input);
        self.machine.execute_entry_point_by_index(0).ok()
    }

    /// Puts another machine in the place of one that failed, and may have kept something of it.
    ///
    /// # Errors
    /// When there can be none, as there was none before.
    pub(crate) fn start_anew(&mut self) -> Result<(), String> {
        self.machine = machine(&self.program, &self.data)?;
        Ok(())
    }
}

fn machine(program: &Arc<Program>, data: &Value) -> Result<RegoVM, String> {
    let mut machine = RegoVM::new();
    // The timer is what bounds an evaluation. The default is 25,000, and an ordinary loop's length.
    machine.set_max_instructions(usize::MAX);
    machine.set_strict_builtin_errors(true);
    machine.load_program(Arc::clone(program));
    machine.set_data(data.clone()).map_err(not_compiled)?;
    Ok(machine)
}

fn not_compiled(error: impl std::fmt::Display) -> String {
    shortened(&format!("it cannot be compiled to bytecode: {error}"))
}

/// Answers of the bytecode that the interpreter is asked for too: of the first ones, when a tenant's
/// requests are new to it, many; and then a few for as long as it answers.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    answered: u64,
}

impl Checks {
    /// One answer of so many is checked. The interpreter takes three to ten times as long, so that
    /// costs less than a hundredth of the time. Before the first of them, every answer is whose
    /// number is a power of two.
    const INTERVAL: u64 = 1024;

    /// Whether the answer that was given now is to be checked.
    pub(crate) const fn is_due(&mut self) -> bool {
        self.answered = self.answered.wrapping_add(1);
        self.answered.is_multiple_of(Self::INTERVAL)
            || (self.answered < Self::INTERVAL && self.answered.is_power_of_two())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_the_first_answers_are_checked_and_some_ever_after() {
        let mut checks = Checks::default();
        let due: Vec<u64> = (1..=4 * Checks::INTERVAL).filter(|_| checks.is_due()).collect();
        assert_eq!(due, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3072, 4096]);
    }
}
