//! Room for an upload is promised.

use crate::{CaseId, Generation, MaterialId, material::Owner};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// The length of an upload whose sender tells it later. A node that does not know of such uploads has no room for it.
pub const SIZE_DEFERRED: u64 = u64::MAX;

/// The coordinator reserves room for an upload on a node before it names the node to the client. Idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The material.
    pub material: MaterialId,
    /// The assignment's generation.
    pub generation: Generation,
    /// Length in bytes, or [`SIZE_DEFERRED`].
    pub size: u64,
    /// The material's name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The hash that the bytes must have, where the sender announced one.
    #[serde(default)]
    pub blake3: Option<String>,
    /// The header `Upload-Concat` that it was created with, for those who ask: [`crate::tus::PARTIAL`], or that of a file
    /// which is put together and takes no bytes from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concat: Option<String>,
    /// Whose upload it is, where it is not an administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The header `Upload-Metadata` that it was created with, for those who ask; none where it is longer than
    /// [`crate::limits::UPLOAD_METADATA_KEPT_LEN_MAX`], or where the node is told anew by the books, which do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// What the node's check is told of it, beside the above.
    #[serde(default, skip_serializing_if = "Belonging::is_none")]
    pub belonging: Belonging,
}

/// Where an upload comes from and belongs, as far as the node that receives it has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Belonging {
    /// The space that it is to lie in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The case that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// Whether a run makes it: what comes from the cluster itself is not checked.
    #[serde(skip_serializing_if = "Not::not")]
    pub is_output: bool,
}

impl Belonging {
    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Reserve {
    /// Whether it is put together from parts.
    pub fn is_final(&self) -> bool {
        self.concat.as_deref().is_some_and(crate::tus::is_final)
    }
}
