//! Storage nodes: three separate things are told of each, never mixed: whether it answers ([`Availability`]), whether
//! it is given work ([`Scheduling`]), and whether it belongs to the cluster ([`Lifecycle`]).

use crate::{NodeId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a node answers. Known to the leader only, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Its heartbeats arrive.
    Up,
    /// Silent for a while: nothing new is placed there, nothing is moved yet.
    Unreachable,
    /// Silent for longer than `down_after`: its copies no longer count.
    Down,
}

/// Whether a node is given new work, as the operator wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduling {
    /// It is.
    #[default]
    Active,
    /// Nothing new goes there; what is there stays.
    Cordoned,
    /// What is there is moved away.
    Draining,
}

/// Whether a node belongs to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// It does.
    #[default]
    Member,
    /// It was removed for good; its id is never used again.
    Removed,
}

/// What a node says of itself in every heartbeat. Kept in the leader's memory only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeReport {
    /// Size of the file system that holds the data folder, in bytes.
    pub disk_total: u64,
    /// What an ordinary user could still write there, in bytes.
    pub disk_free: u64,
    /// What the node keeps back for deletes and repairs, in bytes.
    pub disk_reserve: u64,
    /// What has been promised to uploads and clones under way and is not yet written, in bytes.
    pub disk_promised: u64,
    /// Whether somebody else has filled the disk: the node takes no uploads and clones until its reserve is there again.
    #[serde(default)]
    pub disk_full: bool,
    /// Bytes of materials on this node.
    pub stored: u64,
    /// Number of materials on this node.
    pub materials: u64,
    /// How many of them are damaged, and not mended yet.
    #[serde(default)]
    pub damaged: u64,
    /// Groups of 16 KiB that were damaged and have been mended since the node was started.
    #[serde(default)]
    pub mended: u64,
    /// The walk over all bytes that finds damage; absent where there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScrubReport>,
    /// CPU in use on the whole machine, 0 to 1.
    pub cpu: f64,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// Memory that can still be had, in bytes.
    pub memory_free: u64,
    /// Load average over one minute.
    pub load: f64,
    /// Requests being answered just now.
    pub requests_active: u32,
    /// The protocol that its program speaks: what a later one brought is not asked of it.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
    /// Runs that the node carries out at once; 0 where it takes none. Absent from nodes of 0.1.0, which do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_max: Option<u32>,
    /// Tiles answered since start.
    pub tiles_served: u64,
    /// Seconds since the node was started.
    pub uptime_s: u64,
}

/// How far a scrub is: the walk over all bytes on a node that finds what the disk changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubReport {
    /// When the present round, or else the last one, began.
    pub started_at: Timestamp,
    /// When it ended; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Bytes read in it.
    pub read: u64,
    /// Bytes that it has still to read.
    pub left: u64,
    /// Groups of 16 KiB that it found damaged.
    pub damaged: u64,
}

impl NodeReport {
    /// Bytes that can still be promised to new copies.
    pub fn room(&self) -> u64 {
        if self.disk_full {
            return 0;
        }
        self.disk_free.saturating_sub(self.disk_reserve).saturating_sub(self.disk_promised)
    }
}

/// A node as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its identifier.
    pub id: NodeId,
    /// The name its operator gave it, its host's name otherwise.
    pub name: String,
    /// Base URL under which clients reach it.
    pub url: String,
    /// The failure domain it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The version of its program.
    pub version: String,
    /// Whether it answers.
    pub availability: Availability,
    /// Whether it is given work.
    pub scheduling: Scheduling,
    /// Whether it belongs to the cluster.
    pub lifecycle: Lifecycle,
    /// When it joined.
    pub registered_at: Timestamp,
    /// When it was last heard; absent where this leader never heard it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Its latest report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<NodeReport>,
    /// Verified copies that the cluster counts there.
    pub replicas: u64,
    /// What is left to be moved away, while it is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
}

/// What a draining node still has. It is drained when copies, uploads and runs are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// Verified copies that are still counted there.
    pub copies: u64,
    /// Uploads that still arrive there: each is moved once it is whole.
    pub uploads: u64,
    /// Runs under way there: each is left to its end.
    pub runs: u64,
    /// Bytes of the copies still there, less what has already been copied away of them.
    pub bytes_left: u64,
    /// Bytes a second over the last seconds.
    pub bytes_per_s: f64,
    /// Seconds still needed at that rate; absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

impl Drain {
    /// Whether nothing is left there.
    pub fn is_done(&self) -> bool {
        self.copies == 0 && self.uploads == 0 && self.runs == 0
    }
}

/// Where an upload would go: `GET /v1/nodes/candidates?size=N`, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Its base URL.
    pub url: String,
    /// Bytes that can still be promised there.
    pub room: u64,
    /// What places it: a larger score comes first.
    pub score: f64,
}
