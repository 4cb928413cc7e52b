//! JSON Web Tokens (RFC 7519), signed by the keys of issuers that the operator has named.
//!
//! A token is written by whoever sends it, so nothing of it is believed before its signature was
//! verified, and everything of it has a bound. The operator says which algorithms there are, the
//! issuer's key says which of them it is for, and a token's own `alg` is only compared with both. What
//! a token says about where its key is (`jwk`, `jku`, `x5c`, `x5u`) is never looked at.

pub(crate) mod algorithm;
mod cache;
pub(crate) mod claims;
pub(crate) mod issuer;
mod json;
pub(crate) mod keeper;
pub(crate) mod keys;
pub(crate) mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token;
