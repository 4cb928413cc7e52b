//! Signatures of bundles, as OPA makes them: a token (JWS) that lists a bundle's files with their
//! digests.
//!
//! What is read here comes from whoever wrote the bundle, so everything has a bound, and a key
//! decides by which algorithm it verifies: a token's own `alg` is only compared with it.

mod algorithm;
mod canonical;
mod digest;
pub(crate) mod fuzzing;
mod key;
mod token;

pub(crate) use algorithm::Algorithm;
pub(crate) use canonical::{MAX_SIGNED_JSON, NotCanonical};
pub(crate) use digest::{DigestAlgorithm, UnknownDigest};
pub(crate) use key::{MAX_KEY_FILE, VerifyingKey};
pub(crate) use token::{ListedFile, MAX_SIGNATURES_FILE, SignedFiles, Token, TokenError};
