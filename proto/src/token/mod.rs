//! Tokens: JSON Web Tokens, signed by the cluster's secret (HS256), by its key (EdDSA) or by an identity provider (RS256,
//! ES256, EdDSA).
//!
//! All is decided here and nothing is fetched: [`KeyRing`] tells what a token proves, [`Checker`] remembers it,
//! [`Bearer::may`] says what its bearer may do. The time is handed in. A cluster without secret and keys checks nothing and listens on loopback only.

mod bearer;
mod checker;
mod jwks;
mod key;
mod policy;
mod refused;
mod rights;
mod ring;
mod settings;
mod signer;
#[cfg(test)]
mod tests;

pub use bearer::{Bearer, Role, Validity};
pub use checker::Checker;
pub use jwks::Jwks;
pub use key::{InvalidKey, Key};
pub use policy::Policy;
pub use refused::Refused;
pub use rights::{Allowed, Denied, material_read, may_be_for_all};
pub use ring::KeyRing;
pub use settings::{KeysAt, Provider, Secret, Settings};
pub use signer::{Claims, Signer};

use crate::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shortest secret accepted, in bytes.
pub const SECRET_LEN_MIN: usize = 16;
/// Longest token looked at, in bytes.
pub const TOKEN_LEN_MAX: usize = 8 << 10;
/// Seconds by which clocks may differ.
pub const LEEWAY_S: u64 = 30;
/// How long a user's access token lives, in seconds.
pub const ACCESS_TOKEN_S: u64 = 900;
/// How long a token for one material lives unless its asker says so, in seconds.
pub const MATERIAL_TOKEN_S: u64 = 300;
/// How long it may live at most, in seconds: whoever is shut out has it no longer than that.
pub const MATERIAL_TOKEN_S_MAX: u64 = 900;
/// Largest set of keys read, in bytes.
pub const JWKS_LEN_MAX: usize = 256 << 10;
/// Most keys taken from one set.
pub const JWKS_KEYS_MAX: usize = 64;

/// `POST /v1/materials/{id}/tokens`: a token that reads this material and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// How long it is to live: 1 to 900 seconds, 300 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MATERIAL_TOKEN_S_MAX))]
    pub expires_in_s: Option<u64>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeToken {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The clock in whole seconds, as tokens tell the time.
pub fn now_s() -> u64 {
    u64::try_from(Timestamp::now().as_millis() / 1000).unwrap_or(0)
}
