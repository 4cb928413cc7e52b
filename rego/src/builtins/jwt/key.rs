//! The keys of tokens.

use crate::builtins::crypto::keys::{PrivateKey, PublicKey};

/// A key that tokens are verified with. Which kind it is was said with the key, never by a token: an
/// algorithm that needs another kind verifies nothing.
pub(super) enum VerificationKey {
    Public(PublicKey),
    /// The public half of a private key of a JSON Web Key, which `io.jwt.verify_*` do not take.
    OfPrivate(PublicKey),
    /// A secret, for keyed hashes alone.
    Secret(Vec<u8>),
}

/// A key with what its JSON Web Key says of it.
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
