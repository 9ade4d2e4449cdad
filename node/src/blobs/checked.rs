//! Which groups of an open copy were found right, and are in the page cache still as far as anybody has seen.
//!
//! A read without waiting begins the disk's read where the page is gone: from then on the page may come back with other
//! bytes. So a group is lent to one reader at a time: nobody takes it for right while another one may just have found that
//! it is gone, and it is given back only where its bytes were there. And what was read before a group was forgotten says
//! nothing of what is read after it.

use super::bits::Bits;
use parking_lot::Mutex;
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// A state of [`Checked`]: it is the same as long as nothing is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

/// The groups.
#[derive(Debug)]
pub(super) struct Checked {
    right: Bits,
    forgotten: AtomicU64,
    /// Held while groups are given back, noted and forgotten.
    changing: Mutex<()>,
}

impl Checked {
    /// None of `count` groups.
    pub(super) fn new(count: u64) -> Self {
        Self { right: Bits::new(count), forgotten: AtomicU64::new(0), changing: Mutex::default() }
    }

    /// To be taken before bytes are read that are then compared.
    pub(super) fn now(&self) -> Seen {
        Seen(self.forgotten.load(Ordering::Acquire))
    }

    /// Lends `groups`, where all of them were found right and nobody else has one of them.
    pub(super) fn lend(&self, groups: Range<u64>) -> Option<Seen> {
        let seen = self.now();
        for index in groups.clone() {
            if !self.right.take(index) {
                self.give_back(groups.start..index, seen);
                return None;
            }
        }
        Some(seen)
    }

    /// What was lent is right still; `false` where it was forgotten meanwhile.
    pub(super) fn give_back(&self, groups: Range<u64>, seen: Seen) -> bool {
        let _changing = self.changing.lock();
        let is_right = self.now() == seen;
        if is_right {
            groups.for_each(|index| self.right.set(index));
        }
        is_right
    }

    /// A group was found right in what was read since `seen`.
    pub(super) fn found_right(&self, index: u64, seen: Seen) {
        self.give_back(index..index + 1, seen);
    }

    /// Their bytes come from the disk from now on.
    pub(super) fn forget(&self, groups: Range<u64>) {
        let _changing = self.changing.lock();
        self.right.clear(groups);
        self.forgotten.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_readers_at_a_time() {
        let checked = Checked::new(10);
        (2..5).for_each(|index| checked.found_right(index, checked.now()));
        let first = checked.lend(2..4).unwrap();
        assert_eq!(checked.lend(3..5), None, "one of them is lent");
        let other = checked.lend(4..5).unwrap();
        assert!(checked.give_back(4..5, other) && checked.give_back(2..4, first));
        assert!(checked.lend(2..5).is_some());
        assert_eq!(checked.lend(5..6), None, "nobody has found it right");
    }

    #[test]
    fn what_is_forgotten_meanwhile_is_neither_taken_nor_noted() {
        let checked = Checked::new(10);
        let compared = checked.now();
        checked.found_right(3, compared);
        let lent = checked.lend(3..4).unwrap();
        checked.forget(3..4);
        assert!(!checked.give_back(3..4, lent), "the page may have come back with other bytes");
        checked.found_right(3, compared);
        assert_eq!(checked.lend(3..4), None, "what was compared was read before");
        checked.found_right(3, checked.now());
        assert!(checked.lend(3..4).is_some());
    }
}
