//! Sets of public keys as they travel: JWKS (RFC 7517).

use super::{InvalidKey, JWKS_KEYS_MAX, JWKS_LEN_MAX, Key};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// The keys of a set that tokens can be checked by.
#[derive(Clone)]
pub struct Jwks {
    /// Those that can.
    pub keys: Vec<Key>,
    /// Why others were left out, for the log.
    pub left_out: Vec<String>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<Value>,
}

impl Jwks {
    /// Reads a set. What is no key for signatures, or of a kind that is not taken, is left out.
    ///
    /// # Errors
    /// Where it is no set of keys, or has a secret one, which nobody should have been told.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if bytes.len() > JWKS_LEN_MAX {
            return Err(InvalidKey(format!("a set of keys has at most {JWKS_LEN_MAX} bytes")));
        }
        let set: Set = serde_json::from_slice(bytes)
            .map_err(|_| InvalidKey::new("it is no JWKS: a JSON object with a list 'keys' is needed"))?;
        if set.keys.len() > JWKS_KEYS_MAX {
            return Err(InvalidKey(format!("a set has at most {JWKS_KEYS_MAX} keys, not {}", set.keys.len())));
        }
        let mut read = Self { keys: Vec::new(), left_out: Vec::new() };
        for (place, value) in set.keys.into_iter().enumerate() {
            let jwk = serde_json::from_value::<Jwk>(value).map_err(|_| InvalidKey::new("it has no form of a key"));
            if jwk.as_ref().is_ok_and(|jwk| jwk.d.is_some()) {
                return Err(InvalidKey(format!("key {} of the set is a private one: it belongs nowhere", place + 1)));
            }
            match jwk.and_then(Jwk::key) {
                Ok(key) if key.id.is_some() && read.keys.iter().any(|known| known.id == key.id) => {
                    read.left_out.push(format!("key {}: its id is another key's, too", place + 1));
                }
                Ok(key) => read.keys.push(key),
                Err(error) => read.left_out.push(format!("key {}: {error}", place + 1)),
            }
        }
        Ok(read)
    }
}

impl Jwk {
    fn key(self) -> Result<Key, InvalidKey> {
        if self.purpose.is_some_and(|purpose| purpose != "sig") {
            return Err(InvalidKey::new("it is not for signatures"));
        }
        if self.key_ops.is_some_and(|all| all.iter().all(|one| one != "verify")) {
            return Err(InvalidKey::new("it is not for checking signatures"));
        }
        let fits = |algorithm: &str| match self.alg.as_deref() {
            Some(other) if other != algorithm => Err(InvalidKey(format!("of such keys only {algorithm} is taken"))),
            _ => Ok(()),
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                fits("RS256")?;
                Key::from_rsa(self.kid, &bytes(self.n)?, &bytes(self.e)?)
            }
            ("EC", Some("P-256")) => {
                fits("ES256")?;
                Key::from_p256(self.kid, &bytes(self.x)?, &bytes(self.y)?)
            }
            ("OKP", Some("Ed25519")) => {
                // RFC 9864 gave EdDSA by this curve a name of its own.
                fits(if self.alg.as_deref() == Some("Ed25519") { "Ed25519" } else { "EdDSA" })?;
                Key::from_ed25519(self.kid, &bytes(self.x)?)
            }
            ("oct", _) => Err(InvalidKey::new("a secret is no public key")),
            _ => Err(InvalidKey::new("RSA, P-256 and Ed25519 keys are taken")),
        }
    }
}

fn bytes(text: Option<String>) -> Result<Vec<u8>, InvalidKey> {
    let text = text.ok_or_else(|| InvalidKey::new("a part of it is missing"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey::new("a part of it is not base64url"))
}
