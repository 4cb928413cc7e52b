//! The keys of tokens.

use crate::builtins::crypto::keys::{PrivateKey, PublicKey};

/// A key that tokens are verified with. The key determines its kind, never a token: an algorithm
/// that needs a different kind never verifies.
pub(super) enum VerificationKey {
    Public(PublicKey),
    /// The public half of a private key of a JSON Web Key, which `io.jwt.verify_*` do not accept.
    OfPrivate(PublicKey),
    /// A secret, only for keyed hashes.
    Secret(Vec<u8>),
}

/// A key with the attributes of its JSON Web Key.
pub(super) struct NamedKey {
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) key: VerificationKey,
}

/// A key that tokens are signed with.
pub(super) enum SigningKey {
    Private(PrivateKey),
    Secret(Vec<u8>),
    /// A key that only verifies.
    Public,
}
