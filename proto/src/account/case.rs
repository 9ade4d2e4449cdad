//! Cases: materials of a team that belong together.

use super::settable;
use crate::{CaseId, TeamId, Timestamp};
use serde::{Deserialize, Serialize};

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its identifier.
    pub id: CaseId,
    /// Whose it is.
    pub team: TeamId,
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who made it: a user's id, or as the token names them.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<u64>,
}

/// `POST /v1/cases`. The header `Idempotency-Key` makes a retry safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCase {
    /// Whose it is to be.
    pub team: TeamId,
    /// See [`Case::name`]; 1 to [`crate::limits::NAME_LEN_MAX`] bytes.
    pub name: String,
    /// See [`Case::description`]; at most [`crate::limits::DESCRIPTION_LEN_MAX`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// See [`Case::expires_in_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// See [`Case::idle_expires_in_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<u64>,
}

/// `PATCH /v1/cases/{id}`: what is left out stays; a time that is null is none from now on. What is in the case already keeps
/// the end that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchCase {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// See [`Case::expires_in_s`].
    #[serde(default, with = "settable", skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<Option<u64>>,
    /// See [`Case::idle_expires_in_s`].
    #[serde(default, with = "settable", skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<Option<u64>>,
}
