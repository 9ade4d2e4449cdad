//! Signing tokens.

use super::{InvalidKey, Key, Role};
use crate::{MaterialId, SessionId};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    crypto::aws_lc,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, OctetKeyPairParameters, OctetKeyPairType,
        ThumbprintHash,
    },
};
use serde::Serialize;
use serde_json::{Value, json};

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// What a token of the cluster's own says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The bearer's name, for the log.
    pub sub: String,
    /// Who it speaks for.
    pub role: Role,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Not valid after, seconds since 1970.
    pub exp: u64,
    /// The only material that it reads, of a viewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub material: Option<MaterialId>,
    /// The space that it writes to, of an uploader or a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The login that it comes from, of a user.
    #[serde(rename = "sid", skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl Claims {
    /// Claims that are valid for `seconds` from `now_s` (seconds since 1970).
    pub fn new(subject: &str, role: Role, now_s: u64, seconds: u64) -> Self {
        let exp = now_s.saturating_add(seconds);
        Self { sub: subject.to_owned(), role, iat: now_s, exp, material: None, space: None, session: None }
    }
}

/// Signs the cluster's own tokens: by its secret, or by its key where it has one.
#[derive(Clone)]
pub struct Signer {
    encoding: EncodingKey,
    header: Header,
    key: Key,
}

impl Signer {
    /// By the cluster's secret (HS256).
    ///
    /// # Errors
    /// Where it is too short.
    pub fn from_secret(secret: &str) -> Result<Self, InvalidKey> {
        let key = Key::from_secret(secret)?;
        let encoding = EncodingKey::from_secret(secret.as_bytes());
        Ok(Self { encoding, header: Header::new(Algorithm::HS256), key })
    }

    /// By an Ed25519 key (EdDSA): PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. Its id is its thumbprint
    /// (RFC 7638).
    ///
    /// # Errors
    /// Where it is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        install();
        let wrong = || {
            InvalidKey::new(
                "it is no Ed25519 key as PKCS#8 in PEM: 'openssl genpkey -algorithm ed25519' makes one (BEGIN PRIVATE KEY)",
            )
        };
        let body = pem.split_once(PEM_BEGIN).and_then(|(_, rest)| rest.split_once(PEM_END)).ok_or_else(wrong)?.0;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| wrong())?;
        let utils = &aws_lc::DEFAULT_PROVIDER.key_utils;
        let public = (utils.ed_pub_components_from_private_key)(&der, &EllipticCurve::Ed25519).map_err(|_| wrong())?;
        let id = thumbprint(&public).ok_or_else(wrong)?;
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::EdDSA) };
        let key = Key::from_ed25519(Some(id), &public)?;
        Ok(Self { encoding: EncodingKey::from_ed_der(&der), header, key })
    }

    /// Signs.
    ///
    /// # Errors
    /// Where the claims cannot be signed.
    pub fn sign(&self, claims: &Claims) -> Result<String, InvalidKey> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding)
            .map_err(|error| InvalidKey(format!("the token cannot be signed: {error}")))
    }

    /// The key by which these tokens are checked.
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// The public key for others, as a JWKS; none of a secret.
    pub fn jwks(&self) -> Option<Value> {
        let x = URL_SAFE_NO_PAD.encode(self.key.ed25519()?);
        let kid = &self.key.id;
        Some(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x }] }))
    }
}

fn thumbprint(public: &[u8]) -> Option<String> {
    let pair = OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: URL_SAFE_NO_PAD.encode(public),
    };
    let jwk = Jwk { common: CommonParameters::default(), algorithm: AlgorithmParameters::OctetKeyPair(pair) };
    jwk.thumbprint(ThumbprintHash::SHA256).ok()
}

/// The library wants to be told whose arithmetic it uses.
pub(super) fn install() {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}
