//! Why a token is not taken. The token itself, or a part of it, stands in none of the texts: they go to logs and askers.

use super::{LEEWAY_S, TOKEN_LEN_MAX};
use crate::{Code, Problem};

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing of it was looked at.
    #[error("the token is longer than {TOKEN_LEN_MAX} bytes")]
    TooLong,
    /// It is no JSON Web Token, or says something in a form that it must not have.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// It names an algorithm that no key here has, `none` for example.
    #[error("the token's algorithm is not taken: HS256, EdDSA, RS256 and ES256 are")]
    Algorithm,
    /// No key fits its issuer, its key id and its algorithm.
    #[error("the token was signed by a key that is not known here")]
    UnknownKey {
        /// Place of the provider that it names as its issuer; none for the cluster's own.
        provider: Option<usize>,
    },
    /// Its provider's keys have not been heard of since this server started.
    #[error("the keys of the token's issuer have not been fetched yet")]
    KeysNotThere {
        /// The provider's place.
        provider: usize,
    },
    /// The signature is not that key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// It has expired.
    #[error("the token expired {0} s ago")]
    Expired(u64),
    /// It has expired, and read one material: those who look at slides are told from those who have not logged in.
    #[error("the token for this material expired {0} s ago")]
    MaterialExpired(u64),
    /// It was taken back.
    #[error("the token was taken back")]
    Revoked,
    /// It is from the future, by more than clocks may differ.
    #[error("the token is valid only {0} s from now, and clocks may differ by {LEEWAY_S} s")]
    Early(u64),
    /// It is meant for somebody else.
    #[error("the token is meant for another audience")]
    Audience,
    /// It is good, and gives no rights here.
    #[error("the token gives no rights here: {0}")]
    NoRights(&'static str),
}

impl Refused {
    /// The code under which it travels.
    pub const fn code(&self) -> Code {
        match self {
            Self::Expired(_) => Code::TokenExpired,
            Self::MaterialExpired(_) => Code::MaterialTokenExpired,
            Self::Revoked => Code::TokenRevoked,
            Self::NoRights(_) => Code::NoRights,
            Self::KeysNotThere { .. } => Code::NotReady,
            _ => Code::Unauthorized,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(refused.code(), refused.to_string())
    }
}
