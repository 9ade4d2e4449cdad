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
const LOOKED_AT_MAX: usize = 10_000;

/// A page of a table, in the order of its keys.
pub(super) fn page<T: Table>(view: &dyn View, query: &PageQuery) -> Result<Entries<T>, PresentError> {
    page_of::<T>(view, &[], query, |_, _| Ok(true))
}

/// A page of those entries whose keys begin so, and that are chosen.
pub(super) fn page_of<T: Table>(
    view: &dyn View,
    prefix: &[u8],
    query: &PageQuery,
    mut is_chosen: impl FnMut(&T::Key, &T::Record) -> Result<bool, ViewError>,
) -> Result<Entries<T>, PresentError> {
    let limit = query.limit.unwrap_or(PAGE_ITEMS_DEFAULT);
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        return Err(refused(format!("limit {limit}: a page has 1 to {PAGE_ITEMS_MAX} entries")));
    }
    let after = match &query.cursor {
        Some(cursor) => Some(
            from_hex(cursor)
                .filter(|bytes| bytes.starts_with(prefix))
                .and_then(|bytes| T::decode(&bytes))
                .ok_or_else(|| refused("the cursor is not one that this list gave out".to_owned()))?,
        ),
        None => None,
    };
    let mut entries: Vec<(T::Key, T::Record)> = Vec::new();
    let mut last = None;
    for (nth, entry) in view.scan_records::<T>(prefix, after.as_ref()).enumerate() {
        if entries.len() == limit as usize || nth == LOOKED_AT_MAX {
            return Ok((entries, last));
        }
        let (key, record) = entry?;
        last = Some(to_hex(&T::encode(&key)));
        if is_chosen(&key, &record)? {
            entries.push((key, record));
        }
    }
    Ok((entries, None))
}

fn refused(detail: String) -> PresentError {
    PresentError::Query(Box::new(Problem::new(Code::BadRequest, detail)))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
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
