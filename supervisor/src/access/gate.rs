//! The one place where a request's credential is accepted or refused.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use hyper::HeaderMap;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::credentials::Credentials;
use super::license::{License, Scope};
use super::principal::{Caller, Refusal};
use super::proof::{Connection, Proof, bearer};
use crate::clock::utc_now;

/// Between two looks for answers that last longer than the credential that they were asked for with.
const SWEEP: Duration = Duration::from_secs(1);

/// Licenses that are remembered before those that ended are first removed.
const FEW: usize = 64;

/// Whether a credential is needed.
#[derive(Clone, Debug)]
pub(crate) enum Rules {
    /// No credential is configured.
    Open,
    Restricted(Credentials),
}

/// The rules as they are now. A request has those of the moment when it came; an answer that lasts
/// ends when they no longer allow it.
#[derive(Debug)]
pub(crate) struct Access {
    rules: ArcSwap<Rules>,
    licenses: Mutex<Vec<Weak<License>>>,
}

impl Access {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules: ArcSwap::from_pointee(rules), licenses: Mutex::default() }
    }

    /// Replaces the rules: for the next request of everyone, and for answers that last.
    pub(crate) fn replace(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        let now = utc_now();
        self.revoke(|license| !license.is_covered_by(self.check(license.proof(), now)));
    }

    /// Ends answers whose credential has expired, or whose client certificate is not accepted any
    /// more, until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = utc_now();
            self.revoke(|license| license.has_expired(now));
        }
    }

    /// Who asks.
    ///
    /// A token counts before the connection: whoever sends one wants to be known by it, and one that
    /// is not accepted is an error also where the connection would have been enough.
    ///
    /// # Errors
    /// When a credential is needed, and there is none that is accepted.
    pub(crate) fn authenticate(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Caller, Refusal> {
        match &**self.rules.load() {
            Rules::Open => Ok(Caller::Anyone),
            Rules::Restricted(credentials) => whose(credentials, connection, bearer(headers)?, now),
        }
    }

    /// Whose proof this is, by the rules as they are now.
    ///
    /// # Errors
    /// When a credential is needed, and the proof has none that is accepted.
    pub(crate) fn check(&self, proof: &Proof, now: DateTime<Utc>) -> Result<Caller, Refusal> {
        let token = proof.token.as_ref().map(|token| token.as_str());
        match &**self.rules.load() {
            Rules::Open => Ok(Caller::Anyone),
            Rules::Restricted(credentials) => whose(credentials, &proof.connection, token, now),
        }
    }

    /// A license for an answer that lasts, which ends with `stop` or when the rules no longer allow
    /// it.
    pub(crate) fn license(
        &self,
        proof: Proof,
        caller: Caller,
        scope: Scope,
        stop: &CancellationToken,
    ) -> Arc<License> {
        let license = Arc::new(License::new(proof, caller, scope, stop.child_token()));
        let mut licenses = self.licenses.lock().unwrap_or_else(PoisonError::into_inner);
        if licenses.len() == licenses.capacity() {
            licenses.retain(|license| license.strong_count() > 0);
            let live = licenses.len();
            licenses.reserve(live.max(FEW));
        }
        licenses.push(Arc::downgrade(&license));
        license
    }

    fn revoke(&self, is_over: impl Fn(&License) -> bool) {
        let mut licenses = self.licenses.lock().unwrap_or_else(PoisonError::into_inner);
        licenses.retain(|license| {
            let Some(license) = license.upgrade() else { return false };
            let is_over = is_over(&license);
            if is_over {
                license.end();
            }
            !is_over
        });
    }
}

fn whose(
    credentials: &Credentials,
    connection: &Connection,
    token: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Caller, Refusal> {
    let principal = match token {
        Some(token) => credentials.of_token(token, now)?,
        None => match connection.certificate() {
            Some(certificate) => credentials.of_certificate(certificate, now)?,
            None => {
                let of_peer = connection.peer().and_then(|peer| credentials.of_peer(peer));
                of_peer.ok_or(Refusal::Missing)?
            }
        },
    };
    Ok(Caller::Known(Arc::clone(principal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::grant::{Grant, Role, Roles, Tenants};
    use crate::access::principal::Principal;
    use crate::access::proof::PeerIds;
    use crate::access::token::TokenHash;

    fn rules(token: &str, role: Role, expires: Option<DateTime<Utc>>) -> Rules {
        let grant = Grant { roles: Roles::NONE.with(role), tenants: Tenants::All };
        let principal = Principal { name: "a".to_owned(), grant, expires };
        let mut credentials = Credentials::default();
        credentials.tokens.insert(TokenHash::of(token), Arc::new(principal));
        Rules::Restricted(credentials)
    }

    fn proof(token: &str) -> Proof {
        let connection = Connection::Unix(PeerIds { uid: 1, gid: 1 });
        Proof { connection, token: Some(token.to_owned().into()) }
    }

    fn licensed(access: &Access) -> Arc<License> {
        let caller = access.check(&proof("t"), utc_now()).unwrap();
        let scope = Scope::All(Role::Operate);
        access.license(proof("t"), caller, scope, &CancellationToken::new())
    }

    #[test]
    fn an_answer_that_lasts_ends_when_its_token_is_taken_away() {
        let access = Access::new(rules("t", Role::Operate, None));
        let license = licensed(&access);
        access.replace(rules("t", Role::Operate, None));
        assert!(!license.token().is_cancelled());
        access.replace(rules("other", Role::Operate, None));
        assert!(license.token().is_cancelled());
    }

    #[test]
    fn an_answer_that_lasts_ends_when_its_role_is_taken_away() {
        let access = Access::new(rules("t", Role::Operate, None));
        let license = licensed(&access);
        access.replace(rules("t", Role::Decide, None));
        assert!(license.token().is_cancelled());
    }

    #[test]
    fn an_answer_that_was_open_to_everyone_ends_when_a_credential_is_needed() {
        let access = Access::new(Rules::Open);
        let license = licensed(&access);
        access.replace(Rules::Open);
        assert!(!license.token().is_cancelled());
        access.replace(rules("other", Role::Operate, None));
        assert!(license.token().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_lasts_ends_when_its_token_expires() {
        let expires = utc_now() + chrono::TimeDelta::milliseconds(50);
        let access = Arc::new(Access::new(rules("t", Role::Operate, Some(expires))));
        let license = licensed(&access);
        let stop = CancellationToken::new();
        let run = tokio::spawn({
            let (access, stop) = (Arc::clone(&access), stop.clone());
            async move { access.run(stop).await }
        });
        license.token().cancelled().await;
        assert!(access.check(&proof("t"), utc_now()).is_err());
        stop.cancel();
        run.await.unwrap();
    }

    #[test]
    fn licenses_that_ended_are_forgotten() {
        let access = Access::new(Rules::Open);
        for _ in 0..10 * FEW {
            drop(licensed(&access));
        }
        assert!(access.licenses.lock().unwrap().capacity() <= 2 * FEW);
    }
}
