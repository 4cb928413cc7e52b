//! The kinds of events that consumers choose from.

/// The subject of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// A decision was made.
    Decision,
    /// Something happened to a tenant.
    Tenant,
    /// A request got no decision.
    Error,
    /// A tenant nears the end of a quota, or has spent it.
    Quota,
}

impl EventKind {
    /// Every kind.
    pub(super) const ALL: [Self; 4] = [Self::Decision, Self::Tenant, Self::Error, Self::Quota];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    /// The empty set.
    pub(crate) const NONE: Self = Self(0);

    /// Every kind.
    pub(crate) const ALL: Self = Self::NONE
        .with(EventKind::Decision)
        .with(EventKind::Tenant)
        .with(EventKind::Error)
        .with(EventKind::Quota);

    /// The set with this kind too.
    pub(crate) const fn with(self, kind: EventKind) -> Self {
        Self(self.0 | kind.bit())
    }

    pub(crate) const fn include(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}
