//! The compiled patterns that a thread has used last.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::program::Program;
use crate::builtins::Failure;

/// How many patterns are kept.
const PATTERNS: usize = 128;

/// How many bytes they may take together.
const BYTES: usize = 24 << 20;

#[derive(Default)]
struct Cache {
    programs: HashMap<String, (Rc<Program>, u64)>,
    bytes: usize,
    uses: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The program of a pattern.
///
/// # Errors
/// As [`Program::compile`].
pub(super) fn program(pattern: &str) -> Result<Rc<Program>, Failure> {
    CACHE.with_borrow_mut(|cache| {
        cache.uses += 1;
        if let Some((program, used)) = cache.programs.get_mut(pattern) {
            *used = cache.uses;
            return Ok(Rc::clone(program));
        }
        let program = Rc::new(Program::compile(pattern)?);
        cache.bytes += program.size();
        cache.programs.insert(pattern.to_owned(), (Rc::clone(&program), cache.uses));
        while cache.programs.len() > PATTERNS || cache.bytes > BYTES && cache.programs.len() > 1 {
            cache.drop_the_oldest();
        }
        Ok(program)
    })
}

impl Cache {
    fn drop_the_oldest(&mut self) {
        let oldest = self.programs.iter().min_by_key(|(_, (_, used))| *used);
        let Some(pattern) = oldest.map(|(pattern, _)| pattern.clone()) else { return };
        if let Some((program, _)) = self.programs.remove(&pattern) {
            self.bytes = self.bytes.saturating_sub(program.size());
        }
    }
}
