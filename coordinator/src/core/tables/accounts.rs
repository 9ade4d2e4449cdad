//! Users, their sessions, teams and cases, tokens that were taken back, and who did what.

use super::is_default;
use crate::core::{keys, view::Table};
pub use microtome_proto::account::TeamRole;
use microtome_proto::{CaseId, MaterialId, SessionId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, ops::Not};

/// A text that no log shows: a password's hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A user: a person, or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The name by which they log in; unlike all others whatever the case of its letters.
    pub name: String,
    /// Whether it is a program: without a password, by tokens that are made for it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub service: bool,
    /// Whether they administer the cluster.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub administrator: bool,
    /// Whether they are shut out for now.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub disabled: bool,
    /// Their password's Argon2id hash in the PHC string format; none of who cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
    /// The `Idempotency-Key` that they were created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When they were made known.
    pub created_at: Timestamp,
}

/// A login, or a token that was made for a service account: while it is there, its access tokens count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Whose.
    pub user: UserId,
    /// What the token is for, of a service account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// BLAKE3 of the refresh token that is taken next; none of a service account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// BLAKE3 of the one before: who brings it has a stolen one, or had it stolen, and the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed: Option<String>,
    /// BLAKE3 of the one that was given for it first, where it was taken once more: whoever brings that got the answer, and
    /// the other was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overtaken: Option<String>,
    /// When the one before was taken. None where it was taken once more after that: a client that never got the answer asks again,
    /// and is given another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// Its name.
    pub name: String,
    /// Who belongs to it; always one administrator at least.
    pub members: BTreeMap<UserId, TeamRole>,
    /// The `Idempotency-Key` that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A case: materials of a team that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Whose it is.
    pub team: TeamId,
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who made it, as the token names them.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// After how many seconds its materials are deleted, used or not, unless they say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_expires_in_s: Option<u64>,
    /// The `Idempotency-Key` that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When it was deleted: its materials are deleted step by step, and the record goes with the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who: see [`Actor`](crate::core::command::Actor).
    pub by: String,
    /// From which address, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What: `delete_material`.
    pub act: String,
    /// To what: an id or a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What else is to be told of it: `case case-7, 25 GB`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detail: String,
}

table!(
    /// All users, in the order of their making.
    Users, b'U', UserId => UserRecord, |id| keys::numbered(id.as_str()), |bytes| keys::whole(keys::take_id(bytes))
);
table!(
    /// Index: users by their names in lower case.
    UsersByName, b'N', String => UserId,
    |name| name.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);
table!(
    /// All sessions that have not ended.
    Sessions, b'S', SessionId => SessionRecord,
    |id| keys::numbered(id.as_str()), |bytes| keys::whole(keys::take_id(bytes))
);
table!(
    /// Index: the sessions of a user.
    SessionsOfUser, b's', (UserId, SessionId) => (),
    |key| [keys::numbered(key.0.as_str()), keys::numbered(key.1.as_str())].concat(), |bytes| keys::take_ids(bytes)
);
table!(
    /// Index: sessions by their end.
    SessionsByEnd, b'e', (Timestamp, SessionId) => (),
    |key| [keys::time(key.0), keys::numbered(key.1.as_str())].concat(),
    |bytes| {
        let (at, rest) = keys::take_time(bytes)?;
        Some((at, keys::whole(keys::take_id(rest))?))
    }
);
table!(
    /// All teams, in the order of their making.
    Teams, b'T', TeamId => TeamRecord, |id| keys::numbered(id.as_str()), |bytes| keys::whole(keys::take_id(bytes))
);
table!(
    /// Index: the teams of a user.
    TeamsOfUser, b'y', (UserId, TeamId) => TeamRole,
    |key| [keys::numbered(key.0.as_str()), keys::numbered(key.1.as_str())].concat(), |bytes| keys::take_ids(bytes)
);
table!(
    /// All cases, in the order of their making.
    Cases, b'C', CaseId => CaseRecord, |id| keys::numbered(id.as_str()), |bytes| keys::whole(keys::take_id(bytes))
);
table!(
    /// Index: the cases of a team, deleted ones left out.
    CasesOfTeam, b'c', (TeamId, CaseId) => (),
    |key| [keys::numbered(key.0.as_str()), keys::numbered(key.1.as_str())].concat(), |bytes| keys::take_ids(bytes)
);
table!(
    /// Index: cases that were deleted and have materials left.
    EndingCases, b'd', CaseId => (), |id| keys::numbered(id.as_str()), |bytes| keys::whole(keys::take_id(bytes))
);
table!(
    /// Index: the materials of a case, the newest first, deleted ones left out.
    InCase, b'k', (CaseId, u64) => MaterialId,
    |key| [keys::numbered(key.0.as_str()), keys::newest_first(key.1)].concat(),
    |bytes| {
        let (case, rest) = keys::take_id(bytes)?;
        Some((case, keys::decode_newest_first(rest)?))
    }
);
table!(
    /// Tokens that were taken back, by the BLAKE3 hash of what they sign, or by the id of the session that they were made
    /// for, each until it ends by itself.
    Revoked, b'R', String => Timestamp,
    |hash| hash.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);
table!(
    /// Who did what, the newest first.
    Audit, b'A', u64 => AuditRecord,
    |sequence| keys::newest_first(*sequence), |bytes| keys::decode_newest_first(bytes)
);
