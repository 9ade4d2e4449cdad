//! What should be true of a node, and what it says of it.

use super::Reserve;
use crate::{Generation, MaterialId, RunId, material::Owner};
use serde::{Deserialize, Serialize};

/// What a node is to do. Every order is idempotent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Pull a copy from any of the sources, then report [`ReplicaReport::Verified`].
    Copy {
        /// The material.
        material: MaterialId,
        /// The assignment's generation.
        generation: Generation,
        /// Length in bytes.
        size: u64,
        /// BLAKE3 in hexadecimal.
        blake3: String,
        /// The material's name and media type, for the manifest.
        name: String,
        /// See [`Order::Copy::name`].
        media_type: String,
        /// Base URLs of the nodes that hold verified copies and answer.
        sources: Vec<String>,
        /// See [`Reserve::concat`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concat: Option<String>,
        /// See [`Reserve::owner`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// Put a file together from parts that are all here, then report [`ReplicaReport::Verified`]. Only nodes that speak
    /// [`crate::protocol::CONCATENATION`] get it.
    Join {
        /// What is to be: as it was reserved, or is to be reserved now where nothing of it is here.
        #[serde(flatten)]
        wanted: Reserve,
        /// The parts, in order.
        parts: Vec<MaterialId>,
    },
    /// Free the copy (or the half of one), then report [`ReplicaReport::Dropped`].
    Drop {
        /// The material.
        material: MaterialId,
        /// The generation of the assignment that ends. A copy of a newer generation stays.
        generation: Generation,
    },
    /// Carry out a run, then report [`RunReport`].
    Run {
        /// The run.
        run: RunId,
        /// The attempt's generation.
        attempt: Generation,
        /// The pipeline.
        pipeline: String,
        /// Its inputs.
        inputs: Vec<MaterialId>,
        /// Its parameters.
        parameters: serde_json::Value,
    },
    /// Stop a run's attempt without reporting it: it was cancelled or given to another node.
    Stop {
        /// The run.
        run: RunId,
        /// The attempt's generation.
        attempt: Generation,
    },
}

/// What became of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum ReplicaReport {
    /// The copy is whole, durable and verified.
    Verified {
        /// The assignment's generation.
        generation: Generation,
        /// Length in bytes.
        size: u64,
        /// BLAKE3 in hexadecimal.
        blake3: String,
    },
    /// The copy was freed.
    Dropped {
        /// The generation of the order.
        generation: Generation,
    },
    /// The copy cannot be made here (no room, a broken disk) or was lost.
    Failed {
        /// The assignment's generation.
        generation: Generation,
        /// Why, for the operator.
        reason: String,
    },
    /// All of an upload has come, and the operator's check refuses it: its material ends. Only coordinators that speak
    /// [`crate::protocol::BELONGING`] are told so.
    Refused {
        /// The assignment's generation.
        generation: Generation,
        /// Why, for its sender.
        reason: String,
    },
}

/// What became of a run's attempt. The first report of the present attempt counts; later ones are refused with
/// `stale_generation`, and the node then deletes what the attempt made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum RunReport {
    /// Its program has started.
    Started {
        /// The attempt.
        attempt: Generation,
    },
    /// Its outputs are durable materials.
    Done {
        /// The attempt.
        attempt: Generation,
        /// What it made.
        outputs: Vec<crate::run::Output>,
        /// What it found.
        result: serde_json::Value,
        /// Bytes of inputs that had to travel to the node.
        bytes_moved: u64,
    },
    /// It failed by its own fault; it is not tried again.
    Failed {
        /// The attempt.
        attempt: Generation,
        /// Why, for the user.
        reason: String,
    },
    /// The node cannot carry it out (no input here any more, stopping): another may.
    Refused {
        /// The attempt.
        attempt: Generation,
        /// Why, for the operator.
        reason: String,
    },
}
