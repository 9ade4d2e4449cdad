//! Users of the cluster's own, teams and cases, and who did what: what is asked of the coordinators, and what they answer.

mod case;
mod login;
mod team;
mod user;

pub use case::{Case, CreateCase, PatchCase};
pub use login::{ChangePassword, LoggedIn, Login, Me, Refresh, Revoke};
pub use team::{CreateTeam, Membership, PatchTeam, PutMember, Team, TeamMember, TeamRole};
pub use user::{CreateAccessToken, CreateUser, CreatedAccessToken, PatchUser, Session, User};

use crate::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A text that no log shows: a password, or a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Confidential(pub String);

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Something that somebody did: an entry of `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number: each entry's is one more than that of the one before.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a user's id, or the name that a token gives its bearer; empty where tokens are not checked.
    pub by: String,
    /// From which address, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What: `delete_material`.
    pub act: String,
    /// To what: an id or a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What else is to be told of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confidential_is_shown_to_nobody() {
        let login: Login = serde_json::from_str(r#"{"name":"ada","password":"a long password"}"#).unwrap();
        assert!(!format!("{login:?}").contains("long"), "{login:?}");
        let change: ChangePassword = serde_json::from_str(r#"{"old":"a long one","new":"a longer one"}"#).unwrap();
        assert!(!format!("{change:?}").contains("long"), "{change:?}");
    }

    #[test]
    fn null_takes_away_and_what_is_left_out_stays() {
        let patch = |text: &str| serde_json::from_str::<PatchCase>(text).unwrap().expires_in_s;
        assert_eq!((patch("{}"), patch(r#"{"expires_in_s":null}"#)), (None, Some(None)));
        assert_eq!(patch(r#"{"expires_in_s":7}"#), Some(Some(7)));
        let told = serde_json::to_string(&PatchCase { expires_in_s: Some(None), ..PatchCase::default() }).unwrap();
        assert_eq!(told, r#"{"expires_in_s":null}"#);
    }
}
