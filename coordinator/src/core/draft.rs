//! A view with changes under way on top: `apply` reads its own writes, and the base is never touched.

use super::view::{Change, Entry, Table, View, ViewError, stored_key, stored_record};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map::Range},
    iter::Peekable,
    ops::Bound,
};

/// Changes on top of a base.
pub(super) struct Draft<'a> {
    base: &'a dyn View,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a dyn View) -> Self {
        Self { base, changes: BTreeMap::new() }
    }

    pub(super) fn put<T: Table>(&mut self, key: &T::Key, record: &T::Record) -> Result<(), ViewError> {
        let key = stored_key::<T>(key);
        let bytes = stored_record::<T>(&key, record)?;
        self.changes.insert(key, Some(bytes));
        Ok(())
    }

    pub(super) fn remove<T: Table>(&mut self, key: &T::Key) {
        self.changes.insert(stored_key::<T>(key), None);
    }

    /// The record in its stored form, or its removal.
    pub(super) fn set_stored(&mut self, key: Vec<u8>, record: Option<Vec<u8>>) {
        self.changes.insert(key, record);
    }

    /// The changes in key order.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes.into_iter().collect()
    }
}

impl View for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.base.get(key),
        }
    }

    fn scan<'a>(&'a self, prefix: &[u8], after: Option<&[u8]>) -> Box<dyn Iterator<Item = Entry> + 'a> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(prefix.to_vec()),
        };
        Box::new(Merged {
            prefix: prefix.to_vec(),
            base: self.base.scan(prefix, after).peekable(),
            changes: self.changes.range((start, Bound::Unbounded)).peekable(),
        })
    }
}

/// Two sorted walks as one; where both have a key the change hides the base's record.
struct Merged<'a> {
    prefix: Vec<u8>,
    base: Peekable<Box<dyn Iterator<Item = Entry> + 'a>>,
    changes: Peekable<Range<'a, Vec<u8>, Option<Vec<u8>>>>,
}

impl Iterator for Merged<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let changed =
                self.changes.peek().map(|(key, _)| key.as_slice()).filter(|key| key.starts_with(&self.prefix));
            let order = match (self.base.peek(), changed) {
                (Some(Err(_)), _) | (Some(Ok(_)), None) => Ordering::Less,
                (Some(Ok((key, _))), Some(changed)) => key.as_slice().cmp(changed),
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            if order == Ordering::Less {
                return self.base.next();
            }
            if order == Ordering::Equal {
                self.base.next();
            }
            if let Some((key, Some(record))) = self.changes.next() {
                return Some(Ok((key.clone(), record.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::core::view::Memory;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_draft_reads_like_its_base_with_the_changes_applied(
            base in proptest::collection::btree_map("[ab]{1,3}", "[xy]", 0..12),
            changes in proptest::collection::vec(("[ab]{1,3}", proptest::option::of("[xy]")), 0..12),
            prefix in "[ab]{0,2}",
            after in proptest::option::of("[ab]{1,3}"),
        ) {
            let base: Memory = base.into_iter().map(|(k, v)| (k.into_bytes(), v.into_bytes())).collect();
            let mut draft = Draft::new(&base);
            let mut expected = base.clone();
            for (key, record) in changes {
                draft.set_stored(key.clone().into_bytes(), record.clone().map(String::into_bytes));
                match record {
                    Some(record) => expected.insert(key.into_bytes(), record.into_bytes()),
                    None => expected.remove(key.as_bytes()),
                };
            }
            let after = after.as_deref().map(str::as_bytes);
            let read: Vec<_> = draft.scan(prefix.as_bytes(), after).map(Result::unwrap).collect();
            let wanted: Vec<_> = expected.scan(prefix.as_bytes(), after).map(Result::unwrap).collect();
            prop_assert_eq!(read, wanted);
            for key in base.keys().chain(expected.keys()) {
                prop_assert_eq!(draft.get(key).unwrap(), View::get(&expected, key).unwrap());
            }
        }
    }
}
