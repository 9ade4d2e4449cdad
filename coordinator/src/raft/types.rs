//! What openraft's types are here.

use crate::core::command::{Outcome, Proposal};
use serde::{Deserialize, Serialize};
use std::fmt;

openraft::declare_raft_types!(
    /// One entry of the log is one proposal; what applying it answers goes back to its proposer.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Outcome,
        Node = openraft::BasicNode,
);

pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;

/// Where the applied state stands in the log. It lies beside the state and in each snapshot, in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The last entry applied.
    pub(crate) applied: Option<LogId>,
    /// The last membership applied.
    pub(crate) membership: StoredMembership,
}

impl Stamp {
    pub(crate) fn meta(self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership }
    }
}

/// Longest text of a proposal in the log of the program.
const SHOWN_LEN_MAX: usize = 200;

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.command);
        f.write_str(text.get(..SHOWN_LEN_MAX).unwrap_or(&text))
    }
}
