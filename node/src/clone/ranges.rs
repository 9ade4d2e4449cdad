//! Which ranges of a clone are durable: `ranges.json`, written after the ranges' bytes were synced.

use crate::{blobs::Arrived, disk, incoming::RANGES};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io, ops::Range, path::Path, sync::Arc};

/// Bytes of a range: one request. A multiple of the hash tree's groups, and a half of its blocks.
pub(super) const RANGE_LEN: u64 = 8 << 20;
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    range_len: u64,
    /// Runs of durable ranges: first, and one past the last.
    durable: Vec<(u64, u64)>,
}

/// The durable ranges of one clone.
#[derive(Debug, Clone)]
pub(super) struct Ranges {
    size: u64,
    durable: BTreeSet<u64>,
}

impl Ranges {
    /// None, of a file of `size` bytes.
    pub(super) fn none(size: u64) -> Self {
        Self { size, durable: BTreeSet::new() }
    }

    /// What is written down in `folder`. What is not there or not understood only costs that ranges are fetched again.
    pub(super) fn read(folder: &Path, size: u64) -> Self {
        let stored = std::fs::read(folder.join(RANGES)).ok();
        let stored = stored.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let stored = stored.filter(|stored| stored.version == VERSION && stored.range_len == RANGE_LEN);
        let runs = stored.map(|stored| stored.durable).unwrap_or_default();
        let count = range_count(size);
        let durable = runs.into_iter().flat_map(|(first, end)| first.min(count)..end.min(count)).collect();
        Self { size, durable }
    }

    /// Writes them down durably. Blocks.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut durable: Vec<(u64, u64)> = Vec::new();
        for &index in &self.durable {
            match durable.last_mut() {
                Some((_, end)) if *end == index => *end += 1,
                _ => durable.push((index, index + 1)),
            }
        }
        let stored = Stored { version: VERSION, range_len: RANGE_LEN, durable };
        disk::write(&folder.join(RANGES), &serde_json::to_vec(&stored).map_err(io::Error::other)?)
    }

    pub(super) fn insert(&mut self, indexes: impl IntoIterator<Item = u64>) {
        self.durable.extend(indexes);
    }

    /// The same as readers want it, who are shown more as it comes.
    pub(super) fn arrived(&self) -> Arc<Arrived> {
        let arrived = Arrived::new(self.size, RANGE_LEN);
        self.durable.iter().for_each(|&index| arrived.insert(index));
        Arc::new(arrived)
    }

    /// What is still to be fetched.
    pub(super) fn missing(&self) -> Vec<u64> {
        (0..range_count(self.size)).filter(|index| !self.durable.contains(index)).collect()
    }

    /// Durable bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.durable.iter().map(|&index| range(self.size, index)).map(|range| range.end - range.start).sum()
    }
}

fn range_count(size: u64) -> u64 {
    size.div_ceil(RANGE_LEN)
}

/// The bytes of range `index`.
pub(super) fn range(size: u64, index: u64) -> Range<u64> {
    (index * RANGE_LEN).min(size)..((index + 1) * RANGE_LEN).min(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durable_ranges_are_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let size = 5 * RANGE_LEN + 7;
        let mut ranges = Ranges::read(dir.path(), size);
        assert_eq!(ranges.missing(), [0, 1, 2, 3, 4, 5]);
        ranges.insert([0, 1, 5, 3]);
        ranges.write(dir.path()).unwrap();
        let again = Ranges::read(dir.path(), size);
        assert_eq!(again.missing(), [2, 4]);
        assert_eq!(again.bytes(), 3 * RANGE_LEN + 7);
    }

    #[test]
    fn a_file_that_is_not_understood_costs_nothing_but_time() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "[]", r#"{"version":1,"range_len":5,"durable":[[0,9]]}"#] {
            std::fs::write(dir.path().join(RANGES), text).unwrap();
            assert_eq!(Ranges::read(dir.path(), 100).missing(), [0]);
        }
        let absurd = r#"{"version":1,"range_len":8388608,"durable":[[0,18446744073709551615],[9,3]]}"#;
        std::fs::write(dir.path().join(RANGES), absurd).unwrap();
        assert_eq!(Ranges::read(dir.path(), 100).bytes(), 100);
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert!(Ranges::read(Path::new("/nowhere"), 0).missing().is_empty());
    }
}
