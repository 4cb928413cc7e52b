//! Which answers of the bytecode are put to the interpreter too: the last line of defence, should
//! one be wrong all the same.

/// Says of each answer whether it is one of them: of the first ones, when a tenant's requests are new
/// to the bytecode, many; and then a few for as long as it answers.
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
