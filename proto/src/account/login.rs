//! Logging in and out, and who one is.

use super::{Confidential, Membership, User};
use crate::{
    Timestamp,
    limits::{NAME_PATTERN, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, USER_NAME_CHARS_MAX},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// `POST /v1/login`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user's name, in any case of its letters.
    #[schemars(length(min = 1, max = USER_NAME_CHARS_MAX), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Their password.
    #[schemars(length(max = PASSWORD_LEN_MAX))]
    pub password: Confidential,
}

/// `POST /v1/login/refresh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The one of the last answer: each is good for one refresh.
    pub refresh_token: Confidential,
}

/// What a login and a refresh answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedIn {
    /// For `Authorization: Bearer …`.
    pub access_token: Confidential,
    /// `Bearer`.
    pub token_type: String,
    /// How long the access token lives, in seconds.
    pub expires_in_s: u64,
    /// For the next refresh, and nothing else.
    pub refresh_token: Confidential,
    /// How long that lives, in seconds.
    pub refresh_expires_in_s: u64,
    /// Who logged in.
    pub user: User,
}

/// `PUT /v1/me/password`. All other sessions of the user end with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present one.
    pub old: Confidential,
    /// The new one: 10 to 1024 bytes, of whatever.
    #[schemars(length(min = PASSWORD_LEN_MIN, max = PASSWORD_LEN_MAX))]
    pub new: Confidential,
}

/// `GET /v1/me`: who asks, and what they may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// What kind of bearer the token speaks for: `administrator`, `user` or `member`; `everybody` where none is checked.
    pub role: String,
    /// The name that the token gives its bearer: of a user the id.
    pub name: String,
    /// Whether everything may be done.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub administrator: bool,
    /// The user, where it is one of the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Their teams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<Membership>,
    /// The space that the token names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// When the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// `POST /v1/tokens/revoke`: from now on the token counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The whole token.
    pub token: Confidential,
}
