//! The digests of a bundle's files.

use std::str::FromStr;

use sha2::digest::DynDigest;
use sha2::{Sha256, Sha384, Sha512, Sha512_256};

use super::canonical::{NotCanonical, walk};

/// An algorithm of digests, by OPA's names. OPA signs with SHA-256. Of those that it verifies, MD5
/// and SHA-1 have known collisions, and SHA-224 and SHA-512-224 are weaker than every signature
/// here; a bundle that lists one of them is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
    Sha512To256,
}

/// The digest's algorithm is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be SHA-256, SHA-384, SHA-512 or SHA-512-256")]
pub(crate) struct UnknownDigest;

impl FromStr for DigestAlgorithm {
    type Err = UnknownDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "SHA-256" => Ok(Self::Sha256),
            "SHA-384" => Ok(Self::Sha384),
            "SHA-512" => Ok(Self::Sha512),
            "SHA-512-256" => Ok(Self::Sha512To256),
            _ => Err(UnknownDigest),
        }
    }
}

impl DigestAlgorithm {
    fn start(self) -> Box<dyn DynDigest> {
        match self {
            Self::Sha256 => Box::new(Sha256::default()),
            Self::Sha384 => Box::new(Sha384::default()),
            Self::Sha512 => Box::new(Sha512::default()),
            Self::Sha512To256 => Box::new(Sha512_256::default()),
        }
    }

    /// The digest of a file's bytes, which come in pieces.
    pub(crate) fn of_bytes<'a>(self, pieces: impl Iterator<Item = &'a [u8]>) -> Box<[u8]> {
        let mut digest = self.start();
        for piece in pieces {
            digest.update(piece);
        }
        digest.finalize()
    }

    /// The digest of a JSON document's meaning: its order of keys and its white space do not count.
    ///
    /// # Errors
    /// When the document is not JSON within the bounds of [`walk`].
    pub(crate) fn of_json(self, json: &[u8]) -> Result<Box<[u8]>, NotCanonical> {
        let mut digest = self.start();
        walk(json, &mut |bytes| digest.update(bytes))?;
        Ok(digest.finalize())
    }
}
