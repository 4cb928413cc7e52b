//! Who asks, once it is known.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use enforcer_protocol::TenantId;

use super::grant::{Grant, Right, Role};

/// Somebody whose credential was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Who, for the log: the credential's name in the operator's file, or its subject.
    pub(crate) name: String,
    pub(crate) grant: Grant,
    /// From then on it is not accepted any more.
    pub(crate) expires: Option<DateTime<Utc>>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// No credentials are configured, and whoever reaches the enforcer may do everything.
    Anyone,
    Known(Arc<Principal>),
}

impl Caller {
    /// Whether it may do what `role` allows, with this tenant.
    pub(crate) fn right(&self, role: Role, tenant_id: &TenantId) -> Right {
        match self {
            Self::Anyone => Right::Granted,
            Self::Known(principal) => principal.grant.right(role, tenant_id),
        }
    }

    /// Whether it may do what `role` allows, with all tenants.
    pub(crate) fn is_for_all(&self, role: Role) -> bool {
        match self {
            Self::Anyone => true,
            Self::Known(principal) => principal.grant.is_for_all(role),
        }
    }

    /// When its credential is no longer accepted.
    pub(super) fn expires(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Anyone => None,
            Self::Known(principal) => principal.expires,
        }
    }

    /// Who, for the log.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Anyone => "anyone",
            Self::Known(principal) => &principal.name,
        }
    }
}

/// Why a credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// There is no credential.
    Missing,
    /// The header is not one bearer token.
    Malformed,
    /// No such credential is configured.
    Unknown,
    Expired,
    /// The client certificate is not accepted any more: by the authorities, or the lists of revoked
    /// certificates, that were read since its connection began.
    Revoked,
}

impl Refusal {
    /// Every reason.
    pub(crate) const ALL: [Self; 5] =
        [Self::Missing, Self::Malformed, Self::Unknown, Self::Expired, Self::Revoked];

    /// The reason's name in metrics and the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The reason as a client is told it.
    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::Missing => {
                "this request needs a credential, such as Authorization: Bearer <token>"
            }
            Self::Malformed => "the Authorization header must be one bearer token",
            Self::Unknown => "the credential is not known here",
            Self::Expired => "the credential has expired",
            Self::Revoked => "the client certificate is not accepted any more",
        }
    }
}
