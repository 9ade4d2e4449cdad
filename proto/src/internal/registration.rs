//! A node makes itself known, and tells what it holds.

use crate::{Generation, MaterialId, NodeId, node::NodeReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A node makes itself known, at each of its starts. Idempotent by `instance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// Random, 32 hexadecimal digits, drawn once and kept in the data folder: who has it is the same node.
    pub instance: String,
    /// The cluster that the data folder belongs to; absent at the first start.
    #[serde(default)]
    pub cluster: Option<crate::ClusterId>,
    /// The node's name.
    pub name: String,
    /// Base URL under which clients and other nodes reach it.
    pub url: String,
    /// Failure domain.
    #[serde(default)]
    pub zone: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Version of its program.
    pub version: String,
    /// The protocol that it speaks.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
    /// Its first report.
    pub report: NodeReport,
}

/// The answer to [`Register`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The node's id, the same at every start.
    pub node: NodeId,
    /// The cluster that it now belongs to.
    pub cluster: crate::ClusterId,
    /// How often to heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
    /// All coordinators' base URLs, the leader first.
    pub coordinators: Vec<String>,
    /// The protocol that the coordinator speaks.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
}

/// A verified copy that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The material.
    pub material: MaterialId,
    /// The generation under which the copy was made.
    pub generation: Generation,
    /// Its length in bytes.
    pub size: u64,
    /// Its BLAKE3 in hexadecimal.
    pub blake3: String,
}

/// The answer to a node that is about to count what it holds. A page of what it counted is settled only as long as this
/// leader leads and has heard of no change to the node's copies since: a page that was long on its way would take for lost
/// what came in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// To be told with each page.
    pub count: u64,
}

/// A part of what a node holds, in ascending order of materials: at most [`crate::limits::INVENTORY_PAGE_MAX`]
/// entries. A page speaks for all materials after `after` up to its last entry, and up to the end if it is `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The last material of the page before; absent on the first.
    #[serde(default)]
    pub after: Option<MaterialId>,
    /// Whole copies.
    pub held: Vec<Held>,
    /// Whether it is the last page.
    pub last: bool,
    /// Uploads and clones under way on the node, on the last page only: their assignments stand.
    #[serde(default)]
    pub incoming: Vec<(MaterialId, Generation)>,
    /// See [`Counting`]; nodes that speak the first protocol have none.
    #[serde(default)]
    pub count: Option<u64>,
}

/// The answer to [`Inventory`]: what the node holds and should not. All else that it told stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Copies and incoming ones to be dropped now: their material is deleted, or counted elsewhere.
    pub drop: Vec<MaterialId>,
}
