//! The tus 1.0.0 protocol's vocabulary: header names and the `Upload-Metadata` header.
//!
//! Source: <https://tus.io/protocols/resumable-upload>.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;

/// The version spoken.
pub const VERSION: &str = "1.0.0";
/// The extensions spoken.
pub const EXTENSIONS: &str = "creation,termination";
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
/// The header with the upload's metadata.
pub const METADATA: &str = "upload-metadata";
/// The header that names the method that a proxy did not let through.
pub const METHOD_OVERRIDE: &str = "x-http-method-override";

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
    fn metadata_from_outside_is_checked() {
        assert_eq!(parse_metadata("filename !!!"), Err(InvalidMetadata::Value("filename".into())));
        assert_eq!(parse_metadata("a YQ==,a YQ=="), Err(InvalidMetadata::Key));
        assert_eq!(parse_metadata("filename /w=="), Err(InvalidMetadata::Value("filename".into())));
        assert_eq!(parse_metadata(&"a".repeat(9000)), Err(InvalidMetadata::TooLong));
    }
}
