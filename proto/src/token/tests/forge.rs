//! Keys of an identity provider, and tokens signed by them, right ones and wrong ones. Other crates' tests use it, too.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};
use std::sync::LazyLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rs256,
    Es256,
    EdDsa,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// One key of each kind. Its id is the kind's name behind the forge's.
pub struct Forge {
    name: &'static str,
    keys: [EncodingKey; 3],
}

static SHARED: LazyLock<Forge> = LazyLock::new(|| Forge::new("a"));
static OTHER: LazyLock<Forge> = LazyLock::new(|| Forge::new("b"));

impl Forge {
    pub fn new(name: &'static str) -> Self {
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let random = aws_lc_rs::rand::SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let keys = [
            EncodingKey::from_rsa_der(&rsa_2048()),
            EncodingKey::from_ec_der(p256.as_ref()),
            EncodingKey::from_ed_der(&ed25519()),
        ];
        Self { name, keys }
    }

    /// The same keys for all tests of a process: RSA's take their time.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Keys of somebody else.
    pub fn other() -> &'static Self {
        &OTHER
    }

    pub fn id(&self, kind: Kind) -> String {
        format!("{}-{}", self.name, kind.name())
    }

    /// The public key of a kind.
    pub fn jwk(&self, kind: Kind) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(self.key(kind), kind.algorithm()).unwrap()).unwrap();
        jwk["kid"] = json!(self.id(kind));
        jwk["use"] = json!("sig");
        jwk
    }

    /// All public keys.
    pub fn jwks(&self) -> Value {
        json!({ "keys": Kind::ALL.map(|kind| self.jwk(kind)) })
    }

    /// A token with these claims, as it should be.
    pub fn sign(&self, kind: Kind, claims: &Value) -> String {
        self.sign_as(kind, &json!({ "typ": "JWT", "alg": kind.name(), "kid": self.id(kind) }).to_string(), claims)
    }

    /// The same with another header.
    pub fn sign_as(&self, kind: Kind, header: &str, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(&claims.to_string()));
        let signature = crypto::sign(message.as_bytes(), self.key(kind), kind.algorithm()).unwrap();
        format!("{message}.{signature}")
    }

    /// An Ed25519 key as `openssl genpkey` writes it.
    pub fn ed25519_pem() -> String {
        let body = base64::engine::general_purpose::STANDARD.encode(ed25519());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    const fn key(&self, kind: Kind) -> &EncodingKey {
        &self.keys[kind as usize]
    }
}

/// A token signed by a secret, with this header.
pub fn sign_with_secret(secret: &[u8], header: &str, claims: &Value) -> String {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let message = format!("{}.{}", encoded(header), encoded(&claims.to_string()));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// A part of a token.
pub fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A new Ed25519 key: PKCS#8, version 1.
fn ed25519() -> Vec<u8> {
    let key: Pkcs8V1Der<'_> = Ed25519KeyPair::generate().unwrap().as_der().unwrap();
    key.as_ref().to_vec()
}

/// A new RSA key: PKCS#1, which lies in the PKCS#8 of a key of this size behind 26 bytes that are always the same.
fn rsa_2048() -> Vec<u8> {
    rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref()[26..].to_vec()
}
