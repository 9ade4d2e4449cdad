//! Values as variables and flags give them: plain text.

use super::size::{Size, Span};
use std::collections::BTreeMap;

/// What a variable or a flag can be read as.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! from_text {
    ($($number:ty),*) => {$(
        impl FromText for $number {
            fn from_text(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("'{text}' is no whole number within bounds"))
            }
        }
    )*};
}

from_text!(u32, u64, usize);

impl FromText for Size {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for Span {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Vec<String> {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(comma_list(text))
    }
}

impl FromText for BTreeMap<String, String> {
    fn from_text(text: &str) -> Result<Self, String> {
        comma_list(text).iter().map(|pair| parse_pair(pair)).collect()
    }
}

pub(super) fn comma_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Reads `key=value`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("'{text}' is not of the form key=value")),
    }
}
