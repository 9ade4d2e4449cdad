//! The replicated state as a sorted map of typed keys.
//!
//! A [`View`] is anything that can get a record and walk a range in key order: a `BTreeMap` in tests, sled in service.
//! Typed access goes through [`Table`]s and [`Typed`]; keys are encoded so that byte order is the order wanted, and a
//! record is one byte of its table's version followed by JSON.

use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The stored state cannot be read: the store has to be rebuilt from snapshot and log.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The store failed.
    #[error("the state store failed: {0}")]
    Store(String),
    /// A record is not of the wanted form.
    #[error("the record at {key} cannot be read: {reason}")]
    Record {
        /// The record's key, escaped.
        key: String,
        /// What the decoder said.
        reason: String,
    },
}

impl ViewError {
    fn record(key: &[u8], reason: &dyn ToString) -> Self {
        Self::Record { key: key.escape_ascii().to_string(), reason: reason.to_string() }
    }
}

/// What a range walk yields: encoded key and record.
pub type Entry = Result<(Vec<u8>, Vec<u8>), ViewError>;

/// A sorted map of encoded keys to encoded records.
pub trait View {
    /// The record at `key`.
    ///
    /// # Errors
    /// Where the store fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;

    /// The records whose keys start with `prefix`, in key order, from the first key that is greater than `after` on.
    fn scan<'a>(&'a self, prefix: &[u8], after: Option<&[u8]>) -> Box<dyn Iterator<Item = Entry> + 'a>;
}

/// The state in memory: tests, and the overlay of changes under way.
pub type Memory = BTreeMap<Vec<u8>, Vec<u8>>;

impl View for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(BTreeMap::get(self, key).cloned())
    }

    fn scan<'a>(&'a self, prefix: &[u8], after: Option<&[u8]>) -> Box<dyn Iterator<Item = Entry> + 'a> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let prefix = prefix.to_vec();
        let start = match after {
            Some(after) if after >= prefix.as_slice() => Excluded(after.to_vec()),
            _ => Included(prefix.clone()),
        };
        Box::new(
            self.range((start, Unbounded))
                .take_while(move |(key, _)| key.starts_with(&prefix))
                .map(|(key, record)| Ok((key.clone(), record.clone()))),
        )
    }
}

/// A family of records.
pub trait Table {
    /// The first byte of its keys: no two tables share it.
    const TAG: u8;
    /// The version of its records: raised when a change is more than a new field with a default.
    const VERSION: u8 = 1;
    /// Its key. The `Serialize` form is not used: see [`Table::encode`].
    type Key;
    /// Its record, stored as JSON so that fields may be added.
    type Record: Serialize + DeserializeOwned;

    /// The key's bytes behind the tag.
    fn encode(key: &Self::Key) -> Vec<u8>;

    /// The reverse of [`Table::encode`].
    fn decode(bytes: &[u8]) -> Option<Self::Key>;
}

/// One change of the state: a record, or its removal.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// A key as it is stored.
pub fn stored_key<T: Table>(key: &T::Key) -> Vec<u8> {
    let mut bytes = vec![T::TAG];
    bytes.extend(T::encode(key));
    bytes
}

/// A record as it is stored.
///
/// # Errors
/// Where the record cannot be told in JSON.
pub fn stored_record<T: Table>(key: &[u8], record: &T::Record) -> Result<Vec<u8>, ViewError> {
    let mut bytes = vec![T::VERSION];
    serde_json::to_writer(&mut bytes, record).map_err(|error| ViewError::record(key, &error))?;
    Ok(bytes)
}

fn decode_record<T: Table>(key: &[u8], bytes: &[u8]) -> Result<T::Record, ViewError> {
    match bytes.split_first() {
        Some((&version, json)) if version == T::VERSION => {
            serde_json::from_slice(json).map_err(|error| ViewError::record(key, &error))
        }
        Some((version, _)) => Err(ViewError::record(
            key,
            &format_args!("it has version {version}, this program reads version {}", T::VERSION),
        )),
        None => Err(ViewError::record(key, &"it is empty")),
    }
}

/// Typed reading of any [`View`].
pub trait Typed {
    /// The record of `T` at `key`.
    ///
    /// # Errors
    /// Where the store fails or the record cannot be read.
    fn get_record<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, ViewError>;

    /// The records of `T` whose encoded keys start with `prefix` (see [`super::keys`]), in key order, from the first
    /// key after `after` on.
    fn scan_records<T: Table>(
        &self,
        prefix: &[u8],
        after: Option<&T::Key>,
    ) -> impl Iterator<Item = Result<(T::Key, T::Record), ViewError>>;

    /// As [`Typed::scan_records`], the keys alone: their records are not decoded.
    fn scan_keys<T: Table>(
        &self,
        prefix: &[u8],
        after: Option<&T::Key>,
    ) -> impl Iterator<Item = Result<T::Key, ViewError>>;
}

impl<V: View + ?Sized> Typed for V {
    fn get_record<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, ViewError> {
        let key = stored_key::<T>(key);
        self.get(&key)?.map(|bytes| decode_record::<T>(&key, &bytes)).transpose()
    }

    fn scan_records<T: Table>(
        &self,
        prefix: &[u8],
        after: Option<&T::Key>,
    ) -> impl Iterator<Item = Result<(T::Key, T::Record), ViewError>> {
        entries::<T, V>(self, prefix, after).map(|entry| {
            let (key, bytes) = entry?;
            Ok((decode_key::<T>(&key)?, decode_record::<T>(&key, &bytes)?))
        })
    }

    fn scan_keys<T: Table>(
        &self,
        prefix: &[u8],
        after: Option<&T::Key>,
    ) -> impl Iterator<Item = Result<T::Key, ViewError>> {
        entries::<T, V>(self, prefix, after).map(|entry| decode_key::<T>(&entry?.0))
    }
}

fn entries<'a, T: Table, V: View + ?Sized>(
    view: &'a V,
    prefix: &[u8],
    after: Option<&T::Key>,
) -> Box<dyn Iterator<Item = Entry> + 'a> {
    let mut start = vec![T::TAG];
    start.extend_from_slice(prefix);
    view.scan(&start, after.map(stored_key::<T>).as_deref())
}

fn decode_key<T: Table>(key: &[u8]) -> Result<T::Key, ViewError> {
    key.get(1..).and_then(T::decode).ok_or_else(|| ViewError::record(key, &"its key is not of its table's form"))
}
