//! The claims of a token: its audience, its time, and the rights of its subject.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use enforcer_protocol::TenantId;
use serde_json::{Map, Value};

use crate::access::grant::{ALL_TENANTS, Grant, Roles, Tenants};
use crate::access::principal::{Principal, Refusal};

/// The last second of the year 9999. A later one is not a time, and adding to it could overflow.
const LATEST: u64 = 253_402_300_799;

/// Characters of a subject that the log repeats.
const MAX_SUBJECT: usize = 128;

/// Who shows a token without a subject.
const UNNAMED: &str = "somebody";

/// Names in the claim of roles or tenants. No token of 16 KiB has many more.
const MAX_NAMES: usize = 4096;

/// Where a claim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimPath {
    /// A member of the claims, whatever its name: `https://example.com/roles` is a usual one.
    Name(String),
    /// A pointer into them (RFC 6901), such as `/realm_access/roles`.
    Pointer(String),
}

/// Whether a token may be for all tenants.
///
/// `*` in a claim is every right that its role has, also over tenants that come later. Whoever fills
/// the claim at the issuer, which may be a tenant's own administrator, must not be able to give that
/// without the operator having wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllTenants {
    /// `*` is not a tenant's id, and is ignored as others are that are not.
    Ignored,
    Allowed,
}

/// The rules for the claims of an issuer's tokens, and their meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimRules {
    /// Names of ours, of which a token must have one.
    pub(crate) audiences: Vec<String>,
    pub(crate) roles: ClaimPath,
    pub(crate) tenants: ClaimPath,
    pub(crate) subject: ClaimPath,
    pub(crate) all_tenants: AllTenants,
    /// How far the clocks of the issuer and of this host may differ.
    pub(crate) leeway: Duration,
}

/// The owner of a token, and the time from which it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    pub(super) from: Option<DateTime<Utc>>,
}

impl ClaimPath {
    fn of<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        match self {
            Self::Name(name) => claims.get(name),
            Self::Pointer(pointer) => {
                let (first, rest) = match pointer.get(1..)?.split_once('/') {
                    Some((first, rest)) => (first, format!("/{rest}")),
                    None => (pointer.get(1..)?, String::new()),
                };
                claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(&rest)
            }
        }
    }
}

impl ClaimRules {
    /// Who shows a token with these claims, whose signature was verified and whose issuer is
    /// `issuer`.
    ///
    /// # Errors
    /// When the token is not for this service or not for now, or when a claim has another type.
    pub(super) fn verify(
        &self,
        issuer: &str,
        claims: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        let leeway = TimeDelta::from_std(self.leeway).map_err(|_| Refusal::InvalidClaims)?;
        let expires = time(claims, "exp")?.ok_or(Refusal::InvalidClaims)? + leeway;
        let not_before = time(claims, "nbf")?.map(|time| time - leeway);
        let issued = time(claims, "iat")?.map(|time| time - leeway);
        if !self.is_for_us(claims.get("aud"))? {
            return Err(Refusal::WrongAudience);
        }
        let from = not_before.max(issued);
        if from.is_some_and(|from| now < from) {
            return Err(Refusal::NotYetValid);
        }
        if expires <= now {
            return Err(Refusal::Expired);
        }
        // A role that is not known here is one of another service.
        let roles = names(self.roles.of(claims))?;
        let roles: Roles = roles.into_iter().filter_map(|name| name.parse().ok()).collect();
        let tenants = self.tenants(names(self.tenants.of(claims))?);
        let name = format!("{} of {issuer}", subject(self.subject.of(claims))?);
        let grant = Grant { roles, tenants };
        Ok(Verified { principal: Principal { name, grant, expires: Some(expires) }, from })
    }

    fn is_for_us(&self, audience: Option<&Value>) -> Result<bool, Refusal> {
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        match audience {
            None => Ok(false),
            Some(Value::String(audience)) => Ok(is_ours(audience)),
            Some(Value::Array(audiences)) => {
                let audiences: Option<Vec<&str>> = audiences.iter().map(Value::as_str).collect();
                Ok(audiences.ok_or(Refusal::InvalidClaims)?.into_iter().any(is_ours))
            }
            Some(_) => Err(Refusal::InvalidClaims),
        }
    }

    fn tenants(&self, names: Vec<&str>) -> Tenants {
        if self.all_tenants == AllTenants::Allowed && names.contains(&ALL_TENANTS) {
            return Tenants::All;
        }
        let ids = names.into_iter().filter_map(|name| name.parse::<TenantId>().ok());
        Tenants::Named(ids.collect())
    }
}

/// A claim that is a time, in whole seconds since 1970. A text of digits is refused, not ignored:
/// then a token would be valid that its issuer made to be invalid.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().filter(|seconds| *seconds <= LATEST);
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map(Some).ok_or(Refusal::InvalidClaims)
}

/// The names in a list, or in a text that divides them by spaces, as `scope` does (RFC 8693). Without
/// the claim there is no name.
fn names(claim: Option<&Value>) -> Result<Vec<&str>, Refusal> {
    let names: Option<Vec<&str>> = match claim {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(text.split_ascii_whitespace().collect()),
        Some(Value::Array(names)) => names.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    names.filter(|names| names.len() <= MAX_NAMES).ok_or(Refusal::InvalidClaims)
}

/// The subject, for the log.
fn subject(claim: Option<&Value>) -> Result<String, Refusal> {
    let text = claim.map_or(Some(UNNAMED), Value::as_str).ok_or(Refusal::InvalidClaims)?;
    let is_shown = |char: &char| !char.is_control();
    Ok(text.chars().filter(is_shown).take(MAX_SUBJECT).collect())
}
