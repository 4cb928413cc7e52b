//! So many of something in a second.

use std::time::Duration;

use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(1);

/// Gives out a fixed number of portions in every second.
#[derive(Debug)]
pub(crate) struct Ration {
    per_second: u32,
    began: Instant,
    left: u32,
}

impl Ration {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, began: Instant::now(), left: per_second }
    }

    /// Takes a portion; false when there is none left in this second.
    pub(crate) fn take(&mut self) -> bool {
        if self.began.elapsed() >= PERIOD {
            *self = Self::new(self.per_second);
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }

    /// Whether the last portion of this second was taken.
    pub(crate) const fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// When there will be portions again.
    pub(crate) fn renewal(&self) -> Instant {
        self.began + PERIOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_its_portions_and_no_more() {
        let mut ration = Ration::new(3);
        for _ in 0..2 {
            assert_eq!((0..5).filter(|_| ration.take()).count(), 3);
            assert!(ration.is_spent());
            tokio::time::sleep_until(ration.renewal()).await;
        }
        assert!(ration.take() && !ration.is_spent());
    }
}
