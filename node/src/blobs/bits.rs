//! A set of small numbers that threads share without a lock.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// Bits that are only ever set.
#[derive(Debug)]
pub(crate) struct Bits(Box<[AtomicU64]>);

impl Bits {
    pub(crate) fn new(count: u64) -> Self {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Bits beyond the count are never set.
    pub(crate) fn get(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word.load(Ordering::Acquire) & (1 << (index % 64)) != 0)
    }

    pub(crate) fn set(&self, index: u64) {
        if let Some(word) = usize::try_from(index / 64).ok().and_then(|word| self.0.get(word)) {
            word.fetch_or(1 << (index % 64), Ordering::Release);
        }
    }

    pub(crate) fn all(&self, mut range: Range<u64>) -> bool {
        range.all(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stay_set_and_alone() {
        let bits = Bits::new(130);
        bits.set(64);
        bits.set(129);
        bits.set(1000);
        assert!(bits.get(64) && bits.get(129) && !bits.get(63) && !bits.get(65) && !bits.get(1000));
        assert!(bits.all(64..65) && !bits.all(64..66) && bits.all(5..5));
    }
}
