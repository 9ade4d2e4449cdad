//! Spaces: where files of those who have to do with one another lie, and who may read and write there.

use crate::{TeamId, UserId};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The space of uploads that name one only by their token and are not private.
pub const PUBLIC: &str = "public";

/// Who may read what lies in a space, beside its members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
