//! How long materials live: what ends them, and what keeps them.

use microtome_proto::{Generation, MaterialId, NodeId, Timestamp, material};
use serde::{Deserialize, Serialize};

/// What changes a material's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "life", rename_all = "snake_case")]
pub enum Life {
    /// Their time is over: deletes those of which that is still so, and which no run uses that has not ended.
    End {
        /// The materials, each with the end that it had when this was planned: one that has another by now stays.
        due: Vec<(MaterialId, Timestamp)>,
    },
    /// Materials were read.
    Use {
        /// Which, and when.
        reads: Vec<(MaterialId, Timestamp)>,
    },
    /// From now on a material ends at another time.
    Set {
        /// The material.
        material: MaterialId,
        /// A new name and population, in the same step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// See `name`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        population: Option<u32>,
        /// When it is deleted, used or not; null for never, and left out for as before.
        #[serde(default, deserialize_with = "material::given", skip_serializing_if = "Option::is_none")]
        expires_at: Option<Option<Timestamp>>,
        /// After how many seconds without a reader it is deleted; likewise.
        #[serde(default, deserialize_with = "material::given", skip_serializing_if = "Option::is_none")]
        idle_s: Option<Option<u64>>,
    },
    /// All of an upload has come, and its node's check refuses it: the material ends, and what it was to be made of.
    Refuse {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
        /// The assignment.
        generation: Generation,
    },
}
