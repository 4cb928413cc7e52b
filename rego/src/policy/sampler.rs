//! Selects the answers of the bytecode that are compared with the interpreter's: the last line of
//! defence against a wrong one.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Decides for each answer whether it is compared: one of the first ones, then one each time the
/// number of answers has doubled, and later one in [`Self::INTERVAL`].
#[derive(Debug)]
pub(crate) struct CrossCheckSampler {
    answered: u64,
    next: u64,
}

impl CrossCheckSampler {
    /// Building the interpreter takes about as long as a hundred answers, so this costs about a
    /// hundredth of the time.
    const INTERVAL: u64 = 16_384;

    /// The earliest answer of a tenant that is compared. The first is the warm-up's, which no
    /// client gets, and the client of the second may already have waited for the worker's start.
    const EARLIEST: u64 = 4;

    /// The number of answers among which the first comparison is. So tenants that start together,
    /// after a start of the host, do not all pause together.
    const SPREAD: u64 = 1_024;

    /// For a tenant, or anything else with a unique name.
    pub(crate) fn for_tenant(id: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        Self { answered: 0, next: Self::EARLIEST + hasher.finish() % Self::SPREAD }
    }

    /// For tools: the very first answer is compared as well.
    pub(crate) const fn from_the_first() -> Self {
        Self { answered: 0, next: 1 }
    }

    /// Whether to compare the current answer.
    pub(crate) fn is_due(&mut self) -> bool {
        self.answered = self.answered.wrapping_add(1);
        if self.answered != self.next {
            return false;
        }
        self.next = self.next.wrapping_add(self.next.min(Self::INTERVAL));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(mut sampler: CrossCheckSampler, answers: u64) -> Vec<u64> {
        (1..=answers).filter(|_| sampler.is_due()).collect()
    }

    #[test]
    fn many_of_the_first_answers_are_compared_and_some_ever_after() {
        let all = due(CrossCheckSampler::from_the_first(), 50_000);
        let expected =
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 49152];
        assert_eq!(all, expected);
    }

    #[test]
    fn tenants_are_compared_at_different_times_and_not_while_a_client_waits_for_the_worker() {
        let firsts = (0..1_000).map(|number| {
            let sampler = CrossCheckSampler::for_tenant(&format!("tenant{number}"));
            due(sampler, 2_000).first().copied().unwrap()
        });
        let mut at = std::collections::BTreeMap::<u64, u32>::new();
        firsts.for_each(|first| *at.entry(first).or_default() += 1);
        assert!(at.keys().all(|first| (4..1_028).contains(first)), "{at:?}");
        assert!(at.values().all(|tenants| *tenants < 10), "{at:?}");
    }
}
