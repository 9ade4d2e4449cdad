//! Tokens that were taken back. They are looked at where a token is proven anew: with each change all that was proven before
//! is forgotten, and what is remembered after it was not taken back.

use microtome_proto::{SessionId, token::Bearer};
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// BLAKE3 of what a token signs, in hexadecimal. Its signature is left out: of some kinds there is more than one that fits.
pub fn token_hash(token: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    blake3::hash(signed.as_bytes()).to_hex().to_string()
}

/// What this server knows to be taken back.
#[derive(Default)]
pub(super) struct Revoked(RwLock<Arc<Known>>);

#[derive(Default)]
struct Known {
    version: u64,
    tokens: HashSet<String>,
    has_sessions: bool,
}

impl Revoked {
    pub(super) fn version(&self) -> u64 {
        self.known().version
    }

    /// Whether it changes anything: what is older, and came later, does not.
    pub(super) fn replace(&self, version: u64, tokens: Vec<String>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if version <= known.version {
            return false;
        }
        let has_sessions = tokens.iter().any(|token| token.parse::<SessionId>().is_ok());
        *known = Arc::new(Known { version, tokens: tokens.into_iter().collect(), has_sessions });
        true
    }

    pub(super) fn has(&self, token: &str) -> bool {
        let known = self.known();
        !known.tokens.is_empty() && known.tokens.contains(&token_hash(token))
    }

    /// Whether any is taken back by its session.
    pub(super) fn has_sessions(&self) -> bool {
        self.known().has_sessions
    }

    pub(super) fn has_session_of(&self, bearer: &Bearer) -> bool {
        bearer.session.as_ref().is_some_and(|session| self.known().tokens.contains(session.as_str()))
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
