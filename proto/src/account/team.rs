//! Teams and who belongs to them.

use crate::limits::{NAME_LEN_MAX, NAME_PATTERN};
use crate::{TeamId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a user may do in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Reads the team's cases and makes new ones.
    Member,
    /// Deletes cases, and says who belongs to the team.
    Administrator,
}

impl TeamRole {
    /// As it travels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for TeamRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TeamRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Member, Self::Administrator]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("'{text}' is no role in a team: member and administrator are"))
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Team {
    /// Its identifier.
    pub id: TeamId,
    /// Its name.
    pub name: String,
    /// Who belongs to it, in the order of their ids.
    pub members: Vec<TeamMember>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Somebody who belongs to a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamMember {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they may do there.
    pub role: TeamRole,
}

/// A team that somebody belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The team.
    pub team: TeamId,
    /// Its name.
    pub name: String,
    /// What they may do there.
    pub role: TeamRole,
}

/// `POST /v1/teams`. The header `Idempotency-Key` makes a retry safe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTeam {
    /// Its name: 1 to 255 bytes of UTF-8 without control characters.
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Its first administrator, by id or name: whoever makes it, unless they administer the cluster and say another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<String>,
}

/// `PATCH /v1/teams/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTeam {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
}

/// `PUT /v1/teams/{id}/members/{user}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// What they may do there from now on.
    pub role: TeamRole,
}
