//! The common terms for a tenant's state, used by lifecycle, status, metrics and stream.

use serde::Serialize;

/// A tenant's state, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TenantState {
    /// A lazy tenant without a worker: it is started by the next request.
    Asleep,
    /// Its directory holds neither a policy nor data yet.
    Waiting,
    /// Its bundle is read, or a worker starts.
    Starting,
    /// A worker serves it.
    Ready,
    /// A worker serves it, and its latest evaluations all ended in errors.
    Failing,
    /// Its bundle is invalid, and no earlier one serves.
    Rejected,
    /// The last worker failed; the next is started after a pause.
    Backoff,
    /// Too many workers failed; one is started after a long pause.
    Quarantined,
    /// The supervisor ends, or the tenant was removed.
    Stopped,
}

impl TenantState {
    /// Every state.
    pub(crate) const ALL: [Self; 9] = [
        Self::Asleep,
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Failing,
        Self::Rejected,
        Self::Backoff,
        Self::Quarantined,
        Self::Stopped,
    ];

    /// Its name, as users see it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failing => "failing",
            Self::Rejected => "rejected",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        }
    }
}

impl Serialize for TenantState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The admission of requests to a tenant, checked first by every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A worker serves, or will in a moment.
    Open,
    /// The last worker failed, and the next is not started yet.
    Restarting,
    /// No worker will come by itself soon.
    Closed,
}

/// Why a worker ended unexpectedly, or did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// It ended by a fault of its own: an abort, a segmentation fault, an exit.
    Crash,
    /// Another process killed it by SIGKILL: an operator, or the kernel because memory is
    /// exhausted.
    Killed,
    /// It exceeded its memory limit.
    Memory,
    /// An evaluation did not end, and we killed it.
    Stuck,
    /// It was stopped by a signal that was not ours, and we killed it.
    Stopped,
    /// It did not load its bundle in time, and we killed it.
    LoadTimeout,
    /// It broke the protocol, and we killed it.
    Breach,
    /// It made a forbidden system call (SIGSYS).
    ForbiddenCall,
    /// The host could not start it, or could not close its sandbox.
    Host,
}

impl Cause {
    /// Every cause.
    pub(crate) const ALL: [Self; 9] = [
        Self::Crash,
        Self::Killed,
        Self::Memory,
        Self::Stuck,
        Self::Stopped,
        Self::LoadTimeout,
        Self::Breach,
        Self::ForbiddenCall,
        Self::Host,
    ];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Killed => "killed",
            Self::Memory => "memory_limit",
            Self::Stuck => "stuck",
            Self::Stopped => "stopped",
            Self::LoadTimeout => "load_timeout",
            Self::Breach => "protocol_breach",
            Self::ForbiddenCall => "forbidden_call",
            Self::Host => "host",
        }
    }

    /// Its place in [`Self::ALL`], for arrays with one element a cause.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether the request that the worker evaluated may have ended it.
    pub(crate) const fn may_be_an_input(self) -> bool {
        match self {
            Self::Killed | Self::Stopped | Self::Host => false,
            Self::Crash
            | Self::Memory
            | Self::Stuck
            | Self::LoadTimeout
            | Self::Breach
            | Self::ForbiddenCall => true,
        }
    }

    /// Whether only a hostile worker ends like this.
    pub(crate) const fn is_sign_of_compromise(self) -> bool {
        matches!(self, Self::Breach | Self::ForbiddenCall)
    }

    /// Whether it counts against the tenant.
    pub(crate) const fn is_tenant_fault(self) -> bool {
        !matches!(self, Self::Host)
    }
}
