//! Tokens that were verified a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::access::principal::Principal;
use crate::access::token::TokenHash;

/// Parts of the cache, each with a lock of its own, so that requests seldom wait for one another.
const SHARDS: usize = 16;

/// Tokens of a generation of one shard: with two generations, 4,096 to 8,192 tokens in all.
const MAX_TOKENS: usize = 256;

/// Bytes of the tokens of a generation of one shard. A principal has a few times the bytes of its
/// token, so all of them have at most a hundred megabytes, however large an issuer's tokens are.
const MAX_BYTES: usize = 256 * 1024;

/// Whom a token stands for.
#[derive(Clone, Debug)]
pub(super) struct CachedToken {
    pub(super) principal: Arc<Principal>,
    /// Not accepted before.
    pub(super) from: Option<DateTime<Utc>>,
    /// The generation of the keys that it was verified by. With other keys, it must be verified
    /// again.
    pub(super) keys: u64,
}

/// Only tokens whose signature was verified get here, so nobody fills it who has none.
#[derive(Debug)]
pub(super) struct VerifiedTokens([Mutex<Shard>; SHARDS]);

/// Those that were used since the last change of generations, and those that were before it. The
/// older ones go when the younger are full, so a token that is in use stays.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<TokenHash, Entry>,
    young_bytes: usize,
    old: HashMap<TokenHash, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    token: CachedToken,
    bytes: usize,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// The token of this hash, if it was verified by these keys.
    pub(super) fn get(&self, hash: &TokenHash, keys: u64) -> Option<CachedToken> {
        let mut shard = self.shard(hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.young.get(hash) {
            return Some(entry.token.clone()).filter(|token| token.keys == keys);
        }
        let entry = shard.old.remove(hash).filter(|entry| entry.token.keys == keys)?;
        let token = entry.token.clone();
        shard.insert(*hash, entry);
        Some(token)
    }

    /// Remembers a token of this many bytes.
    pub(super) fn insert(&self, hash: TokenHash, token: CachedToken, bytes: usize) {
        if let Some(shard) = self.shard(&hash) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.insert(hash, Entry { token, bytes });
        }
    }

    fn shard(&self, hash: &TokenHash) -> Option<&Mutex<Shard>> {
        self.0.get(hash.shard(SHARDS))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let lengths = self.0.iter().map(|shard| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        });
        lengths.sum()
    }
}

impl Shard {
    fn insert(&mut self, hash: TokenHash, entry: Entry) {
        if self.young.len() >= MAX_TOKENS || self.young_bytes >= MAX_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += entry.bytes;
        if let Some(before) = self.young.insert(hash, entry) {
            self.young_bytes -= before.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::grant::{Grant, Roles, Tenants};

    fn token(keys: u64) -> CachedToken {
        let grant = Grant { roles: Roles::NONE, tenants: Tenants::All };
        let principal = Arc::new(Principal { name: "a".to_owned(), grant, expires: None });
        CachedToken { principal, from: None, keys }
    }

    #[test]
    fn a_token_that_is_in_use_stays_and_the_others_are_evicted() {
        let cache = VerifiedTokens::new();
        let used = TokenHash::of("used");
        cache.insert(used, token(1), 1000);
        for index in 0..20 * SHARDS * MAX_TOKENS {
            cache.insert(TokenHash::of(&index.to_string()), token(1), 10);
            assert!(cache.get(&used, 1).is_some(), "{index}");
        }
        assert!(cache.len() <= 2 * SHARDS * MAX_TOKENS, "{}", cache.len());
        assert!(cache.get(&TokenHash::of("0"), 1).is_none());
    }

    #[test]
    fn large_tokens_take_no_more_memory_than_small_ones() {
        let cache = VerifiedTokens::new();
        for index in 0..4 * SHARDS * MAX_TOKENS {
            cache.insert(TokenHash::of(&index.to_string()), token(1), MAX_BYTES / 8);
        }
        assert!(cache.len() <= 2 * SHARDS * 8, "{}", cache.len());
    }

    #[test]
    fn a_token_is_not_known_once_the_keys_have_changed() {
        let cache = VerifiedTokens::new();
        let hash = TokenHash::of("a");
        cache.insert(hash, token(1), 10);
        assert!(cache.get(&hash, 1).is_some());
        assert!(cache.get(&hash, 2).is_none());
    }
}
