//! Tokens: JSON Web Tokens signed by the cluster's secret (HS256).
//!
//! A cluster without a secret checks nothing and listens on loopback only.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// Seconds by which clocks may differ.
const LEEWAY_S: u64 = 30;

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A coordinator or a node: may call `/internal`.
    Server,
    /// A person or a program that may do everything else.
    Administrator,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The bearer's name, for the log.
    pub sub: String,
    /// Who it speaks for.
    pub role: Role,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Not valid after, seconds since 1970.
    pub exp: u64,
}

/// The token cannot be made or is not valid.
#[derive(Debug, thiserror::Error)]
#[error("the token is not valid: {0}")]
pub struct InvalidToken(#[from] jsonwebtoken::errors::Error);

/// Signs and checks tokens.
#[derive(Clone)]
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Keys {
    /// From the cluster's secret: at least [`SECRET_LEN_MIN`] bytes.
    pub fn from_secret(secret: &str) -> Self {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// Signs a token that is valid for `seconds` from `now` (seconds since 1970).
    ///
    /// # Errors
    /// Where the claims cannot be signed.
    pub fn sign(&self, subject: &str, role: Role, now: u64, seconds: u64) -> Result<String, InvalidToken> {
        let claims = Claims { sub: subject.to_owned(), role, iat: now, exp: now.saturating_add(seconds) };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?)
    }

    /// Checks a token's algorithm, signature and time.
    ///
    /// # Errors
    /// Where any of them is wrong.
    pub fn check(&self, token: &str) -> Result<Claims, InvalidToken> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        Ok(jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation)?.claims)
    }
}

/// Shortest secret accepted, in bytes.
pub const SECRET_LEN_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 4_000_000_000;

    #[test]
    fn signs_what_it_accepts_and_nothing_else() {
        let keys = Keys::from_secret("a secret of some length");
        let token = keys.sign("node n-1", Role::Server, NOW, 60).unwrap();
        assert_eq!(keys.check(&token).unwrap().role, Role::Server);
        assert!(Keys::from_secret("another secret, as long").check(&token).is_err());
        assert!(keys.check(&keys.sign("late", Role::Administrator, 1_000, 60).unwrap()).is_err());
        let body = token.split('.').nth(1).unwrap();
        assert!(keys.check(&format!("eyJhbGciOiJub25lIn0.{body}.")).is_err());
    }
}
