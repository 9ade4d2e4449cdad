//! Users, their sessions and the tokens of service accounts.

use super::Confidential;
use crate::{SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// A user of the cluster's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// See [`User::name`]; 1 to [`crate::limits::USER_NAME_CHARS_MAX`] characters.
    pub name: String,
    /// Their first password; a service account has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Confidential>,
    /// See [`User::service`].
    #[serde(default, skip_serializing_if = "Not::not")]
    pub service: bool,
    /// See [`User::administrator`].
    #[serde(default, skip_serializing_if = "Not::not")]
    pub administrator: bool,
}

/// `PATCH /v1/users/{id}`: what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new password; all sessions end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Confidential>,
    /// See [`User::administrator`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// See [`User::disabled`]; all sessions end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A login that has not ended, or a service account's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateAccessToken {
    /// What it is for; 1 to [`crate::limits::NAME_LEN_MAX`] bytes.
    pub label: String,
    /// How long it is to live: 1 to [`crate::limits::ACCESS_TOKEN_S_MAX`].
    pub expires_in_s: u64,
}

/// The token, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedAccessToken {
    /// For `Authorization: Bearer …`.
    pub access_token: Confidential,
    /// `Bearer`.
    pub token_type: String,
    /// Its session: ended, the token counts for nothing.
    pub session: Session,
}
