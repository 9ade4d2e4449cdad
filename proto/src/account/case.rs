//! Cases: materials of a team that belong together.

use crate::limits::{DESCRIPTION_LEN_MAX, LIFE_S_MAX, NAME_LEN_MAX, NAME_PATTERN};
use crate::{CaseId, TeamId, Timestamp, material::given};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCase {
    /// Whose it is to be.
    pub team: TeamId,
    /// Its name: 1 to 255 bytes of UTF-8 without control characters.
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// What it is about: at most 4096 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = DESCRIPTION_LEN_MAX))]
    pub description: String,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub idle_expires_in_s: Option<u64>,
}

/// `PATCH /v1/cases/{id}`: what is left out stays; a time that is null is none from now on. What is in the case already keeps
/// the end that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchCase {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// A new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = DESCRIPTION_LEN_MAX))]
    pub description: Option<String>,
    /// After how many seconds new materials are deleted, used or not; null for never.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub expires_in_s: Option<Option<u64>>,
    /// After how many seconds without a reader they are; null for never.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub idle_expires_in_s: Option<Option<u64>>,
}
