//! The keys by which tokens are checked, and the check.

use super::{Bearer, Key, Policy, Refused, TOKEN_LEN_MAX, Validity, policy};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Times beyond this many seconds since 1970 are nobody's.
const TIME_S_MAX: f64 = 9e15;

/// All keys of a cluster.
#[derive(Clone, Default)]
pub struct KeyRing {
    own: Vec<Key>,
    providers: Vec<Issuer>,
}

/// A provider and its keys, once they are known.
#[derive(Clone)]
struct Issuer {
    policy: Arc<Policy>,
    keys: Option<Vec<Key>>,
}

/// What is read of a token's header. What is said twice is refused; keys that a token brings along (`jwk`, `jku`, `x5c`) are
/// not looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl KeyRing {
    /// The cluster's own keys, and the providers, whose keys are not known yet.
    pub fn new(own: Vec<Key>, providers: impl IntoIterator<Item = Policy>) -> Self {
        let unknown = |policy| Issuer { policy: Arc::new(policy), keys: None };
        Self { own, providers: providers.into_iter().map(unknown).collect() }
    }

    /// The same with these keys of its own.
    #[must_use]
    pub fn with_own(&self, own: Vec<Key>) -> Self {
        Self { own, providers: self.providers.clone() }
    }

    /// The same with these keys of the provider at `place`.
    #[must_use]
    pub fn with_provider(&self, place: usize, keys: Vec<Key>) -> Self {
        let mut ring = self.clone();
        if let Some(issuer) = ring.providers.get_mut(place) {
            issuer.keys = Some(keys);
        }
        ring
    }

    /// What a token proves at the time `now_s` (seconds since 1970).
    ///
    /// # Errors
    /// [`Refused`]: why it is not taken.
    pub fn check(&self, token: &str, now_s: u64) -> Result<Bearer, Refused> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(Refused::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed("it has not three parts"))?;
        let (header, payload) = message.split_once('.').ok_or(Refused::Malformed("it has not three parts"))?;
        let header: Header = read(header).ok_or(Refused::Malformed("its header cannot be read"))?;
        if header.crit.is_some() {
            return Err(Refused::Malformed("its header wants what is not known here"));
        }
        let algorithm = match header.alg.as_str() {
            "HS256" => Algorithm::HS256,
            "EdDSA" | "Ed25519" => Algorithm::EdDSA,
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            _ => return Err(Refused::Algorithm),
        };
        let claims: Map<String, Value> = read(payload).ok_or(Refused::Malformed("its claims cannot be read"))?;
        let provider = self.provider(&claims);
        let keys = match provider {
            None => &self.own,
            Some((place, issuer)) => issuer.keys.as_ref().ok_or(Refused::KeysNotThere { provider: place })?,
        };
        let unknown = Refused::UnknownKey { provider: provider.map(|(place, _)| place) };
        let candidates = candidates(keys, algorithm, header.kid.as_deref());
        if candidates.is_empty() {
            return Err(unknown);
        }
        if !candidates.iter().any(|key| key.has_signed(message, signature)) {
            return Err(Refused::Signature);
        }
        let validity = validity(&claims)?;
        let bearer = match provider {
            None => policy::own(&claims, validity),
            Some((_, issuer)) => issuer.policy.bearer(&claims, validity),
        };
        // Whether it is still valid is what its bearer wants to know first.
        match &bearer {
            Ok(bearer) => bearer.holds(now_s)?,
            Err(_) => validity.holds(now_s)?,
        }
        bearer
    }

    /// The provider that the claims name as their issuer. All other tokens are the cluster's own, or nobody's.
    fn provider(&self, claims: &Map<String, Value>) -> Option<(usize, &Issuer)> {
        let named = claims.get("iss")?.as_str()?;
        self.providers.iter().enumerate().find(|(_, issuer)| issuer.policy.issuer == named)
    }
}

/// The keys that may have signed: those of this algorithm with the id that is named. A token that names none is taken where
/// there is no choice; the cluster's secrets have no ids, and are few.
fn candidates<'a>(keys: &'a [Key], algorithm: Algorithm, id: Option<&str>) -> Vec<&'a Key> {
    let of_kind = || keys.iter().filter(|key| key.algorithm == algorithm);
    match id {
        Some(id) => of_kind().filter(|key| key.id.as_deref().is_none_or(|own| own == id)).collect(),
        None if algorithm == Algorithm::HS256 || of_kind().count() == 1 => of_kind().collect(),
        None => Vec::new(),
    }
}

/// From when until when a token is valid.
fn validity(claims: &Map<String, Value>) -> Result<Validity, Refused> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            // Fractions of seconds are allowed, and matter to nobody.
            Some(seconds) if (0.0..TIME_S_MAX).contains(&seconds) => Ok(Some(seconds as u64)),
            _ => Err(Refused::Malformed("a time in it is no number of seconds")),
        },
    };
    let until_s = time("exp")?.ok_or(Refused::Malformed("it does not say when it expires"))?;
    Ok(Validity { from_s: time("iat")?.max(time("nbf")?).unwrap_or(0), until_s })
}

/// A part of a token: JSON in base64url without padding.
fn read<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
