//! A node is alive: what it tells, and what it hears.

use super::Order;
use crate::{CoordinatorId, Generation, MaterialId, RunId, node::NodeReport, run::Progress};
use serde::{Deserialize, Serialize};

/// A node is alive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// See [`Register::instance`].
    pub instance: String,
    /// How it does.
    pub report: NodeReport,
    /// Uploads and clones under way: bytes that are durable of each.
    #[serde(default)]
    pub incoming: Vec<Incoming>,
    /// Copies that count as whole and of which something is damaged and not mended yet, in ascending order of materials;
    /// at most [`crate::limits::DAMAGED_MAX`].
    #[serde(default)]
    pub damaged: Vec<(MaterialId, Generation)>,
    /// Runs under way.
    #[serde(default)]
    pub runs: Vec<RunBeat>,
    /// Who reads what there; nodes before [`crate::protocol::BELONGING`] do not tell it.
    #[serde(default, skip_serializing_if = "Uses::is_none")]
    pub uses: Uses,
    /// The version of the tokens taken back that it knows; 0 of one that knows none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub revoked_version: u64,
}

fn is_none(version: &u64) -> bool {
    *version == 0
}

/// What is read on a node, so that nothing ends that somebody uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Materials that were read since the coordinators last said that they need not hear it again; at most
    /// [`crate::limits::USES_MAX`].
    #[serde(default)]
    pub read: Vec<Read>,
    /// Materials of which a download is under way just now; at most [`crate::limits::USES_MAX`].
    #[serde(default)]
    pub open: Vec<MaterialId>,
    /// Whether more was read.
    #[serde(default)]
    pub more_read: bool,
    /// Whether more is being downloaded.
    #[serde(default)]
    pub more_open: bool,
    /// For how long the node has known of all reads, in milliseconds: over proper stops, and since it was killed last.
    #[serde(default)]
    pub known_for_ms: u64,
}

/// A material was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The material.
    pub material: MaterialId,
    /// How long ago, at least: milliseconds of the node's own clock.
    pub ago_ms: u64,
}

impl Uses {
    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How far an upload or clone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The material.
    pub material: MaterialId,
    /// The assignment's generation.
    pub generation: Generation,
    /// Bytes written.
    pub offset: u64,
    /// What the file waits for though all of it has come: its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunBeat {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Generation,
    /// How far it is.
    pub progress: Progress,
    /// Bytes of inputs that had to travel to this node.
    pub bytes_moved: u64,
}

/// The answer to [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// All coordinators' base URLs, the leader first.
    pub coordinators: Vec<String>,
    /// Who leads.
    pub leader: CoordinatorId,
    /// Whether the leader wants the node's inventory (again).
    #[serde(default)]
    pub inventory_wanted: bool,
    /// Of the materials that it told as read those of which it is to tell again: it is not in the books yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads_due: Vec<MaterialId>,
    /// What should be true and is not yet; at most [`crate::limits::ORDERS_MAX`].
    pub orders: Vec<Order>,
    /// The tokens that were taken back, where the node knows another version of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<RevokedTokens>,
}

/// Tokens that were taken back and have not ended by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedTokens {
    /// Their version.
    pub version: u64,
    /// BLAKE3 of each, in hexadecimal, or the id of the session that it was made for; at most [`crate::limits::REVOKED_MAX`].
    pub tokens: Vec<String>,
}
