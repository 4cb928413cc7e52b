//! Opaque bearer tokens. Only their hashes are kept.

use std::fmt;
use std::io;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The beginning of every token that is made here, by which scanners of secrets find one that was
/// published.
const PREFIX: &str = "epe_";

/// Random bytes of a token: nobody finds one by trying, so a fast hash protects it.
const RANDOM: usize = 32;

/// The SHA-256 of a token.
///
/// Tokens are looked up by it. An attacker cannot choose the hash of a guess, so the time that a
/// lookup takes tells nothing of the hashes that are there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// In which of `shards` parts of a table it is.
    pub(super) fn shard(&self, shards: usize) -> usize {
        usize::from(self.0.first().copied().unwrap_or_default()) % shards
    }
}

impl FromStr for TokenHash {
    type Err = ();

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(drop)?;
        bytes.try_into().map(Self).map_err(drop)
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    /// The beginning, which is enough to find it in a file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_string().get(..8).unwrap_or_default())
    }
}

/// A token that was just made. It is nowhere else.
pub struct NewToken {
    token: Zeroizing<String>,
    hash: TokenHash,
}

impl NewToken {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> io::Result<Self> {
        let token = Zeroizing::new(format!("{PREFIX}{}", unguessable()?.as_str()));
        let hash = TokenHash::of(&token);
        Ok(Self { token, hash })
    }

    /// The token, for whoever is to ask with it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its SHA-256 in hexadecimal digits, for the configuration file.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.hash.to_string()
    }
}

/// A text that nobody guesses.
///
/// # Errors
/// When the system has no random bytes.
pub(super) fn unguessable() -> io::Result<Zeroizing<String>> {
    let mut random = Zeroizing::new([0; RANDOM]);
    getrandom::fill(random.as_mut_slice()).map_err(io::Error::other)?;
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(random.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_no_two_are_alike() {
        let made = NewToken::generate().unwrap();
        assert_eq!(made.sha256().parse(), Ok(TokenHash::of(made.token())));
        assert_eq!(made.token().len(), PREFIX.len() + 43);
        assert_ne!(NewToken::generate().unwrap().sha256(), made.sha256());
    }

    #[test]
    fn a_hash_is_64_digits_as_sha256sum_prints_it() {
        let printed = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(printed.parse(), Ok(TokenHash::of("abc")));
        assert_eq!(printed.to_uppercase().parse(), Ok(TokenHash::of("abc")));
        for text in ["", "ba78", &printed[1..], &format!("{printed}0"), &"g".repeat(64)] {
            assert!(text.parse::<TokenHash>().is_err(), "{text}");
        }
    }
}
