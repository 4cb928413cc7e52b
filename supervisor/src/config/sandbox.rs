//! How workers are sandboxed.

use std::ops::RangeInclusive;

use enforcer_protocol::SandboxMode;

/// How workers are sandboxed.
#[derive(Clone, Debug)]
pub(crate) struct SandboxConfig {
    pub(crate) mode: SandboxMode,
    pub(crate) users: WorkerUsers,
    /// Whether control groups are used where they were delegated.
    pub(crate) control_groups: bool,
}

/// The users that workers run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerUsers {
    /// The supervisor's own.
    None,
    /// These, where the supervisor may become them.
    Auto(RangeInclusive<u32>),
    /// These, or the supervisor does not start.
    Range(RangeInclusive<u32>),
}

/// User ids that systemd's allocation leaves unused (<https://systemd.io/UIDS-GIDS>).
pub(super) const UNUSED_USERS: RangeInclusive<u32> = 1_879_048_192..=1_879_113_727;

/// The first user id that no person or service has anywhere.
pub(super) const FIRST_WORKER_USER: u32 = 1000;
