//! What operators do to nodes and to the balance between them, and what each act does or would do:
//! `POST /v1/nodes/{id}/{cordon|uncordon|drain|remove}` and `POST /v1/cluster/rebalance`.

use crate::{
    MaterialId, NodeId,
    node::{Lifecycle, Scheduling},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An act on a node. Each may be repeated and then changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Nothing new goes there.
    Cordon,
    /// It is given work again; a drain ends.
    Uncordon,
    /// What is there is moved away.
    Drain,
    /// It leaves the cluster for good.
    Remove,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cordon, Self::Uncordon, Self::Drain, Self::Remove];

    /// Its name, as it stands in the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Uncordon => "uncordon",
            Self::Drain => "drain",
            Self::Remove => "remove",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an act is meant: the query of the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct How {
    /// Changes nothing and tells what it would do.
    pub dry_run: bool,
    /// Removes a node although bytes are lost with it.
    pub force: bool,
}

/// Some copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// How many.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    /// One more copy.
    pub fn add(&mut self, bytes: u64) {
        self.copies += 1;
        self.bytes += bytes;
    }
}

/// What an act on a node did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operated {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The act.
    pub operation: Operation,
    /// Whether nothing was done and all of this is only what would be.
    pub dry_run: bool,
    /// Whether it changes anything: not where the node already was as it is wanted.
    pub changes: bool,
    /// Whether the node is given work afterwards.
    pub scheduling: Scheduling,
    /// Whether it belongs to the cluster afterwards.
    pub lifecycle: Lifecycle,
    /// What becomes of what it holds, where it is drained or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
    /// Why it would be refused; in the answer to a dry run only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// What becomes of what a node holds when it no longer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Departure {
    /// Verified copies there.
    pub held: Amount,
    /// Copies that have to be made elsewhere and have a place to go.
    pub to_copy: Amount,
    /// Copies that exist nowhere else: no other node that is not down has one. Lost where the node is removed.
    pub only_here: Amount,
    /// The materials of those copies: the first of them, at most 100.
    pub only_here_materials: Vec<MaterialId>,
    /// Uploads that still arrive there. Broken off where the node is removed.
    pub uploads: u64,
    /// Bytes that can still be promised on the other nodes that take work.
    pub room: u64,
    /// Copies that have to be made elsewhere and have no place to go, by reason.
    pub unplaced: Vec<Unplaced>,
    /// Seconds needed at the present pace of copying; absent while nothing is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl Departure {
    /// Whether bytes go that are nowhere else, where the node is removed.
    pub fn loses(&self) -> bool {
        self.only_here.copies > 0 || self.uploads > 0
    }
}

/// Copies without a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unplaced {
    /// Why.
    pub why: NoPlace,
    /// How many.
    pub amount: Amount,
}

/// Why a copy has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoPlace {
    /// Every other node that takes work has a copy already: fewer nodes are left than copies are wanted.
    NoNode,
    /// The nodes that have none yet have no room.
    NoRoom,
    /// No node that answers has it to copy from.
    NoSource,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNode => "every other node that takes work has a copy already",
            Self::NoRoom => "no other node has room",
            Self::NoSource => "no node that answers has it to copy from",
        })
    }
}

/// What rebalancing does, or would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rebalanced {
    /// Whether nothing was done and all of this is only what would be.
    pub dry_run: bool,
    /// Whether copies are being moved for the balance's sake from now on.
    pub goes_on: bool,
    /// Copies to be moved.
    pub to_move: Amount,
    /// Whether every node is then filled within `tolerance` of the mean. Where not, the copies are too
    /// large, or have nowhere else to go.
    pub evens_out: bool,
    /// How far from the mean a node may be, as a fraction of its disk.
    pub tolerance: f64,
    /// The nodes that take part: those that answer and take work.
    pub nodes: Vec<NodeLevel>,
    /// Nodes that come back soon or still tell what they hold: nothing is moved before.
    pub waits_for: Vec<NodeId>,
    /// Seconds needed at the present pace of copying; absent while nothing is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How full a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeLevel {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// The fraction of its disk that is used, 0 to 1, once what is under way has ended.
    pub used: f64,
    /// The same when all is moved.
    pub used_then: f64,
}
