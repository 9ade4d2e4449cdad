//! What a node writes down of a whole copy.

use super::tree::Leaf;
use microtome_proto::{Generation, MaterialId, Timestamp, internal::Held, material::Owner, tus};
use serde::{Deserialize, Serialize};

/// The version written.
pub(crate) const MANIFEST_VERSION: u32 = 1;

/// `manifest.json` beside a whole copy. Its presence says that file, leaves and spine were durable before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The format: [`MANIFEST_VERSION`].
    pub(crate) version: u32,
    /// The material.
    pub(crate) material: MaterialId,
    /// The assignment under which the copy was made.
    pub(crate) generation: Generation,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its BLAKE3, 64 hexadecimal digits.
    pub(crate) blake3: String,
    /// The material's name when the copy was made.
    pub(crate) name: String,
    /// Its media type.
    pub(crate) media_type: String,
    /// The header `Upload-Concat` that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concat: Option<String>,
    /// Whose upload it was, where it was not an administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
    /// The header `Upload-Metadata` that it was created with, where it came here and is not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
    /// When the copy was made.
    pub(crate) created_at: Timestamp,
}

impl Manifest {
    /// From the file's bytes.
    ///
    /// # Errors
    /// A sentence where it is not of the form, or of a newer one.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.version != MANIFEST_VERSION {
            return Err(format!("its version is {}, and this program knows {MANIFEST_VERSION}", manifest.version));
        }
        manifest.root().ok_or_else(|| format!("'{}' is no BLAKE3 hash", manifest.blake3))?;
        Ok(manifest)
    }

    /// Whether it is a part of a file that is put together, which is shown to nobody.
    pub(crate) fn is_partial(&self) -> bool {
        self.concat.as_deref() == Some(tus::PARTIAL)
    }

    /// Whether it was put together from parts.
    pub(crate) fn is_final(&self) -> bool {
        self.concat.as_deref().is_some_and(tus::is_final)
    }

    /// The hash as bytes.
    pub(crate) fn root(&self) -> Option<Leaf> {
        parse_hash(&self.blake3)
    }

    /// As the coordinator is told.
    pub(crate) fn held(&self) -> Held {
        Held {
            material: self.material.clone(),
            generation: self.generation,
            size: self.size,
            blake3: self.blake3.clone(),
        }
    }
}

/// A hash from 64 hexadecimal digits.
pub(crate) fn parse_hash(text: &str) -> Option<Leaf> {
    blake3::Hash::from_hex(text).ok().map(|hash| *hash.as_bytes())
}

/// A hash as hexadecimal digits.
pub(crate) fn format_hash(hash: &Leaf) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by version 0.1.0: stays readable for ever.
    const WRITTEN_BY_0_1: &str = r#"{"version":1,"material":"m-0123456789","generation":7,"size":3,
        "blake3":"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        "name":"a.svs","media_type":"image/tiff","created_at":"2026-11-22T10:00:00.000Z"}"#;

    #[test]
    fn yesterdays_manifest_is_read() {
        let manifest = Manifest::read(WRITTEN_BY_0_1.as_bytes()).unwrap();
        assert_eq!(manifest.generation, Generation(7));
        assert_eq!(manifest.root().as_ref(), Some(blake3::hash(b"abc").as_bytes()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let newer = WRITTEN_BY_0_1.replace("\"version\":1", "\"version\":2");
        let hash = WRITTEN_BY_0_1.replace("6437", "zzzz");
        for text in [newer.as_str(), hash.as_str(), "", "{}", "[1"] {
            assert!(Manifest::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
