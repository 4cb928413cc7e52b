//! Which answers of the bytecode are compared with the interpreter's: the last line of defence,
//! should one be wrong.

/// Says of each answer whether it is compared: many of the first ones, when a tenant's requests are
/// new to the bytecode, and then a few for as long as it answers.
#[derive(Debug, Default)]
pub(crate) struct CrossCheckSampler {
    answered: u64,
}

impl CrossCheckSampler {
    /// One answer of so many is compared. The interpreter takes about ten times as long, so that
    /// costs about a hundredth of the time. Before the first of them, every answer is compared whose
    /// number is a power of two.
    const INTERVAL: u64 = 1024;

    /// The first answer that is compared. A worker gives the first one to nobody, and a client may
    /// have waited for the worker to be there when it gets the second. The interpreter takes longer
    /// to begin than all the rest of them.
    const FIRST: u64 = 4;

    /// Whether the answer that was given now is to be compared.
    pub(crate) const fn is_due(&mut self) -> bool {
        self.answered = self.answered.wrapping_add(1);
        self.answered.is_multiple_of(Self::INTERVAL)
            || (self.answered < Self::INTERVAL
                && self.answered >= Self::FIRST
                && self.answered.is_power_of_two())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_the_first_answers_are_compared_and_some_ever_after() {
        let mut sampler = CrossCheckSampler::default();
        let interval = CrossCheckSampler::INTERVAL;
        let due: Vec<u64> = (1..=4 * interval).filter(|_| sampler.is_due()).collect();
        assert_eq!(due, [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3072, 4096]);
    }
}
