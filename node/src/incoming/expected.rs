//! The note in an incoming folder.

use crate::blobs::parse_hash;
use microtome_proto::{
    Generation, MaterialId, Timestamp,
    internal::{Belonging, Reserve, SIZE_DEFERRED},
    limits::MATERIAL_SIZE_MAX,
    material::Owner,
    tus,
};
use serde::{Deserialize, Serialize};
use std::ops::Not;

const VERSION: u32 = 1;
/// Of a note without a size: a program that does not know of such uploads must not take it for another.
const VERSION_WITHOUT_SIZE: u32 = 2;
/// Of a note of a part, of what is put together, or of an upload that not everybody may go on with: likewise.
const VERSION_OF_PARTS: u32 = 3;

/// How a copy's bytes arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// From a client, in order.
    Upload,
    /// From other nodes, in ranges.
    Clone,
}

/// What is expected: `incoming.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    version: u32,
    /// How its bytes arrive.
    pub(crate) way: Way,
    /// The material.
    pub(crate) material: MaterialId,
    /// The assignment's generation.
    pub(crate) generation: Generation,
    /// Length in bytes; the largest that there is, where it is not known yet.
    pub(crate) size: u64,
    /// Whether the sender tells the length later.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) size_deferred: bool,
    /// The material's name.
    pub(crate) name: String,
    /// Its media type.
    pub(crate) media_type: String,
    /// The hash that the bytes must have: always known of a clone.
    #[serde(default)]
    pub(crate) blake3: Option<String>,
    /// See [`Reserve::concat`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concat: Option<String>,
    /// See [`Reserve::owner`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
    /// See [`Reserve::metadata`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
    /// See [`Reserve::belonging`].
    #[serde(default, skip_serializing_if = "Belonging::is_none")]
    pub(crate) belonging: Belonging,
    /// When it was announced.
    pub(crate) created_at: Timestamp,
}

impl Expected {
    /// An upload, as the coordinator reserves it.
    pub(crate) fn upload(reserve: Reserve) -> Self {
        let size_deferred = reserve.size == SIZE_DEFERRED;
        let special = reserve.concat.is_some() || reserve.owner.is_some();
        Self {
            version: version(size_deferred, special),
            way: Way::Upload,
            material: reserve.material,
            generation: reserve.generation,
            size: if size_deferred { MATERIAL_SIZE_MAX } else { reserve.size },
            size_deferred,
            name: reserve.name,
            media_type: reserve.media_type,
            blake3: reserve.blake3,
            concat: reserve.concat,
            owner: reserve.owner,
            metadata: reserve.metadata,
            belonging: reserve.belonging,
            created_at: Timestamp::now(),
        }
    }

    /// A clone, as the coordinator orders it: the same particulars, and the hash is known.
    pub(crate) fn clone_of(reserve: Reserve) -> Self {
        Self { way: Way::Clone, ..Self::upload(reserve) }
    }

    /// The same, once its sender has told the length.
    pub(super) fn of_size(&self, size: u64) -> Self {
        let special = self.concat.is_some() || self.owner.is_some();
        Self { version: version(false, special), size, size_deferred: false, ..self.clone() }
    }

    /// Whether its bytes come from parts.
    pub(crate) fn is_final(&self) -> bool {
        self.concat.as_deref().is_some_and(tus::is_final)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let expected: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if ![VERSION, VERSION_WITHOUT_SIZE, VERSION_OF_PARTS].contains(&expected.version) {
            return Err(format!("its version is {}: this program does not know it", expected.version));
        }
        match &expected.blake3 {
            Some(hash) if parse_hash(hash).is_none() => Err(format!("'{hash}' is no BLAKE3 hash")),
            None if expected.way == Way::Clone => Err("a clone without a hash".to_owned()),
            _ => Ok(expected),
        }
    }
}

fn version(size_deferred: bool, special: bool) -> u32 {
    match (special, size_deferred) {
        (true, _) => VERSION_OF_PARTS,
        (false, true) => VERSION_WITHOUT_SIZE,
        (false, false) => VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by version 0.1.0: stays readable for ever.
    const WRITTEN_BY_0_1: &str = r#"{"version":1,"way":"upload","material":"m-0123456789","generation":7,"size":3,
        "name":"a.svs","media_type":"image/tiff","blake3":null,"created_at":"2026-11-22T10:00:00.000Z"}"#;

    #[test]
    fn yesterdays_note_is_read() {
        let expected = Expected::read(WRITTEN_BY_0_1.as_bytes()).unwrap();
        assert_eq!((expected.way, expected.generation, expected.size), (Way::Upload, Generation(7), 3));
    }

    #[test]
    fn what_has_to_do_with_parts_is_not_taken_for_an_upload_by_an_older_program() {
        let plain = Expected::read(WRITTEN_BY_0_1.as_bytes()).unwrap();
        assert!(!plain.is_final());
        for (concat, is_final) in [("partial", false), ("final;/v1/uploads/m-a", true)] {
            let note = Expected { concat: Some(concat.to_owned()), ..plain.clone() }.of_size(3);
            let read = Expected::read(&serde_json::to_vec(&note).unwrap()).unwrap();
            assert_eq!((read.version, read.is_final()), (VERSION_OF_PARTS, is_final));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let newer = WRITTEN_BY_0_1.replace("\"version\":1", "\"version\":4");
        let hash = WRITTEN_BY_0_1.replace("null", "\"zz\"");
        let clone = WRITTEN_BY_0_1.replace("\"upload\"", "\"clone\"");
        for text in [newer, hash, clone, String::new()] {
            assert!(Expected::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
