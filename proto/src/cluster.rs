//! The cluster as a whole: `GET /v1/cluster`.

use crate::{ClusterId, CoordinatorId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coordinator {
    /// Its number.
    pub id: CoordinatorId,
    /// Its base URL.
    pub url: String,
    /// Whether it leads.
    pub leader: bool,
    /// Whether the leader has heard it lately (the leader itself: yes).
    pub live: bool,
    /// How many log entries it is behind the leader; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
}

/// `POST /v1/coordinators`: takes in a coordinator that runs with an empty folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCoordinator {
    /// Its number, which nobody had.
    #[schemars(range(min = 1))]
    pub id: CoordinatorId,
    /// Its base URL: `http://HOST:PORT`, without a slash at its end.
    #[schemars(length(max = 300), regex(pattern = "^http://[0-9A-Za-z.-]+(:[0-9]{1,5})?$"))]
    pub url: String,
}

/// What is being made whole just now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Healing {
    /// Materials with fewer verified live copies than wanted.
    pub materials: u64,
    /// Copies under way.
    pub copies: u64,
    /// Bytes still to copy.
    pub bytes_left: u64,
    /// Bytes a second over the last seconds.
    pub bytes_per_s: f64,
    /// Seconds still needed at that rate; absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

/// Copies being moved so that nodes are equally full, as an operator asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rebalance {
    /// When it was asked for.
    pub since: Timestamp,
    /// Copies under way.
    pub copies: u64,
    /// Bytes still to move.
    pub bytes_left: u64,
    /// Bytes a second over the last seconds.
    pub bytes_per_s: f64,
    /// Seconds still needed at that rate; absent while nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
    /// The fraction of its disk that the fullest node has used, 0 to 1.
    pub fullest: f64,
    /// The fraction of its disk that the emptiest node has used, 0 to 1.
    pub emptiest: f64,
}

/// Whether tokens are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checks {
    /// On each request; also where a cluster of an older version does not say.
    #[default]
    On,
    /// Not at all: whoever reaches a server may do everything.
    Off,
}

/// The cluster as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    /// Its identifier.
    pub id: ClusterId,
    /// Its name from the configuration.
    pub name: String,
    /// The version of the program that answers.
    pub version: String,
    /// The protocol by which the coordinators work: the highest that all of them speak.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
    /// Whether tokens are checked.
    #[serde(default)]
    pub auth: Checks,
    /// Raft's term.
    pub term: u64,
    /// Who leads.
    pub leader: CoordinatorId,
    /// All coordinators.
    pub coordinators: Vec<Coordinator>,
    /// Nodes that belong to it, and how many of them answer.
    pub nodes: u64,
    /// Nodes that answer.
    pub nodes_up: u64,
    /// Materials.
    pub materials: u64,
    /// Bytes of materials, each counted once.
    pub bytes: u64,
    /// What is being made whole.
    pub healing: Healing,
    /// What is being moved for the balance's sake; absent where nobody asked for it, or it has come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<Rebalance>,
}
