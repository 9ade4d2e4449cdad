//! Which copies are read, for the coordinators: what is read is not idle, and what is being read does not end.

use microtome_proto::MaterialId;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::atomic::{AtomicU32, Ordering},
};

/// What was read since it was last asked, and what is being read.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Each time between two questions has a number. A copy that was read in the present one is noted already: so a tile
    /// costs a look at two numbers, and one of many a lock.
    period: AtomicU32,
    fresh: Mutex<BTreeSet<MaterialId>>,
    /// How often each is being read.
    open: Mutex<BTreeMap<MaterialId, usize>>,
}

impl Default for Reads {
    fn default() -> Self {
        Self { period: AtomicU32::new(1), fresh: Mutex::default(), open: Mutex::default() }
    }
}

impl Reads {
    /// A copy is read that was read last in the period `last`.
    pub(super) fn note(&self, last: &AtomicU32, material: &MaterialId) {
        let period = self.period.load(Ordering::Relaxed);
        if last.load(Ordering::Relaxed) != period {
            last.store(period, Ordering::Relaxed);
            self.fresh.lock().insert(material.clone());
        }
    }

    pub(super) fn begin(&self, material: &MaterialId) {
        *self.open.lock().entry(material.clone()).or_default() += 1;
    }

    pub(super) fn end(&self, material: &MaterialId) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(material) {
            *count -= 1;
            if *count == 0 {
                open.remove(material);
            }
        }
        // All of its time it was in use.
        self.fresh.lock().insert(material.clone());
    }

    /// What was read since this was asked last. A read that is not among it comes with the next answer.
    pub(crate) fn take(&self) -> BTreeSet<MaterialId> {
        let mut fresh = self.fresh.lock();
        self.period.fetch_add(1, Ordering::Relaxed);
        mem::take(&mut fresh)
    }

    /// What is being read.
    pub(crate) fn open(&self) -> BTreeSet<MaterialId> {
        self.open.lock().keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u32]) -> BTreeSet<MaterialId> {
        numbers.iter().map(|number| format!("m-{number}").parse().unwrap()).collect()
    }

    #[test]
    fn each_read_is_told_once_in_each_period() {
        let (reads, copies) = (Reads::default(), [AtomicU32::default(), AtomicU32::default()]);
        let read = |nth: usize| reads.note(&copies[nth], &format!("m-{nth}").parse().unwrap());
        assert_eq!(reads.take(), ids(&[]));
        read(1);
        read(1);
        assert_eq!(reads.take(), ids(&[1]));
        assert_eq!(reads.take(), ids(&[]), "told already");
        read(0);
        read(1);
        assert_eq!(reads.take(), ids(&[0, 1]));
    }

    #[test]
    fn what_is_being_read_is_told_until_its_last_reader_ends() {
        let (reads, material) = (Reads::default(), "m-1".parse().unwrap());
        reads.begin(&material);
        reads.begin(&material);
        reads.end(&material);
        assert_eq!(reads.open(), ids(&[1]));
        reads.take();
        reads.end(&material);
        assert_eq!((reads.open(), reads.take()), (ids(&[]), ids(&[1])));
    }
}
