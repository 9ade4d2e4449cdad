//! The newest log entries, in memory: what is not durable yet must be readable already, and what was written last is
//! read first (by `apply` and by each follower's replication).

use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// An entry's bytes.
pub(crate) type Bytes = Arc<[u8]>;

/// Durable entries are kept up to this many bytes; those that are not durable are always kept.
const KEPT_LEN_MAX: usize = 16 << 20;

/// Everything from its first entry to the log's end, without a gap.
#[derive(Debug)]
pub(crate) struct Tail {
    entries: BTreeMap<u64, Bytes>,
    len: usize,
    /// The index behind the last durable entry.
    durable_end: u64,
    /// The index behind the log's last entry.
    end: u64,
    /// The index behind the last purged entry.
    start: u64,
}

impl Tail {
    /// Of a log whose entries `start..end` are durable.
    pub(crate) fn new(start: u64, end: u64) -> Self {
        Self { entries: BTreeMap::new(), len: 0, durable_end: end, end, start }
    }

    /// The index behind the log's last entry.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The first index that may be in the log.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn push(&mut self, index: u64, bytes: Bytes) {
        self.len += bytes.len();
        self.end = index + 1;
        if let Some(replaced) = self.entries.insert(index, bytes) {
            self.len -= replaced.len();
        }
    }

    /// Entries before `end` are durable now: those that are too many leave.
    pub(crate) fn durable(&mut self, end: u64) {
        self.durable_end = end;
        while self.len > KEPT_LEN_MAX {
            match self.entries.first_entry() {
                Some(first) if *first.key() < self.durable_end => self.len -= first.remove().len(),
                _ => break,
            }
        }
    }

    /// The entries from `from` on are gone.
    pub(crate) fn truncate(&mut self, from: u64) {
        let cut = self.entries.split_off(&from);
        self.len -= cut.values().map(|bytes| bytes.len()).sum::<usize>();
        self.end = self.end.min(from);
        self.durable_end = self.durable_end.min(from);
    }

    /// The entries up to `upto` are gone.
    pub(crate) fn purge(&mut self, upto: u64) {
        let kept = self.entries.split_off(&(upto + 1));
        self.len -= self.entries.values().map(|bytes| bytes.len()).sum::<usize>();
        self.entries = kept;
        self.start = self.start.max(upto + 1);
        self.end = self.end.max(self.start);
        self.durable_end = self.durable_end.max(self.start);
    }

    /// What of `range` is here, and what of it must be read from disk.
    pub(crate) fn split(&self, range: Range<u64>) -> (Range<u64>, Vec<(u64, Bytes)>) {
        let range = range.start.max(self.start)..range.end.min(self.end);
        if range.is_empty() {
            return (0..0, Vec::new());
        }
        let here = self.entries.first_key_value().map_or(self.end, |(first, _)| *first).clamp(range.start, range.end);
        let entries = self.entries.range(here..range.end).map(|(index, bytes)| (*index, Arc::clone(bytes))).collect();
        (range.start..here, entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(tail: &Tail, range: Range<u64>) -> (Range<u64>, Vec<u64>) {
        let (disk, here) = tail.split(range);
        (disk, here.into_iter().map(|(index, _)| index).collect())
    }

    #[test]
    fn a_range_is_split_between_disk_and_memory() {
        let mut tail = Tail::new(3, 10);
        tail.push(10, vec![0; 4].into());
        tail.push(11, vec![0; 4].into());
        assert_eq!(indexes(&tail, 0..100), (3..10, vec![10, 11]));
        assert_eq!(indexes(&tail, 4..6), (4..6, vec![]));
        assert_eq!(indexes(&tail, 11..12), (11..11, vec![11]));
        assert_eq!(indexes(&tail, 12..20), (0..0, vec![]));
        tail.truncate(11);
        assert_eq!((tail.end(), indexes(&tail, 10..20).1), (11, vec![10]));
        tail.purge(20);
        assert_eq!((tail.start(), tail.end(), tail.len), (21, 21, 0));
    }

    #[test]
    fn only_durable_entries_leave() {
        let mut tail = Tail::new(0, 0);
        for index in 0..20 {
            tail.push(index, vec![0; 1 << 20].into());
        }
        tail.durable(2);
        assert_eq!(indexes(&tail, 0..20), (0..2, (2..20).collect()));
        tail.durable(20);
        assert_eq!(indexes(&tail, 0..20).0, 0..4);
    }
}
