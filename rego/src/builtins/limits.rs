//! The limits of built-ins. OPA has no such bounds; here a request must not end a worker, which has
//! a few seconds and some megabytes.

use std::time::Instant;

use super::{Context, Failure};

/// Bits of an integer (some 20,000 decimal digits): writing one takes quadratic time.
pub(crate) const INTEGER_BITS: u64 = 1 << 16;

/// Bytes of a string.
pub(crate) const STRING_BYTES: usize = 16 << 20;

/// Elements of an array, object or set that a built-in makes.
pub(crate) const ELEMENTS: usize = 1 << 20;

/// The highest nesting of a value that a built-in parses, and of one that a built-in traverses.
/// Inputs and data have at most 128 levels; comparing and dropping a value takes some stack a
/// level.
pub(crate) const DEPTH: usize = 512;

/// How many steps of a loop may pass between two reads of the clock.
const STEPS: u32 = 1 << 12;

/// The failure of a call that would pass a limit.
pub(crate) fn exceeded(what: &str) -> Failure {
    Failure::Halt(format!("{what}: the limit of a built-in is reached"))
}

/// Checks the deadline now and then.
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

    /// For a loop that is not of a call.
    pub(crate) const fn until(deadline: Instant) -> Self {
        Self { deadline, steps: 0 }
    }

    /// Counts a step.
    ///
    /// # Errors
    /// When the deadline has passed.
    pub(crate) fn step(&mut self) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps < STEPS {
            return Ok(());
        }
        self.steps = 0;
        before(self.deadline)
    }
}

/// Checks the deadline before a step that takes long by itself.
///
/// # Errors
/// When it has passed.
pub(crate) fn in_time(context: &Context) -> Result<(), Failure> {
    before(context.deadline)
}

fn before(deadline: Instant) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        return Err(Failure::Halt("the evaluation's deadline has passed".to_owned()));
    }
    Ok(())
}
