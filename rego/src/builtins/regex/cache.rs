//! A cache of the compiled patterns that a thread used last.

use std::collections::HashMap;
use std::rc::Rc;

use super::program::Program;
use crate::builtins::Failure;

/// The highest number of cached patterns.
const PATTERNS: usize = 128;

/// The highest number of bytes in the cache.
const BYTES: usize = 16 << 20;

/// Programs by their patterns.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    programs: HashMap<String, (Rc<Program>, u64)>,
    bytes: usize,
    uses: u64,
}

impl Cache {
    /// The program of a pattern, compiled if it is not cached.
    ///
    /// # Errors
    /// The compiler's errors.
    pub(crate) fn program(
        &mut self,
        pattern: &str,
        compile: impl FnOnce() -> Result<Program, Failure>,
    ) -> Result<Rc<Program>, Failure> {
        self.uses += 1;
        if let Some((program, used)) = self.programs.get_mut(pattern) {
            *used = self.uses;
            return Ok(Rc::clone(program));
        }
        let program = Rc::new(compile()?);
        self.bytes += program.size();
        self.programs.insert(pattern.to_owned(), (Rc::clone(&program), self.uses));
        while self.programs.len() > PATTERNS || self.bytes > BYTES && self.programs.len() > 1 {
            self.drop_the_oldest();
        }
        Ok(program)
    }

    fn drop_the_oldest(&mut self) {
        let oldest = self.programs.iter().min_by_key(|(_, (_, used))| *used);
        let Some(pattern) = oldest.map(|(pattern, _)| pattern.clone()) else { return };
        if let Some((program, _)) = self.programs.remove(&pattern) {
            self.bytes = self.bytes.saturating_sub(program.size());
        }
    }
}
