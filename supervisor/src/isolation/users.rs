//! A user for every tenant, if the supervisor may switch users.
//!
//! One tenant's worker cannot touch another tenant's: the kernel separates users by itself, for
//! signals, for tracing and for future interfaces.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use caps::{CapSet, Capability};
use nix::unistd::geteuid;

/// The capabilities needed to switch to another user, and to kill one's own worker afterwards.
const NEEDED: [Capability; 3] =
    [Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_KILL];

/// The users that workers run as. Each is also the id of a group.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    range: RangeInclusive<u32>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    users: BTreeSet<u32>,
    latest: Option<u32>,
}

/// A user of one tenant, until it is dropped.
#[derive(Debug)]
pub(crate) struct UserLease {
    user: u32,
    taken: Arc<Mutex<Taken>>,
}

impl Users {
    /// The users of `range`, if this process may switch to each of them.
    ///
    /// # Errors
    /// The reason, as a message for an operator.
    pub(crate) fn new(range: RangeInclusive<u32>) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("the supervisor does not run as root".to_owned());
        }
        for capability in NEEDED {
            if !matches!(caps::has_cap(None, CapSet::Effective, capability), Ok(true)) {
                return Err(format!("the supervisor lacks {capability}"));
            }
        }
        for map in ["/proc/self/uid_map", "/proc/self/gid_map"] {
            if !fs::read_to_string(map).is_ok_and(|text| covers(&text, &range)) {
                return Err(format!(
                    "{} does not hold the ids {} to {}",
                    Path::new(map).display(),
                    range.start(),
                    range.end()
                ));
            }
        }
        Ok(Self::of(range))
    }

    fn of(range: RangeInclusive<u32>) -> Self {
        Self { range, taken: Arc::default() }
    }

    /// A user that no other tenant has; `None` when all are taken.
    pub(crate) fn lease(&self) -> Option<UserLease> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // One after the other, and round again: a user that was given back has processes of its
        // last tenant for a moment, so it is reused last.
        let after = taken.latest.map_or(*self.range.start(), |latest| latest.saturating_add(1));
        let is_free = |user: &u32| !taken.users.contains(user);
        let user = (after..=*self.range.end())
            .find(is_free)
            .or_else(|| (*self.range.start()..after).find(is_free))?;
        taken.users.insert(user);
        taken.latest = Some(user);
        Some(UserLease { user, taken: Arc::clone(&self.taken) })
    }
}

impl UserLease {
    /// The user's id, and its group's.
    pub(crate) const fn id(&self) -> u32 {
        self.user
    }
}

impl Drop for UserLease {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).users.remove(&self.user);
    }
}

/// Whether a map of ids (`user_namespaces(7)`) has one line that holds all of `range`.
fn covers(map: &str, range: &RangeInclusive<u32>) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        first <= u64::from(*range.start()) && u64::from(*range.end()) < first.saturating_add(count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tenants_have_the_same_user() {
        let users = Users::of(10..=12);
        let mut leases: Vec<_> = (0..3).map(|_| users.lease().unwrap()).collect();
        assert_eq!(leases.iter().map(UserLease::id).collect::<Vec<_>>(), [10, 11, 12]);
        assert!(users.lease().is_none());
        drop(leases.remove(1));
        assert_eq!(users.lease().unwrap().id(), 11);
    }

    #[test]
    fn a_user_that_was_given_back_is_the_last_to_be_given_again() {
        let users = Users::of(10..=12);
        let given: Vec<u32> = (0..7).map(|_| users.lease().unwrap().id()).collect();
        assert_eq!(given, [10, 11, 12, 10, 11, 12, 10]);
    }

    #[test]
    fn a_range_has_to_be_in_one_line_of_the_map() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(covers(map, &(1..=65_536)));
        assert!(!covers(map, &(0..=1)));
        assert!(!covers(map, &(1..=65_537)));
        assert!(covers("0 0 4294967295\n", &(1_879_048_192..=1_879_113_727)));
        assert!(!covers("", &(1..=1)) && !covers("0 x 5", &(1..=1)));
    }
}
