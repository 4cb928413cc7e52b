//! The credentials that an operator has configured.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::certificate::{ClientCertificate, NameRule};
use super::jwt::issuer::Issuers;
use super::principal::{Principal, Refusal};
use super::proof::PeerIds;
use super::token::TokenHash;

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerRule {
    User(u32),
    Group(u32),
}

impl PeerRule {
    const fn fits(self, peer: PeerIds) -> bool {
        match self {
            Self::User(uid) => peer.uid == uid,
            Self::Group(gid) => peer.gid == gid,
        }
    }
}

/// All credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) tokens: HashMap<TokenHash, Arc<Principal>>,
    /// Whose tokens are accepted besides.
    pub(crate) issuers: Issuers,
    /// The first that fits is the one.
    pub(crate) peers: Vec<(PeerRule, Arc<Principal>)>,
    /// The first that fits is the one.
    pub(crate) certificates: Vec<(NameRule, Arc<Principal>)>,
}

impl Credentials {
    /// Whose token this is. One whose hash is configured is that one, whatever else it may be.
    ///
    /// # Errors
    /// When it is not one that is accepted now.
    pub(crate) fn of_token(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<Principal>, Refusal> {
        let hash = TokenHash::of(token);
        let Some(principal) = self.tokens.get(&hash) else {
            return self.issuers.principal(hash, token, now);
        };
        if principal.has_expired(now) {
            return Err(Refusal::Expired);
        }
        Ok(Arc::clone(principal))
    }

    /// Whose certificate this is.
    ///
    /// # Errors
    /// When it is not one that is accepted now.
    pub(crate) fn of_certificate(
        &self,
        certificate: &ClientCertificate,
        now: DateTime<Utc>,
    ) -> Result<&Arc<Principal>, Refusal> {
        certificate.check(now)?;
        let mut rules = self.certificates.iter();
        let found = rules.find(|(rule, _)| certificate.fits(rule));
        let (_, principal) = found.ok_or(Refusal::Unknown)?;
        if principal.has_expired(now) {
            return Err(Refusal::Expired);
        }
        Ok(principal)
    }

    /// Whose process this is, if it is one of somebody.
    pub(crate) fn of_peer(&self, peer: PeerIds) -> Option<&Arc<Principal>> {
        self.peers.iter().find(|(rule, _)| rule.fits(peer)).map(|(_, principal)| principal)
    }
}
