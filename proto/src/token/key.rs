//! A key by which tokens are checked. Its algorithm is its own: what a token says only chooses among keys.

use super::{SECRET_LEN_MIN, signer::install};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

/// Fewest and most bits of an RSA key.
const RSA_BITS: (usize, usize) = (2048, 8192);
/// Longest key id, in bytes.
const ID_LEN_MAX: usize = 256;
/// Bytes of an Ed25519 key, and of each coordinate of a P-256 key.
const POINT_LEN: usize = 32;

/// A key cannot be used; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKey(pub(super) String);

impl InvalidKey {
    /// Why.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A key by which tokens are checked.
#[derive(Clone)]
pub struct Key {
    /// Its id, which tokens name it by.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    /// Itself, of an Ed25519 key.
    ed25519: Option<Vec<u8>>,
    decoding: DecodingKey,
}

impl Key {
    /// The cluster's secret (HS256), of at least [`SECRET_LEN_MIN`] bytes.
    ///
    /// # Errors
    /// Where it is shorter.
    pub fn from_secret(secret: &str) -> Result<Self, InvalidKey> {
        if secret.len() < SECRET_LEN_MIN {
            return Err(InvalidKey(format!(
                "the secret has {} bytes and needs at least {SECRET_LEN_MIN}: 'openssl rand -hex 32' makes a good one",
                secret.len()
            )));
        }
        Ok(Self::new(None, Algorithm::HS256, DecodingKey::from_secret(secret.as_bytes())))
    }

    /// An Ed25519 key (EdDSA).
    pub(super) fn from_ed25519(id: Option<String>, public: &[u8]) -> Result<Self, InvalidKey> {
        if public.len() != POINT_LEN {
            return Err(InvalidKey(format!("an Ed25519 key has {POINT_LEN} bytes, not {}", public.len())));
        }
        let key = Self::new(checked(id)?, Algorithm::EdDSA, DecodingKey::from_ed_der(public));
        Ok(Self { ed25519: Some(public.to_vec()), ..key })
    }

    /// A P-256 key (ES256).
    pub(super) fn from_p256(id: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, InvalidKey> {
        if x.len() != POINT_LEN || y.len() != POINT_LEN {
            return Err(InvalidKey(format!("the coordinates of a P-256 key have {POINT_LEN} bytes each")));
        }
        let point = [&[4], x, y].concat();
        Ok(Self::new(checked(id)?, Algorithm::ES256, DecodingKey::from_ec_der(&point)))
    }

    /// An RSA key (RS256) of 2048 to 8192 bits.
    pub(super) fn from_rsa(id: Option<String>, modulus: &[u8], exponent: &[u8]) -> Result<Self, InvalidKey> {
        let first = modulus.iter().position(|&byte| byte != 0).unwrap_or(modulus.len());
        let modulus = modulus.get(first..).unwrap_or_default();
        let bits = modulus.first().map_or(0, |&byte| modulus.len() * 8 - byte.leading_zeros() as usize);
        if !(RSA_BITS.0..=RSA_BITS.1).contains(&bits) {
            return Err(InvalidKey(format!("an RSA key has {} to {} bits here, not {bits}", RSA_BITS.0, RSA_BITS.1)));
        }
        if exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1] || exponent.len() > 8 {
            return Err(InvalidKey::new("the exponent of an RSA key is odd and more than 1"));
        }
        Ok(Self::new(checked(id)?, Algorithm::RS256, DecodingKey::from_rsa_raw_components(modulus, exponent)))
    }

    fn new(id: Option<String>, algorithm: Algorithm, decoding: DecodingKey) -> Self {
        install();
        Self { id, algorithm, ed25519: None, decoding }
    }

    /// The public key itself, of an Ed25519 key.
    pub fn ed25519(&self) -> Option<&[u8]> {
        self.ed25519.as_deref()
    }

    /// Whether `signature`, as it stands in the token, is this key's under `message`.
    pub(super) fn has_signed(&self, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.decoding, self.algorithm).unwrap_or(false)
    }
}

fn checked(id: Option<String>) -> Result<Option<String>, InvalidKey> {
    match id {
        Some(id) if id.len() > ID_LEN_MAX => Err(InvalidKey(format!("a key id has at most {ID_LEN_MAX} bytes"))),
        id => Ok(id),
    }
}
