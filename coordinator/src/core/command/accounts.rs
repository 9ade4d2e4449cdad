//! What changes users, their sessions, teams and cases.
//!
//! Passwords come as hashes and tokens as hashes of tokens: whoever reads the log cannot log in.

use crate::core::tables::{Hidden, TeamRole};
use microtome_proto::{CaseId, SessionId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Everything that changes users and what belongs to them. In the log it stands as `"do": "account", "account": …`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "account", rename_all = "snake_case")]
pub enum AccountCommand {
    /// The first user, who administers the cluster; refused where there was ever another.
    FirstUser {
        /// Their name.
        name: String,
        /// Their password's hash.
        password: Hidden,
    },
    /// Makes a user known.
    CreateUser {
        /// The caller's `Idempotency-Key`.
        request: Option<String>,
        /// Their name.
        name: String,
        /// Whether it is a program.
        #[serde(default, skip_serializing_if = "Not::not")]
        service: bool,
        /// Whether they administer the cluster.
        #[serde(default, skip_serializing_if = "Not::not")]
        administrator: bool,
        /// Their password's hash.
        password: Option<Hidden>,
    },
    /// What is left out stays. With a new password, and for who is shut out, all sessions end.
    UpdateUser {
        /// The user.
        user: UserId,
        /// A new name.
        name: Option<String>,
        /// A new password's hash.
        password: Option<Hidden>,
        /// Whether they administer the cluster.
        administrator: Option<bool>,
        /// Whether they are shut out.
        disabled: Option<bool>,
    },
    /// A user changes their own password: all other sessions end.
    ChangePassword {
        /// The user.
        user: UserId,
        /// BLAKE3 of the hash that the old password was held against: none has come in between.
        proven: Hidden,
        /// The new password's hash.
        password: Hidden,
        /// The session that goes on.
        keep: Option<SessionId>,
    },
    /// A user is no more: they leave their teams, and their sessions end.
    DeleteUser {
        /// The user.
        user: UserId,
    },
    /// A user has logged in.
    StartSession {
        /// Drawn by the proposer.
        session: SessionId,
        /// The user.
        user: UserId,
        /// As in [`AccountCommand::ChangePassword`].
        proven: Hidden,
        /// BLAKE3 of the refresh token.
        refresh: String,
        /// When it ends, unless it is refreshed.
        ends_at: Timestamp,
        /// The password's hash by the parameters of today, where it had older ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rehashed: Option<Hidden>,
    },
    /// A token for a service account.
    StartTokenSession {
        /// Drawn by the proposer.
        session: SessionId,
        /// The service account.
        user: UserId,
        /// What it is for.
        label: String,
        /// When it ends.
        ends_at: Timestamp,
    },
    /// The refresh token is changed for the next one. One that was changed before ends the session, but once within half a
    /// minute: then its client never got the answer.
    RefreshSession {
        /// The session.
        session: SessionId,
        /// BLAKE3 of the one that came.
        old: String,
        /// BLAKE3 of the next one.
        new: String,
        /// When the session ends now.
        ends_at: Timestamp,
    },
    /// A session ends before its time.
    EndSession {
        /// Whose it is.
        user: UserId,
        /// The session.
        session: SessionId,
    },
    /// A token counts no more.
    RevokeToken {
        /// BLAKE3 of its text.
        token: String,
        /// When it ends by itself.
        until: Timestamp,
        /// Whose it was, for the trail of who did what.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        bearer: String,
    },
    /// Sessions and tokens that have ended by themselves are forgotten, so many at a time.
    Tidy,
    /// Somebody did something that is no command: it goes into the trail of who did what, and changes nothing else.
    Note {
        /// What.
        act: String,
        /// To what.
        object: String,
    },
    /// Makes a team.
    CreateTeam {
        /// The caller's `Idempotency-Key`.
        request: Option<String>,
        /// Its name.
        name: String,
        /// Its first administrator.
        administrator: UserId,
    },
    /// Gives a team another name.
    UpdateTeam {
        /// The team.
        team: TeamId,
        /// Its new name.
        name: Option<String>,
    },
    /// A team that has no cases is no more.
    DeleteTeam {
        /// The team.
        team: TeamId,
    },
    /// Takes somebody into a team, or gives them another role there.
    SetMember {
        /// The team.
        team: TeamId,
        /// Who.
        user: UserId,
        /// What they may do there from now on.
        role: TeamRole,
    },
    /// Takes somebody out of a team.
    RemoveMember {
        /// The team.
        team: TeamId,
        /// Who.
        user: UserId,
    },
    /// Makes a case.
    CreateCase {
        /// The caller's `Idempotency-Key`.
        request: Option<String>,
        /// Whose it is.
        team: TeamId,
        /// Its name.
        name: String,
        /// What it is about.
        description: String,
        /// Who makes it.
        created_by: String,
        /// After how many seconds its materials are deleted.
        expires_in_s: Option<u64>,
        /// After how many seconds without a reader they are.
        idle_expires_in_s: Option<u64>,
    },
    /// What is left out stays.
    UpdateCase {
        /// The case.
        case: CaseId,
        /// Its new name.
        name: Option<String>,
        /// What it is about.
        description: Option<String>,
        /// After how many seconds its materials are deleted; 0 takes that away.
        expires_in_s: Option<u64>,
        /// After how many seconds without a reader they are; 0 takes that away.
        idle_expires_in_s: Option<u64>,
    },
    /// A case is no more: its materials are deleted step by step.
    DeleteCase {
        /// The case.
        case: CaseId,
    },
}
