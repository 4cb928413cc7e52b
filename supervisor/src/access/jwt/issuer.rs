//! Issuers of tokens, and the owners of the tokens that they have made.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::algorithm::JwtAlgorithm;
use super::cache::{CachedToken, VerifiedTokens};
use super::claims::ClaimRules;
use super::source::KeySource;
use super::token::{UnverifiedToken, is_in_parts};
use crate::access::principal::{Principal, Refusal};
use crate::access::token::TokenHash;

/// An issuer that the operator has named.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// As the claim `iss` has it.
    pub(crate) name: String,
    /// The operator's choice. A token of another algorithm is refused, whatever its key is for.
    pub(crate) algorithms: Vec<JwtAlgorithm>,
    pub(crate) rules: ClaimRules,
    pub(crate) keys: Arc<KeySource>,
    verified: VerifiedTokens,
}

/// All issuers. There are few, each with another name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issuers(pub(crate) Vec<Arc<Issuer>>);

impl Issuer {
    /// An issuer of which no token was verified yet.
    pub(crate) fn new(
        name: String,
        algorithms: Vec<JwtAlgorithm>,
        rules: ClaimRules,
        keys: Arc<KeySource>,
    ) -> Self {
        Self { name, algorithms, rules, keys, verified: VerifiedTokens::new() }
    }

    /// The same issuer with keys from another source.
    pub(super) fn with_keys(&self, keys: Arc<KeySource>) -> Self {
        Self::new(self.name.clone(), self.algorithms.clone(), self.rules.clone(), keys)
    }

    fn verify(
        &self,
        hash: TokenHash,
        token: &UnverifiedToken<'_>,
        bytes: usize,
        now: DateTime<Utc>,
    ) -> Result<Arc<Principal>, Refusal> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Refusal::WrongAlgorithm);
        }
        let keys = self.keys.current();
        let key = keys.set.select(token.key_id.as_deref(), token.algorithm);
        let key = key.inspect_err(|_| {
            // The issuer may have a new key, of which nothing is known here yet.
            if token.key_id.as_deref().is_some_and(|id| !keys.set.has(id)) {
                self.keys.ask();
            }
        })?;
        if !key.verifies(token.algorithm, token.signed, &token.signature) {
            return Err(Refusal::BadSignature);
        }
        let verified = self.rules.verify(&self.name, &token.claims, now)?;
        let principal = Arc::new(verified.principal);
        let cached = CachedToken {
            principal: Arc::clone(&principal),
            from: verified.from,
            keys: keys.generation,
        };
        self.verified.insert(hash, cached, bytes);
        Ok(principal)
    }
}

impl Issuers {
    /// Who shows this token.
    ///
    /// # Errors
    /// When no issuer has made it for this service and for now.
    pub(crate) fn principal(
        &self,
        hash: TokenHash,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<Principal>, Refusal> {
        for issuer in &self.0 {
            let generation = issuer.keys.current().generation;
            if let Some(CachedToken { principal, from, .. }) =
                issuer.verified.get(&hash, generation)
            {
                // The clock may have been set back since.
                if from.is_some_and(|from| now < from) {
                    return Err(Refusal::NotYetValid);
                }
                if principal.has_expired(now) {
                    return Err(Refusal::Expired);
                }
                return Ok(principal);
            }
        }
        if self.0.is_empty() || !is_in_parts(token) {
            return Err(Refusal::Unknown);
        }
        let unverified = UnverifiedToken::parse(token)?;
        // It says which keys to verify it by, and nothing else follows from it before that.
        let name = unverified.claims.get("iss").and_then(Value::as_str);
        let issuer = self.0.iter().find(|issuer| Some(issuer.name.as_str()) == name);
        issuer.ok_or(Refusal::WrongIssuer)?.verify(hash, &unverified, token.len(), now)
    }
}
