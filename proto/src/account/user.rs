//! Users, their sessions and the tokens of service accounts.

use super::Confidential;
use crate::limits::{
    ACCESS_TOKEN_S_MAX, NAME_LEN_MAX, NAME_PATTERN, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, USER_NAME_CHARS_MAX,
    USER_NAME_PATTERN,
};
use crate::{SessionId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// A user of the cluster's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Their identifier.
    pub id: UserId,
    /// The name by which they log in.
    pub name: String,
    /// Whether it is a program: it has tokens and no password.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub service: bool,
    /// Whether they administer the cluster.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub administrator: bool,
    /// Whether they are shut out for now.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub disabled: bool,
    /// When they were made known.
    pub created_at: Timestamp,
}

/// `POST /v1/users`. The header `Idempotency-Key` makes a retry safe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name by which they log in: 1 to 64 characters without control characters, without blanks at its ends, and not of an
    /// id's form.
    #[schemars(length(min = 1, max = USER_NAME_CHARS_MAX), regex(pattern = USER_NAME_PATTERN))]
    pub name: String,
    /// Their first password, 10 to 1024 bytes; a service account has none, and everybody else one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = PASSWORD_LEN_MIN, max = PASSWORD_LEN_MAX))]
    pub password: Option<Confidential>,
    /// Whether it is a program: it has tokens and no password.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub service: bool,
    /// Whether they administer the cluster.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub administrator: bool,
}

/// `PATCH /v1/users/{id}`: what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = USER_NAME_CHARS_MAX), regex(pattern = USER_NAME_PATTERN))]
    pub name: Option<String>,
    /// A new password; all sessions end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = PASSWORD_LEN_MIN, max = PASSWORD_LEN_MAX))]
    pub password: Option<Confidential>,
    /// Whether they administer the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// Whether they are shut out from now on; all sessions end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A login that has not ended, or a service account's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// What the token is for, of a service account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends, unless it is refreshed.
    pub ends_at: Timestamp,
}

/// `POST /v1/users/{id}/tokens`: a token for a service account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccessToken {
    /// What it is for: 1 to 255 bytes of UTF-8 without control characters.
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub label: String,
    /// How long it is to live, in seconds: at most ten years.
    #[schemars(range(min = 1, max = ACCESS_TOKEN_S_MAX))]
    pub expires_in_s: u64,
}

/// The token, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedAccessToken {
    /// For `Authorization: Bearer …`.
    pub access_token: Confidential,
    /// `Bearer`.
    pub token_type: String,
    /// Its session: ended, the token counts for nothing.
    pub session: Session,
}
