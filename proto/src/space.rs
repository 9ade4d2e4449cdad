//! Spaces: where files of those who have to do with one another lie, and who may read and write there.

use crate::{
    MaterialId, TeamId, Timestamp, UserId,
    ids::ID_LEN_MAX,
    limits::{LIFE_S_MAX, SPACE_MEMBERS_MAX},
    material::{Condition, given},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

/// The space of uploads that name one only by their token and are not private.
pub const PUBLIC: &str = "public";

/// Who may read what lies in a space, beside its members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Nobody.
    #[default]
    Private,
    /// Everybody who has a token that reads.
    Public,
    /// Everybody, without a token.
    Anonymous,
}

/// What a member may do in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpaceRole {
    /// Sends files, and reads nothing back.
    Dropper,
    /// Reads, and changes nothing.
    Reader,
    /// Reads, sends and overwrites files, and deletes what it has sent.
    Writer,
    /// Deletes every file, and says who the members are.
    Manager,
}

/// A member of a space: `user:u-7`, `team:t-2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Member {
    /// A user.
    User(UserId),
    /// Everybody of a team.
    Team(TeamId),
}

/// The text names no member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a member is written user:u-7 or team:t-2")]
pub struct InvalidMember;

impl FromStr for Member {
    type Err = InvalidMember;

    fn from_str(text: &str) -> Result<Self, InvalidMember> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().map(Self::User).map_err(|_| InvalidMember),
            Some(("team", id)) => id.parse().map(Self::Team).map_err(|_| InvalidMember),
            _ => Err(InvalidMember),
        }
    }
}

impl TryFrom<String> for Member {
    type Error = InvalidMember;

    fn try_from(text: String) -> Result<Self, InvalidMember> {
        text.parse()
    }
}

impl JsonSchema for Member {
    fn schema_name() -> Cow<'static, str> {
        "Member".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("^(user:u|team:t)-[a-z0-9]{{1,{}}}$", ID_LEN_MAX - "u-".len());
        json_schema!({ "type": "string", "description": "A member: `user:u-7`, `team:t-2`.", "pattern": pattern })
    }
}

impl From<Member> for String {
    fn from(member: Member) -> Self {
        member.to_string()
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Team(id) => write!(f, "team:{id}"),
        }
    }
}

/// A space as the API shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Space {
    /// Its name.
    pub name: String,
    /// Who it is for, and how much it holds.
    #[serde(flatten)]
    pub description: DescribeSpace,
    /// When it was described first; absent where only tokens name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Materials that lie in it, also those whose bytes are still arriving.
    pub materials: u64,
    /// Their bytes, each counted once.
    pub bytes: u64,
}

/// Who a space is for, and how much lies in it for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DescribeSpace {
    /// Who may read what lies in it, beside its members.
    pub visibility: Visibility,
    /// Who may do what in it. Shown to those who say so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<Member, SpaceRole>,
    /// Most bytes that lie in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Most of one owner's bytes that lie in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes_per_owner: Option<u64>,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<u64>,
}

/// `PATCH /v1/spaces/{space}`: what is left out stays, and `null` takes away. With `PUT`, what is left out is as it is in a new
/// space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchSpace {
    /// Who may read what lies in it, beside its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Members and their new roles; without one they are members no longer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = SPACE_MEMBERS_MAX))]
    pub members: BTreeMap<Member, Option<SpaceRole>>,
    /// Most bytes that lie in it.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<Option<u64>>,
    /// Most of one owner's bytes that lie in it.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub quota_bytes_per_owner: Option<Option<u64>>,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub expires_in_s: Option<Option<u64>>,
    /// After how many seconds without a reader they are.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub idle_expires_in_s: Option<Option<u64>>,
}

impl PatchSpace {
    /// Whether it changes members alone: that is their managers' to do, all else the administrators'.
    pub fn is_of_members(&self) -> bool {
        *self == Self { members: self.members.clone(), ..Self::default() }
    }

    /// The description with the changes made.
    #[must_use]
    pub fn applied_to(&self, mut description: DescribeSpace) -> DescribeSpace {
        description.visibility = self.visibility.unwrap_or(description.visibility);
        for (member, role) in &self.members {
            match role {
                Some(role) => description.members.insert(member.clone(), *role),
                None => description.members.remove(member),
            };
        }
        let set = |place: &mut Option<u64>, given: Option<Option<u64>>| *place = given.unwrap_or(*place);
        set(&mut description.quota_bytes, self.quota_bytes);
        set(&mut description.quota_bytes_per_owner, self.quota_bytes_per_owner);
        set(&mut description.expires_in_s, self.expires_in_s);
        set(&mut description.idle_expires_in_s, self.idle_expires_in_s);
        description
    }
}

/// A file that a space serves under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceFile {
    /// Its key: names with slashes between them.
    pub key: String,
    /// The material.
    pub material: MaterialId,
    /// Its length in bytes.
    pub size: u64,
    /// BLAKE3 of its bytes: what stands between the quotes of its `ETag`.
    pub etag: String,
    /// Its media type.
    pub media_type: String,
    /// When this version was created.
    pub created_at: Timestamp,
}

/// A page of the files of a space, in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceFiles {
    /// The files.
    pub items: Vec<SpaceFile>,
    /// Where a delimiter was given: the beginnings up to one that further keys on this page have in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Which files are wanted: the query of `GET /v1/spaces/{space}/files`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilesQuery {
    /// How their keys begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `/`: keys that have one behind the prefix are told as their beginning up to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Most entries wanted, 1 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Condition {
    /// Whether it holds where a file with this hash stands under the key, or none.
    pub fn holds(&self, present: Option<&str>) -> bool {
        match self {
            Self::Nothing => present.is_none(),
            Self::Something => present.is_some(),
            Self::AnyOf(hashes) => present.is_some_and(|present| hashes.iter().any(|hash| hash == present)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_patch_leaves_out_stays_and_null_takes_away() {
        let before: DescribeSpace = serde_json::from_str(
            r#"{"visibility":"public","members":{"user:u-1":"reader","team:t-1":"writer"},"quota_bytes":5,"expires_in_s":7}"#,
        )
        .unwrap();
        let patch = |text: &str| serde_json::from_str::<PatchSpace>(text).unwrap();
        assert_eq!(patch("{}").applied_to(before.clone()), before);
        let changed = patch(r#"{"members":{"user:u-1":null,"user:u-2":"manager"},"quota_bytes":null}"#);
        assert!(!changed.is_of_members());
        assert_eq!(serde_json::from_value::<PatchSpace>(serde_json::to_value(&changed).unwrap()).unwrap(), changed);
        let after = changed.applied_to(before);
        assert_eq!((after.quota_bytes, after.expires_in_s, after.visibility), (None, Some(7), Visibility::Public));
        assert_eq!(after.members.keys().map(Member::to_string).collect::<Vec<_>>(), ["user:u-2", "team:t-1"]);
        assert!(patch(r#"{"members":{"user:u-1":null}}"#).is_of_members());
        assert!(serde_json::from_str::<PatchSpace>(r#"{"quota":5}"#).is_err());
    }

    #[test]
    fn conditions_hold_or_not() {
        let tags = Condition::AnyOf(vec!["a".to_owned(), "b".to_owned()]);
        for (condition, nothing, a, c) in [
            (Condition::Nothing, true, false, false),
            (Condition::Something, false, true, true),
            (tags, false, true, false),
        ] {
            assert_eq!([None, Some("a"), Some("c")].map(|present| condition.holds(present)), [nothing, a, c]);
        }
    }

    #[test]
    fn members_are_written_and_read() {
        for text in ["user:u-7", "team:t-2"] {
            assert_eq!(text.parse::<Member>().unwrap().to_string(), text);
        }
        for text in ["u-7", "user:t-2", "team:", "everyone:u-7", ""] {
            assert!(text.parse::<Member>().is_err(), "{text}");
        }
    }
}
