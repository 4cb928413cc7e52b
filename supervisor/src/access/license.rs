//! Licenses of answers that last: a stream is open for as long as its credential is accepted.

use chrono::{DateTime, Utc};
use enforcer_protocol::TenantId;
use tokio_util::sync::CancellationToken;

use super::grant::{Right, Role};
use super::principal::{Caller, Refusal};
use super::proof::{Kept, Proof};

/// The subject of an answer that lasts, and the role that it needs.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    All(Role),
    Tenant(Role, TenantId),
}

/// The right to an answer that lasts.
#[derive(Debug)]
pub(crate) struct License {
    proof: Proof,
    caller: Caller,
    scope: Scope,
    /// Cancelled when the answer has to end.
    ended: CancellationToken,
}

impl License {
    pub(super) const fn new(
        proof: Proof,
        caller: Caller,
        scope: Scope,
        ended: CancellationToken,
    ) -> Self {
        Self { proof, caller, scope, ended }
    }

    /// Cancelled when the answer has to end.
    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.ended
    }

    pub(super) const fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether whoever this is may still have the answer.
    pub(super) fn is_covered_by(&self, caller: Result<Caller, Refusal>) -> bool {
        caller.is_ok_and(|caller| match &self.scope {
            Scope::All(role) => caller.is_for_all(*role),
            Scope::Tenant(role, tenant_id) => caller.right(*role, tenant_id) == Right::Granted,
        })
    }

    pub(super) fn has_expired(&self, now: DateTime<Utc>) -> bool {
        let Caller::Known(principal) = &self.caller else { return false };
        let is_refused = match self.proof.kept {
            // A token's answer does not depend on the certificate of its connection.
            Kept::Token(_) | Kept::Session(_) => false,
            Kept::Nothing => {
                self.proof.connection.certificate().is_some_and(|it| it.check(now).is_err())
            }
        };
        is_refused || principal.has_expired(now)
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}
