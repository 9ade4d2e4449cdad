//! Any table as a list of pages.

use crate::core::view::{Table, Typed, View, ViewError};
use microtome_proto::{
    Code, Problem,
    limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
    page::PageQuery,
};
use std::fmt::Write as _;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// The state cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The limit or the cursor is not understood.
    #[error("{0}")]
    Query(Box<Problem>),
}

/// A page's entries, and the next one's cursor.
pub(super) type Entries<T> = (Vec<(<T as Table>::Key, <T as Table>::Record)>, Option<String>);

/// Entries that one page is chosen from: where hardly any is for the asker, a page may have few entries, and another behind it.
pub(in crate::core) const LOOKS_MAX: usize = 2_000;

/// A page of a table, in the order of its keys.
pub(super) fn page<T: Table>(view: &dyn View, query: &PageQuery) -> Result<Entries<T>, PresentError> {
    page_within::<T>(view, &[], query)
}

/// The same of those entries whose encoded keys start with `prefix`.
pub(super) fn page_within<T: Table>(
    view: &dyn View,
    prefix: &[u8],
    query: &PageQuery,
) -> Result<Entries<T>, PresentError> {
    page_of::<T>(view, prefix, query, |_, _| Ok(true))
}

/// The same of those that are chosen.
pub(super) fn page_of<T: Table>(
    view: &dyn View,
    prefix: &[u8],
    query: &PageQuery,
    mut is_chosen: impl FnMut(&T::Key, &T::Record) -> Result<bool, ViewError>,
) -> Result<Entries<T>, PresentError> {
    let (limit, after) = (limit(query.limit)?, after::<T>(prefix, query)?);
    let mut entries: Vec<(T::Key, T::Record)> = Vec::new();
    let mut last = None;
    for (nth, entry) in view.scan_records::<T>(prefix, after.as_ref()).enumerate() {
        if entries.len() == limit || nth == LOOKS_MAX {
            return Ok((entries, last));
        }
        let (key, record) = entry?;
        last = Some(cursor_at::<T>(&key));
        if is_chosen(&key, &record)? {
            entries.push((key, record));
        }
    }
    Ok((entries, None))
}

/// How many entries a page has.
pub(super) fn limit(asked: Option<u32>) -> Result<usize, PresentError> {
    let limit = asked.unwrap_or(PAGE_ITEMS_DEFAULT);
    match (1..=PAGE_ITEMS_MAX).contains(&limit) {
        true => Ok(limit as usize),
        false => Err(refused(format!("limit {limit}: a page has 1 to {PAGE_ITEMS_MAX} entries"))),
    }
}

/// The key behind which the page starts: one of this list.
pub(super) fn after<T: Table>(prefix: &[u8], query: &PageQuery) -> Result<Option<T::Key>, PresentError> {
    let Some(cursor) = &query.cursor else { return Ok(None) };
    let bytes = from_hex(cursor).filter(|bytes| bytes.starts_with(prefix));
    bytes.and_then(|bytes| T::decode(&bytes)).map(Some).ok_or_else(foreign)
}

/// The cursor of a page that ends with this key.
pub(super) fn cursor_at<T: Table>(key: &T::Key) -> String {
    to_hex(&T::encode(key))
}

pub(super) fn foreign() -> PresentError {
    refused("the cursor is not one that this list gave out".to_owned())
}

pub(super) fn refused(detail: String) -> PresentError {
    PresentError::Query(Box::new(Problem::new(Code::BadRequest, detail)))
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_and_refuses_the_rest() {
        assert_eq!(from_hex(&to_hex(&[0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        for text in ["0", "0g", "é0", "0x12", " 1"] {
            assert_eq!(from_hex(text), None, "{text:?}");
        }
    }
}
