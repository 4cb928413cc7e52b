//! What a built-in may take at most. OPA has no such bounds; here a request must not end a worker,
//! which has a few seconds and some megabytes.

use std::time::Instant;

use super::{Context, Failure};

/// Bits of an integer (some 20,000 decimal digits): writing one takes time that grows with the square
/// of it.
pub(crate) const INTEGER_BITS: u64 = 1 << 16;

/// Bytes of a string.
pub(crate) const STRING_BYTES: usize = 16 << 20;

/// Elements of an array, object or set that a built-in makes.
pub(crate) const ELEMENTS: usize = 1 << 20;

/// How deep a value may be nested that a built-in makes of a text, and how deep a built-in goes into
/// one. Inputs and data have at most 128 levels; comparing and dropping a value takes some stack a level.
pub(crate) const DEPTH: usize = 512;

/// How many steps of a loop may pass between two looks at the clock.
const STEPS: u32 = 1 << 12;

/// The failure of a call that would pass a limit.
pub(crate) fn exceeded(what: &str) -> Failure {
    Failure::Halt(format!("{what}: the limit of a built-in is reached"))
}

/// Looks at the deadline now and then.
#[derive(Debug)]
pub(crate) struct Clock {
    deadline: Instant,
    steps: u32,
}

impl Clock {
    /// For a loop of one call.
    pub(crate) fn new(context: &Context) -> Self {
        Self { deadline: context.deadline, steps: 0 }
    }

    /// Counts a step.
    ///
    /// # Errors
    /// Where the deadline has passed.
    pub(crate) fn step(&mut self) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps < STEPS {
            return Ok(());
        }
        self.steps = 0;
        before(self.deadline)
    }
}

/// Looks at the deadline, before a step that takes long by itself.
///
/// # Errors
/// Where it has passed.
pub(crate) fn in_time(context: &Context) -> Result<(), Failure> {
    before(context.deadline)
}

fn before(deadline: Instant) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        return Err(Failure::Halt("the evaluation's deadline has passed".to_owned()));
    }
    Ok(())
}
