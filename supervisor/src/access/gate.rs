//! The one place where a request's credential is accepted or refused.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use enforcer_protocol::RateLimiter;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::info;
use zeroize::Zeroizing;

use super::credentials::Credentials;
use super::jwt::source::KeyStatus;
use super::license::{License, Scope};
use super::principal::{Caller, Refusal};
use super::proof::{Connection, Proof, Shown};
use super::sessions::Sessions;
use super::token::TokenHash;
use crate::clock::utc_now;

/// Between two looks for answers that last longer than the credential that they were asked for with.
const SWEEP: Duration = Duration::from_secs(1);

/// Refused credentials that are logged in a second. Whoever reaches the port can cause them.
const REFUSAL_LINES: u32 = 10;

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
    sessions: Sessions,
    refusal_lines: Mutex<RateLimiter>,
}

impl Access {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            licenses: Mutex::default(),
            sessions: Sessions::default(),
            refusal_lines: Mutex::new(RateLimiter::new(REFUSAL_LINES, REFUSAL_LINES)),
        }
    }

    /// Replaces the rules: for the next request of everyone, and for answers that last.
    pub(crate) fn replace(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.check_again();
    }

    /// Ends answers that last and that the rules as they are now do not allow.
    pub(crate) fn check_again(&self) {
        let now = utc_now();
        self.revoke(|license| !license.is_covered_by(self.check(license.proof(), now)));
    }

    /// Where the keys of the issuers of tokens stand.
    pub(crate) fn keys(&self) -> Vec<KeyStatus> {
        match &**self.rules.load() {
            Rules::Open => Vec::new(),
            Rules::Restricted(credentials) => {
                credentials.issuers.0.iter().map(|issuer| issuer.keys.status()).collect()
            }
        }
    }

    /// Ends answers whose credential has expired, or whose client certificate is not accepted any
    /// more, until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = utc_now();
            self.revoke(|license| license.has_expired(now) || self.has_session_ended(license));
        }
    }

    /// Who asks.
    ///
    /// A token counts before the connection: whoever sends one wants to be known by it, and one that
    /// is not accepted is an error also where the connection would have been enough. So does a
    /// session.
    ///
    /// # Errors
    /// When a credential is needed, and there is none that is accepted.
    pub(crate) fn authenticate(
        &self,
        connection: &Connection,
        shown: Shown<'_>,
        now: DateTime<Utc>,
    ) -> Result<Caller, Refusal> {
        match &**self.rules.load() {
            Rules::Open => Ok(Caller::Anyone),
            Rules::Restricted(credentials) => match shown {
                Shown::Nothing => whose(credentials, connection, None, now),
                Shown::Token(token) => whose(credentials, connection, Some(token), now),
                Shown::Session(id) => {
                    let token = self.sessions.token(id).ok_or(Refusal::SessionEnded)?;
                    whose(credentials, connection, Some(&token), now)
                }
            },
        }
    }

    /// Whose proof this is, by the rules as they are now.
    ///
    /// # Errors
    /// When a credential is needed, and the proof has none that is accepted.
    pub(crate) fn check(&self, proof: &Proof, now: DateTime<Utc>) -> Result<Caller, Refusal> {
        self.authenticate(proof.connection(), proof.shown(), now)
    }

    /// Begins a session for somebody with this token, and returns its id.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn begin_session(&self, token: &str) -> io::Result<Zeroizing<String>> {
        self.sessions.begin(token)
    }

    /// Ends a session, and every answer that lasts for it.
    pub(crate) fn end_session(&self, id: TokenHash) {
        self.sessions.end(id);
        self.revoke(|license| self.has_session_ended(license));
    }

    fn has_session_ended(&self, license: &License) -> bool {
        license.proof().session().is_some_and(|id| !self.sessions.has(id))
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
        drop(licenses);
        // The rules may have changed since the caller was known. Whoever changes them from now on finds
        // the license.
        if !license.is_covered_by(self.check(license.proof(), utc_now())) {
            license.end();
        }
        license
    }

    /// Logs that a credential was refused.
    pub(crate) fn log_refusal(&self, refusal: Refusal, connection: &Connection) {
        let mut lines = self.refusal_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.try_take(1, Instant::now()) {
            drop(lines);
            info!(reason = refusal.name(), client = %connection, "a credential was refused");
        }
    }

    fn revoke(&self, is_over: impl Fn(&License) -> bool) {
        let mut live = Vec::new();
        let mut licenses = self.licenses.lock().unwrap_or_else(PoisonError::into_inner);
        licenses.retain(|license| {
            let license = license.upgrade();
            live.extend(license.clone());
            license.is_some()
        });
        // Without the lock: a signature takes a while to be verified.
        drop(licenses);
        for license in live.iter().filter(|license| is_over(license)) {
            license.end();
        }
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
            Some(certificate) => Arc::clone(credentials.of_certificate(certificate, now)?),
            None => {
                let of_peer = connection.peer().and_then(|peer| credentials.of_peer(peer));
                Arc::clone(of_peer.ok_or(Refusal::Missing)?)
            }
        },
    };
    Ok(Caller::Known(principal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::grant::{Grant, Role, Roles, Tenants};
    use crate::access::principal::Principal;
    use crate::access::proof::PeerIds;

    fn rules(token: &str, role: Role, expires: Option<DateTime<Utc>>) -> Rules {
        let grant = Grant { roles: Roles::NONE.with(role), tenants: Tenants::All };
        let principal = Principal { name: "a".to_owned(), grant, expires };
        let mut credentials = Credentials::default();
        credentials.tokens.insert(TokenHash::of(token), Arc::new(principal));
        Rules::Restricted(credentials)
    }

    fn proof(token: &str) -> Proof {
        let connection = Connection::Unix(PeerIds { uid: 1, gid: 1 });
        Proof::new(&connection, Shown::Token(token))
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
    fn an_answer_whose_token_is_taken_away_before_it_begins_ends_at_once() {
        let access = Access::new(rules("t", Role::Operate, None));
        let caller = access.check(&proof("t"), utc_now()).unwrap();
        access.replace(rules("other", Role::Operate, None));
        let scope = Scope::All(Role::Operate);
        let license = access.license(proof("t"), caller, scope, &CancellationToken::new());
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

    #[test]
    fn an_answer_that_lasts_ends_with_its_session() {
        let access = Access::new(rules("t", Role::Operate, None));
        let connection = Connection::Unix(PeerIds { uid: 1, gid: 1 });
        let licensed = |id: &str| {
            let proof = Proof::new(&connection, Shown::Session(TokenHash::of(id)));
            let caller = access.check(&proof, utc_now()).unwrap();
            access.license(proof, caller, Scope::All(Role::Operate), &CancellationToken::new())
        };
        let (first, second) =
            (access.begin_session("t").unwrap(), access.begin_session("t").unwrap());
        let (one, other) = (licensed(&first), licensed(&second));
        access.end_session(TokenHash::of(&first));
        assert!(one.token().is_cancelled() && !other.token().is_cancelled());
        let refused =
            access.authenticate(&connection, Shown::Session(TokenHash::of(&first)), utc_now());
        assert_eq!(refused.unwrap_err(), Refusal::SessionEnded);
        access.replace(rules("u", Role::Operate, None));
        assert!(other.token().is_cancelled());
        let refused =
            access.authenticate(&connection, Shown::Session(TokenHash::of(&second)), utc_now());
        assert_eq!(refused.unwrap_err(), Refusal::Unknown);
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
