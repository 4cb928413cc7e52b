//! The caller of a request, once it is known.

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

impl Principal {
    /// Whether its credential is no longer accepted.
    pub(super) fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
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
    /// The session was ended, or is too old.
    SessionEnded,
    /// It begins to be accepted later.
    NotYetValid,
    /// It has the form of a JSON Web Token, and is not a valid one.
    InvalidToken,
    /// It is of an issuer that is not configured.
    WrongIssuer,
    /// It is not for this service.
    WrongAudience,
    /// It is signed by an algorithm that the operator did not choose, or that its key is not for.
    WrongAlgorithm,
    /// It is not clear which of the issuer's keys it is signed by, or that is none of them.
    UnknownKey,
    /// It is not signed by the key that it names.
    BadSignature,
    /// A claim is missing, or is of another type.
    InvalidClaims,
    /// The keys of its issuer were never fetched.
    KeysUnavailable,
    /// The client certificate is not accepted any more: by the authorities, or the lists of revoked
    /// certificates, that were read since its connection began.
    Revoked,
}

impl Refusal {
    /// Every reason.
    pub(crate) const ALL: [Self; 15] = [
        Self::Missing,
        Self::Malformed,
        Self::Unknown,
        Self::Expired,
        Self::SessionEnded,
        Self::NotYetValid,
        Self::InvalidToken,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongAlgorithm,
        Self::UnknownKey,
        Self::BadSignature,
        Self::InvalidClaims,
        Self::KeysUnavailable,
        Self::Revoked,
    ];

    /// The reason's name in metrics and the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::SessionEnded => "session_ended",
            Self::NotYetValid => "not_yet_valid",
            Self::InvalidToken => "invalid_token",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::InvalidClaims => "invalid_claims",
            Self::KeysUnavailable => "keys_unavailable",
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
            Self::SessionEnded => "the session has ended; sign in again",
            Self::NotYetValid => "the token is not valid yet",
            Self::InvalidToken => "the token is not a signed JSON Web Token in its canonical form",
            Self::WrongIssuer => "tokens of this issuer are not accepted here",
            Self::WrongAudience => "the token is for another audience",
            Self::WrongAlgorithm => {
                "tokens that are signed by this algorithm are not accepted here"
            }
            Self::UnknownKey => "the token's key is not known here; ask the issuer for a new token",
            Self::BadSignature => "the token's signature is not valid",
            Self::InvalidClaims => {
                "the token's claims must have exp, and times, roles and tenants in their usual types"
            }
            Self::KeysUnavailable => {
                "the keys of the token's issuer are not available; try again later"
            }
            Self::Revoked => "the client certificate is not accepted any more",
        }
    }
}
