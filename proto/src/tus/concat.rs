//! The header `Upload-Concat`: an upload that is a part of a file, or a file that is put together from such parts.

use crate::{
    MaterialId,
    limits::{CONCAT_PARTS_MAX, UPLOAD_CONCAT_LEN_MAX},
};
use std::{collections::BTreeSet, str::FromStr};

/// What the header says of a part.
pub const PARTIAL: &str = "partial";
/// What the header begins with where the parts' addresses follow.
const FINAL: &str = "final;";
/// The path that an upload's address has before its id.
const PATH: &str = "/v1/uploads";

/// Whether a value of the header is a file's that is put together.
pub fn is_final(text: &str) -> bool {
    text.trim_start().starts_with(FINAL)
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concat {
    /// A part.
    Partial,
    /// A file, and its parts in order: 1 to [`CONCAT_PARTS_MAX`], none twice.
    Final(Vec<MaterialId>),
}

/// The header breaks the protocol's form, or a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConcat {
    /// It is longer than [`UPLOAD_CONCAT_LEN_MAX`].
    #[error("Upload-Concat is longer than {most} bytes", most = UPLOAD_CONCAT_LEN_MAX)]
    TooLong,
    /// It is neither of the two.
    #[error("Upload-Concat is neither 'partial' nor 'final;' with the addresses of the parts behind it")]
    Kind,
    /// No part is named.
    #[error("Upload-Concat is 'final;' and names no part")]
    Empty,
    /// More than [`CONCAT_PARTS_MAX`] are.
    #[error("Upload-Concat names {0} parts: at most {most} are allowed", most = CONCAT_PARTS_MAX)]
    TooMany(usize),
    /// One is no upload's address.
    #[error("'{0}' in Upload-Concat is no address of an upload: write it as 'Location' gave it")]
    Address(String),
    /// One is named twice.
    #[error("Upload-Concat names {0} twice")]
    Twice(MaterialId),
}

impl FromStr for Concat {
    type Err = InvalidConcat;

    fn from_str(text: &str) -> Result<Self, InvalidConcat> {
        let text = text.trim();
        if text.len() > UPLOAD_CONCAT_LEN_MAX {
            return Err(InvalidConcat::TooLong);
        }
        if text == PARTIAL {
            return Ok(Self::Partial);
        }
        let addresses = text.strip_prefix(FINAL).ok_or(InvalidConcat::Kind)?;
        let parts = addresses.split_ascii_whitespace().map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Err(InvalidConcat::Empty);
        }
        if parts.len() > CONCAT_PARTS_MAX {
            return Err(InvalidConcat::TooMany(parts.len()));
        }
        let mut seen = BTreeSet::new();
        match parts.iter().find(|part| !seen.insert(*part)) {
            Some(twice) => Err(InvalidConcat::Twice(twice.clone())),
            None => Ok(Self::Final(parts)),
        }
    }
}

/// The upload at an address, absolute or relative. By which server's name it is reached means nothing: ids are the
/// cluster's.
fn part(address: &str) -> Result<MaterialId, InvalidConcat> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let id = path.rsplit_once('/').filter(|(before, _)| before.ends_with(PATH)).and_then(|(_, id)| id.parse().ok());
    id.ok_or_else(|| InvalidConcat::Address(address.chars().filter(|char| !char.is_control()).take(100).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_by_absolute_and_relative_addresses() {
        let ids = |names: &[&str]| Concat::Final(names.iter().map(|name| name.parse().unwrap()).collect());
        assert_eq!("partial".parse(), Ok(Concat::Partial));
        let text = "final;http://10.0.0.1:7500/v1/uploads/m-a /v1/uploads/m-b  https://lab/x/v1/uploads/m-c?token=t";
        assert_eq!(text.parse(), Ok(ids(&["m-a", "m-b", "m-c"])));
        assert_eq!("final; /v1/uploads/m-a".parse(), Ok(ids(&["m-a"])));
        assert!(is_final(text) && !is_final("partial"));
    }

    #[test]
    fn what_breaks_the_form_or_a_limit_is_refused() {
        let read = |text: &str| text.parse::<Concat>().unwrap_err();
        for text in ["", "Partial", "final", "partial;x"] {
            assert_eq!(read(text), InvalidConcat::Kind, "{text}");
        }
        assert_eq!(read("final; "), InvalidConcat::Empty);
        for address in ["m-a", "/v1/uploads/", "/v1/uploads/n-1", "/v1/materials/m-a", "http://a/v1/uploads/m-A"] {
            assert_eq!(read(&format!("final;{address}")), InvalidConcat::Address(address.to_owned()));
        }
        assert!(matches!(read("final;/v1/uploads/m-a http://b/v1/uploads/m-a"), InvalidConcat::Twice(_)));
        let many: Vec<_> = (0..=CONCAT_PARTS_MAX).map(|nth| format!("/v1/uploads/m-{nth}")).collect();
        assert_eq!(read(&format!("final;{}", many.join(" "))), InvalidConcat::TooMany(CONCAT_PARTS_MAX + 1));
        assert!(format!("final;{}", many[1..].join(" ")).parse::<Concat>().is_ok());
        assert_eq!(read(&"x".repeat(UPLOAD_CONCAT_LEN_MAX + 1)), InvalidConcat::TooLong);
    }
}
