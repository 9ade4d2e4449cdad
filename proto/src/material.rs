//! Materials: the stored files, and where their copies are.

use crate::limits::{
    FILE_KEY_LEN_MAX, FILE_KEY_PATTERN, LIFE_S_MAX, MATERIAL_SIZE_MAX, MEDIA_TYPE_LEN_MAX, MEDIA_TYPE_PATTERN,
    NAME_LEN_MAX, NAME_PATTERN, POPULATION_MAX,
};
use crate::{CaseId, Generation, MaterialId, NodeId, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::ops::Not;

/// What a material's copies amount to just now. Derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaterialState {
    /// Its bytes are still arriving.
    Receiving,
    /// As many verified copies live as are wanted.
    Ready,
    /// It can be read, but fewer copies live than are wanted.
    Degraded,
    /// No node that holds a verified copy can be reached.
    Unavailable,
    /// Its bytes are in the archive only.
    Archived,
    /// Deleted; its bytes are being freed.
    Deleting,
}

/// Where one copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// The client's bytes arrive here.
    Receiving,
    /// Being pulled from other replicas.
    Copying,
    /// Whole, durable, and its hash is the material's.
    Verified,
    /// Whole but for some of its bytes, which its node found changed by the disk and has not mended yet. It does not count;
    /// all its other bytes can be read.
    Damaged,
    /// To be freed; the node has not said yet that it did.
    Dropping,
}

/// One copy of a material on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replica {
    /// The node.
    pub node: NodeId,
    /// Where it stands.
    pub state: ReplicaState,
    /// Fences late reports about an earlier assignment.
    pub generation: Generation,
    /// The base URL of the node, where its bytes and tiles can be fetched.
    pub url: String,
    /// Whether the node answers just now.
    pub live: bool,
    /// Bytes that are there while it is receiving or copying, as its node last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// What the file waits for there though all of it has come: its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// The run that made a material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The run.
    pub run: RunId,
    /// The attempt of the run; outputs of an attempt that was given up are deleted.
    pub attempt: Generation,
}

/// Whose upload it is: that of tokens with this space and name, beside administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The space that the token names; empty of a user of the cluster's own.
    pub space: String,
    /// Its bearer's name, a user's id; empty where it has none.
    pub name: String,
}

/// Where a material belongs, and how long it lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Terms {
    /// The space that it lies in; without one it is its owner's and the administrators'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The key under which its space serves it, from the moment when its first copy is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What must stand under the key at that moment; none where that does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The case that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// When it is deleted, used or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// After how many seconds without a reader it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u64>,
}

/// What must stand under a key for it to be overwritten: `If-Match`, `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing.
    Nothing,
    /// Anything.
    Something,
    /// The file with one of these BLAKE3 hashes.
    AnyOf(Vec<String>),
}

/// A material as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Material {
    /// Its identifier.
    pub id: MaterialId,
    /// Its name as its sender gave it; never a path.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether its sender tells the length later, and has not yet: 0 is no length then.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub size_unknown: bool,
    /// Its media type, `application/octet-stream` where the sender named none.
    pub media_type: String,
    /// BLAKE3 of its bytes, 64 hexadecimal digits; absent until they have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// What its copies amount to.
    pub state: MaterialState,
    /// How many copies are wanted.
    pub population: u32,
    /// How many verified copies live on nodes that answer.
    pub population_live: u32,
    /// Its copies.
    pub replicas: Vec<Replica>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Where it belongs and how long it lives.
    #[serde(flatten)]
    pub terms: Terms,
    /// When somebody read it last, as far as that is told; of materials that end when they lie idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Where to send its bytes, while they are still arriving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_url: Option<String>,
    /// The slide's page in the viewer, a path on this server.
    pub view: String,
}

/// `POST /v1/materials`. The header `Idempotency-Key` makes a retry safe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMaterial {
    /// What it is called: 1 to 255 bytes of UTF-8 without control characters. Never a path.
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Length in bytes, at most 1 TiB.
    #[schemars(range(max = MATERIAL_SIZE_MAX))]
    pub size: u64,
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MEDIA_TYPE_LEN_MAX), regex(pattern = MEDIA_TYPE_PATTERN))]
    pub media_type: Option<String>,
    /// The hash that the bytes must have, where the sender knows it: BLAKE3 as 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub blake3: Option<String>,
    /// Copies wanted; the cluster's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = POPULATION_MAX))]
    pub population: Option<u32>,
    /// The space that it is to lie in; a token's own space comes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub space: Option<String>,
    /// The key under which its space serves it, from the moment when its first copy is verified: names with slashes between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = FILE_KEY_LEN_MAX), regex(pattern = FILE_KEY_PATTERN))]
    pub key: Option<String>,
    /// The case that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// Whether it is to be seen in its sender's own space only, and not in `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// After how many seconds it is deleted, used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub expires_in_s: Option<u64>,
    /// After how many seconds without a reader it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub idle_expires_in_s: Option<u64>,
    /// The run's attempt that makes it. Only nodes name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub origin: Option<Origin>,
}

/// `PATCH /v1/materials/{id}`: what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchMaterial {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_LEN_MAX), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// Copies wanted, 1 to 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = POPULATION_MAX))]
    pub population: Option<u32>,
    /// After how many seconds from now it is deleted, used or not; null for never.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub expires_in_s: Option<Option<u64>>,
    /// After how many seconds without a reader it is deleted; null for never.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LIFE_S_MAX))]
    pub idle_expires_in_s: Option<Option<u64>>,
}

/// Tells null from what is left out, of a field that has a default: null is `Some(None)`.
///
/// # Errors
/// Where the value has not its form.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_told_from_as_before() {
        let patch = |text| serde_json::from_str::<PatchMaterial>(text).unwrap();
        let (absent, never, soon) = (patch("{}"), patch(r#"{"expires_in_s":null}"#), patch(r#"{"expires_in_s":7}"#));
        assert_eq!((absent.expires_in_s, never.expires_in_s, soon.expires_in_s), (None, Some(None), Some(Some(7))));
        for patch in [absent, never, soon] {
            let text = serde_json::to_string(&patch).unwrap();
            assert_eq!(serde_json::from_str::<PatchMaterial>(&text).unwrap(), patch, "{text}");
        }
    }
}
