//! The tus 1.0.0 protocol's vocabulary: header names, and the headers `Upload-Metadata`, `Upload-Checksum` and
//! `Upload-Concat`.
//!
//! Source: <https://tus.io/protocols/resumable-upload>.

mod concat;

pub use concat::{Concat, InvalidConcat, PARTIAL, is_final};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use std::{collections::BTreeMap, str::FromStr};

/// The version spoken.
pub const VERSION: &str = "1.0.0";
/// The extensions spoken.
pub const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,\
                              termination,concatenation";
/// Media type of a PATCH's body.
pub const PATCH_TYPE: &str = "application/offset+octet-stream";
/// The header with the protocol's version, on every request and answer.
pub const RESUMABLE: &str = "tus-resumable";
/// The header that lists the versions spoken.
pub const TUS_VERSION: &str = "tus-version";
/// The header that lists the extensions spoken.
pub const EXTENSION: &str = "tus-extension";
/// The header with the largest upload accepted, in bytes.
pub const MAX_SIZE: &str = "tus-max-size";
/// The header with the number of bytes that the server holds durably.
pub const OFFSET: &str = "upload-offset";
/// The header with the upload's whole length in bytes.
pub const LENGTH: &str = "upload-length";
/// The header that says that the length is told later.
pub const DEFER_LENGTH: &str = "upload-defer-length";
/// The header that tells when an upload that gets no more bytes ends.
pub const EXPIRES: &str = "upload-expires";
/// The header of a part of a file, and of a file that is put together from parts.
pub const CONCAT: &str = "upload-concat";
/// The header with the upload's metadata.
pub const METADATA: &str = "upload-metadata";
/// The header that lists the algorithms of [`CHECKSUM`].
pub const CHECKSUM_ALGORITHM: &str = "tus-checksum-algorithm";
/// The header, or trailer, with the checksum of one request's bytes.
pub const CHECKSUM: &str = "upload-checksum";
/// The header that names the method that a proxy did not let through.
pub const METHOD_OVERRIDE: &str = "x-http-method-override";

/// What a server tells of itself where it is asked with OPTIONS.
pub fn abilities() -> [(&'static str, String); 4] {
    let algorithms: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
    [
        (TUS_VERSION, VERSION.to_owned()),
        (EXTENSION, EXTENSIONS.to_owned()),
        (MAX_SIZE, crate::limits::MATERIAL_SIZE_MAX.to_string()),
        (CHECKSUM_ALGORITHM, algorithms.join(",")),
    ]
}

/// An algorithm of the checksum extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1, which the protocol demands. It guards against faults, not against attackers.
    Sha1,
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sha1, Self::Sha256, Self::Blake3];

    /// As the protocol calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }

    /// Bytes of a digest.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
        }
    }
}

/// What one request's bytes are said to sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// The digest: as many bytes as the algorithm's have.
    pub digest: Vec<u8>,
}

/// Whether a request says that its checksum comes behind its body.
pub fn has_checksum_trailer(headers: &HeaderMap) -> bool {
    let trailers = headers.get_all(header::TRAILER).iter().filter_map(|names| names.to_str().ok());
    trailers.flat_map(|names| names.split(',')).any(|name| name.trim().eq_ignore_ascii_case(CHECKSUM))
}

/// The checksum header breaks the protocol's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChecksum {
    /// It names none of [`Algorithm::ALL`].
    #[error("the algorithm '{0}' in Upload-Checksum is not supported: sha1, sha256 and blake3 are")]
    Algorithm(String),
    /// What follows is no such digest.
    #[error("Upload-Checksum is not '{0}', a blank and the base64 of a digest of {1} bytes")]
    Digest(&'static str, usize),
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let (name, digest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let algorithm = Algorithm::ALL.iter().copied().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
        let algorithm = algorithm.ok_or_else(|| InvalidChecksum::Algorithm(name.chars().take(20).collect()))?;
        let digest = STANDARD.decode(digest.trim()).ok().filter(|digest| digest.len() == algorithm.digest_len());
        let invalid = InvalidChecksum::Digest(algorithm.name(), algorithm.digest_len());
        Ok(Self { algorithm, digest: digest.ok_or(invalid)? })
    }
}

/// The metadata header breaks the protocol's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// It is longer than [`crate::limits::UPLOAD_METADATA_LEN_MAX`].
    #[error("Upload-Metadata is longer than {} bytes", crate::limits::UPLOAD_METADATA_LEN_MAX)]
    TooLong,
    /// A key is empty, not ASCII or given twice.
    #[error("Upload-Metadata has an empty, doubled or non-ASCII key")]
    Key,
    /// A value is not base64 of UTF-8.
    #[error("the value of '{0}' in Upload-Metadata is not base64 of UTF-8 text")]
    Value(String),
}

/// Reads `Upload-Metadata`: pairs of a key and a base64 value, parted by commas; the value may be left out.
///
/// # Errors
/// [`InvalidMetadata`] where it breaks the form.
pub fn parse_metadata(header: &str) -> Result<BTreeMap<String, String>, InvalidMetadata> {
    if header.len() > crate::limits::UPLOAD_METADATA_LEN_MAX {
        return Err(InvalidMetadata::TooLong);
    }
    let mut pairs = BTreeMap::new();
    for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(InvalidMetadata::Key);
        }
        let bytes = STANDARD.decode(value.trim()).map_err(|_| InvalidMetadata::Value(key.to_owned()))?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidMetadata::Value(key.to_owned()))?;
        if pairs.insert(key.to_owned(), text).is_some() {
            return Err(InvalidMetadata::Key);
        }
    }
    Ok(pairs)
}

/// Writes `Upload-Metadata`; the reverse of [`parse_metadata`].
pub fn format_metadata<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_goes_there_and_back() {
        let header = format_metadata([("filename", "Präparat 7.svs"), ("private", "")]);
        let pairs = parse_metadata(&header).unwrap();
        assert_eq!(pairs["filename"], "Präparat 7.svs");
        assert_eq!(pairs["private"], "");
    }

    #[test]
    fn checksums_from_outside_are_checked() {
        let checksum: Checksum = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=".parse().unwrap();
        assert_eq!((checksum.algorithm, checksum.digest.len()), (Algorithm::Sha1, 20));
        let blake3 = format!("BLAKE3 {}", STANDARD.encode([7; 32]));
        assert_eq!(blake3.parse::<Checksum>().unwrap().digest, [7; 32]);
        for text in ["", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "crc32 AAAAAA=="] {
            assert!(matches!(text.parse::<Checksum>(), Err(InvalidChecksum::Algorithm(_))), "{text}");
        }
        for text in ["sha1", "sha1 !!", "sha1 AAAA", "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0="] {
            assert!(matches!(text.parse::<Checksum>(), Err(InvalidChecksum::Digest(..))), "{text}");
        }
    }

    #[test]
    fn metadata_from_outside_is_checked() {
        assert_eq!(parse_metadata("filename !!!"), Err(InvalidMetadata::Value("filename".into())));
        assert_eq!(parse_metadata("a YQ==,a YQ=="), Err(InvalidMetadata::Key));
        assert_eq!(parse_metadata("filename /w=="), Err(InvalidMetadata::Value("filename".into())));
        assert_eq!(parse_metadata(&"a".repeat(9000)), Err(InvalidMetadata::TooLong));
    }
}
