//! A ring of keys that remembers what it has proven: a tile costs a look at memory, not a signature.

use super::{Bearer, KeyRing, Refused};
use std::{
    array,
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
};

/// Parts of the memory: those who look at different ones do not wait for each other.
const SHARDS: usize = 16;
/// Most tokens remembered in a part.
const SHARD_MAX: usize = 512;
/// Bytes at a token's end, the signature's, by which it is looked for. What is found is compared as a whole.
const TAIL_LEN: usize = 32;

/// Checks tokens. Another ring wants another checker: nothing that was proven by keys that are gone is remembered.
pub struct Checker {
    ring: KeyRing,
    /// Nobody outside knows it, so nobody can choose where tokens go.
    hasher: RandomState,
    shards: [RwLock<Shard>; SHARDS],
}

type Shard = HashMap<u64, Proven, BuildHasherDefault<AsItIs>>;

struct Proven {
    token: Box<str>,
    bearer: Arc<Bearer>,
}

impl Checker {
    /// Checks by this ring.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring, hasher: RandomState::new(), shards: array::from_fn(|_| RwLock::default()) }
    }

    /// The keys.
    pub const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// What a token proves at the time `now_s` (seconds since 1970).
    ///
    /// # Errors
    /// [`Refused`]: why it is not taken.
    pub fn check(&self, token: &str, now_s: u64) -> Result<Arc<Bearer>, Refused> {
        if let Some(bearer) = self.known(token) {
            bearer.holds(now_s)?;
            return Ok(bearer);
        }
        let bearer = Arc::new(self.ring.check(token, now_s)?);
        self.remember(token, &bearer, now_s);
        Ok(bearer)
    }

    /// The same where it was proven before; nothing is computed.
    pub fn remembered(&self, token: &str, now_s: u64) -> Option<Arc<Bearer>> {
        self.known(token).filter(|bearer| bearer.validity.holds(now_s).is_ok())
    }

    fn known(&self, token: &str) -> Option<Arc<Bearer>> {
        let (hash, shard) = self.place(token);
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&hash).filter(|proven| *proven.token == *token).map(|proven| Arc::clone(&proven.bearer))
    }

    fn remember(&self, token: &str, bearer: &Arc<Bearer>, now_s: u64) {
        let (hash, shard) = self.place(token);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, proven| proven.bearer.validity.holds(now_s).is_ok());
        }
        if shard.len() >= SHARD_MAX {
            shard.clear();
        }
        shard.insert(hash, Proven { token: token.into(), bearer: Arc::clone(bearer) });
    }

    fn place(&self, token: &str) -> (u64, &RwLock<Shard>) {
        let bytes = token.as_bytes();
        let hash = self.hasher.hash_one(&bytes[bytes.len().saturating_sub(TAIL_LEN)..]);
        (hash, &self.shards[hash as usize % SHARDS])
    }
}

/// Hashes what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not asked for: keys are numbers.
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        self.0 = hasher.finish();
    }

    fn write_u64(&mut self, hash: u64) {
        // The shard has used up the lowest bits.
        self.0 = hash.rotate_right(SHARDS.trailing_zeros());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Claims, Key, Role, Signer};

    const SECRET: &str = "a secret of some length";
    const NOW: u64 = 4_000_000_000;

    fn checker(secret: &str) -> Checker {
        Checker::new(KeyRing::new(vec![Key::from_secret(secret).unwrap()], []))
    }

    fn token(subject: &str, seconds: u64) -> String {
        Signer::from_secret(SECRET).unwrap().sign(&Claims::new(subject, Role::Administrator, NOW, seconds)).unwrap()
    }

    #[test]
    fn what_was_proven_is_remembered_until_it_expires() {
        let checker = checker(SECRET);
        let token = token("somebody", 60);
        assert!(checker.remembered(&token, NOW).is_none());
        let bearer = checker.check(&token, NOW).unwrap();
        assert!(Arc::ptr_eq(&bearer, &checker.check(&token, NOW + 1).unwrap()));
        assert!(Arc::ptr_eq(&bearer, &checker.remembered(&token, NOW + 1).unwrap()));
        assert_eq!(checker.check(&token, NOW + 200), Err(Refused::Expired(140)));
        assert!(checker.remembered(&token, NOW + 200).is_none());
    }

    #[test]
    fn what_is_refused_is_not_remembered_and_a_changed_token_is_another_one() {
        let checker = checker(SECRET);
        let good = token("somebody", 60);
        checker.check(&good, NOW).unwrap();
        let other = token("somebody else", 60);
        // The same end, and another beginning: found at its place, and not it.
        let (message, _) = other.rsplit_once('.').unwrap();
        let (_, signature) = good.rsplit_once('.').unwrap();
        let forged = format!("{message}.{signature}");
        for _ in 0..2 {
            assert_eq!(checker.check(&forged, NOW), Err(Refused::Signature));
            assert!(checker.remembered(&forged, NOW).is_none());
        }
        assert!(checker.remembered("", NOW).is_none());
    }

    #[test]
    fn memory_is_bounded_however_many_tokens_there_are() {
        let checker = checker(SECRET);
        for n in 0..2 * SHARDS * SHARD_MAX {
            checker.check(&token(&n.to_string(), 60), NOW).unwrap();
        }
        let kept: usize = checker.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!((1..=SHARDS * SHARD_MAX).contains(&kept), "{kept}");
    }
}
