//! Runs: a pipeline, inputs and parameters, carried out where the inputs are.

use crate::limits::{NAME_LEN_MAX, NAME_PATTERN, RUN_INPUTS_MAX};
use crate::{Generation, MaterialId, NodeId, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// For its inputs, or for a node.
    Waiting,
    /// A node has been told to start it.
    Initializing,
    /// Its program works.
    Running,
    /// Its outputs are being published.
    Finalizing,
    /// Halted by a user; goes on where it stopped.
    Paused,
    /// Its outputs are published. Final.
    Done,
    /// It failed. Final.
    Error,
    /// A user ended it. Final.
    Canceled,
}

impl RunState {
    /// Whether nothing happens to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Canceled)
    }
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// 0 to 1.
    pub value: f64,
    /// What it does just now.
    pub label: String,
}

/// A material that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// What it is to the pipeline: `mask`, `summary`.
    pub name: String,
    /// The material.
    pub material: MaterialId,
}

/// A run as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// The user's name for it.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<MaterialId>,
    /// Its parameters.
    pub parameters: serde_json::Value,
    /// Where it stands.
    pub state: RunState,
    /// How far it is.
    pub progress: Progress,
    /// The node that carries it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The present attempt; a new one starts when its node dies.
    pub attempt: Generation,
    /// How many attempts there have been.
    pub attempts: u32,
    /// What it made.
    pub outputs: Vec<Output>,
    /// What it found, as the pipeline says it (for `tissue`: `fraction`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Why it failed, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of inputs that had to travel to the node first.
    pub bytes_moved: u64,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its present attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// `POST /v1/runs`. The header `Idempotency-Key` makes a retry safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRun {
    /// The pipeline's name; `tissue` is built in.
    pub pipeline: String,
    /// The user's name for the run; the pipeline's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// 1 to 1,000 materials, none twice.
    #[schemars(length(min = 1, max = RUN_INPUTS_MAX), extend("uniqueItems" = true))]
    pub inputs: Vec<MaterialId>,
    /// Parameters; an object.
    #[serde(default = "empty_object")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub parameters: serde_json::Value,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// A pipeline as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pipeline {
    /// Its name, which is its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Whether it is part of the program.
    pub built_in: bool,
}
