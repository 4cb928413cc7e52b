//! What was used of a quota in the last minute, and what was told about it: one atomic, no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The window in which use is counted, and in which each notice is told once. A second would warn
/// of every burst that the quota allows; a minute is what an operator can still act on.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// Bits of a window's count. No quota allows so many units in a window, and it stays at the most
/// that it can hold.
const COUNT_BITS: u32 = 46;

/// See [`COUNT_BITS`].
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Bits of the notices that were told.
const TOLD_BITS: u32 = 2;

/// Windows are numbered modulo this: 45 days of minutes.
const NUMBERS: u64 = 1 << (u64::BITS - COUNT_BITS - TOLD_BITS);

/// A notice that is told once in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    NearlyUsed = 1,
    Exceeded = 2,
}

/// The count of the current window, and that of the one before it.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// A [`Count`].
    current: AtomicU64,
    /// The [`Count`] that the current one replaced.
    previous: AtomicU64,
}

/// One window's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    /// The number of the window, modulo [`NUMBERS`].
    number: u64,
    /// The [`Notice`]s that were told.
    told: u64,
    units: u64,
}

impl Count {
    const fn unpack(bits: u64) -> Self {
        Self {
            units: bits & MAX_COUNT,
            told: (bits >> COUNT_BITS) & ((1 << TOLD_BITS) - 1),
            number: bits >> (COUNT_BITS + TOLD_BITS),
        }
    }

    fn pack(self) -> u64 {
        self.units | self.told << COUNT_BITS | self.number << (COUNT_BITS + TOLD_BITS)
    }

    /// This count if it is of that window, or else an empty one.
    fn of(self, number: u64) -> Self {
        if self.number == number { self } else { Self { number, told: 0, units: 0 } }
    }
}

impl Window {
    /// Counts `units`, `at` this time since any fixed instant. Returns the use of the last minute.
    pub(super) fn add(&self, units: u64, at: Duration) -> u64 {
        let (_, now) = self.change(at, |count| {
            Some(Count { units: count.units.saturating_add(units).min(MAX_COUNT), ..count })
        });
        self.sliding(now, at)
    }

    /// The use of the last minute: the count of this window, and of the one before as much as the
    /// last minute has of it. That assumes that its units came evenly.
    pub(super) fn used(&self, at: Duration) -> u64 {
        let now = Count::unpack(self.current.load(Ordering::Relaxed)).of(number(at));
        self.sliding(now, at)
    }

    /// Whether this notice was not told in this window; it is from now on.
    pub(super) fn tell(&self, notice: Notice, at: Duration) -> bool {
        let bit = notice as u64;
        let (is_changed, _) = self.change(at, |count| {
            (count.told & bit == 0).then_some(Count { told: count.told | bit, ..count })
        });
        is_changed
    }

    /// Changes the count of this window where `next` has another; returns whether it had, and what
    /// is there then.
    fn change(&self, at: Duration, next: impl Fn(Count) -> Option<Count>) -> (bool, Count) {
        let number = number(at);
        let changed = self.current.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some(next(Count::unpack(bits).of(number))?.pack())
        });
        match changed {
            Ok(before) => {
                let before = Count::unpack(before);
                if before.number != number {
                    self.previous.store(before.pack(), Ordering::Relaxed);
                }
                (true, next(before.of(number)).unwrap_or_else(|| before.of(number)))
            }
            Err(bits) => (false, Count::unpack(bits).of(number)),
        }
    }

    fn sliding(&self, now: Count, at: Duration) -> u64 {
        let current = Count::unpack(self.current.load(Ordering::Relaxed));
        let previous = Count::unpack(self.previous.load(Ordering::Relaxed));
        let before = now.number.wrapping_sub(1) % NUMBERS;
        // Without a unit since, the window before is still the current one.
        let before = [previous, current].into_iter().find(|count| count.number == before);
        let length = WINDOW.as_nanos();
        let left = length - at.as_nanos() % length;
        let rest = u128::from(before.map_or(0, |count| count.units)) * left / length;
        now.units.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

/// The number of the window at this time. The first is 1: an empty count is of none.
fn number(at: Duration) -> u64 {
    (at.as_secs() / WINDOW.as_secs() + 1) % NUMBERS
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn use_is_that_of_the_last_minute() {
        let window = Window::default();
        assert_eq!(window.used(at(0)), 0);
        assert_eq!(window.add(60, at(10)), 60);
        assert_eq!(window.add(40, at(59)), 100);
        assert_eq!(window.used(at(60)), 100, "all of the minute before is in the last minute");
        assert_eq!(window.used(at(75)), 75);
        assert_eq!(window.add(10, at(90)), 60);
        assert_eq!(window.used(at(119)), 10 + 1);
        assert_eq!(window.used(at(120)), 10);
        assert_eq!(window.used(at(180)), 0, "both windows are over");
        assert_eq!(window.add(5, at(300)), 5);
    }

    #[test]
    fn a_notice_is_told_once_in_a_window() {
        let window = Window::default();
        assert!(window.tell(Notice::NearlyUsed, at(5)));
        assert!(!window.tell(Notice::NearlyUsed, at(6)));
        assert!(window.tell(Notice::Exceeded, at(6)), "another one is told too");
        window.add(3, at(59));
        assert!(!window.tell(Notice::Exceeded, at(59)));
        assert!(window.tell(Notice::Exceeded, at(60)));
        assert_eq!(window.used(at(60)), 3, "telling something counts nothing and loses nothing");
        assert!(window.tell(Notice::NearlyUsed, at(61)));
    }

    #[test]
    fn threads_lose_no_unit_and_tell_a_notice_once() {
        let window = Window::default();
        let told: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000).for_each(|_| {
                            window.add(1, at(30));
                        });
                        usize::from(window.tell(Notice::NearlyUsed, at(30)))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((window.used(at(30)), told), (8000, 1));
    }

    #[test]
    fn a_count_that_is_too_large_stays_at_the_most_and_changes_nothing_else() {
        let window = Window::default();
        assert!(window.tell(Notice::Exceeded, at(0)));
        window.add(u64::MAX, at(0));
        assert_eq!(window.add(u64::MAX, at(1)), MAX_COUNT);
        assert!(!window.tell(Notice::Exceeded, at(1)));
        assert!(window.tell(Notice::NearlyUsed, at(1)));
    }
}
