//! A set of small numbers that threads share without a lock.

use std::{
    array,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Words of a page.
const PAGE_WORDS: u64 = 64;
/// Bits of a page.
const PAGE_BITS: u64 = PAGE_WORDS * 64;

type Page = [AtomicU64; PAGE_WORDS as usize];

/// Bits, none of them set at first. Memory is taken for those stretches alone in which one is: of a slide of 20 GB mostly
/// little is looked at.
#[derive(Debug)]
pub(crate) struct Bits(Box<[OnceLock<Box<Page>>]>);

impl Bits {
    pub(crate) fn new(count: u64) -> Self {
        let pages = usize::try_from(count.div_ceil(PAGE_BITS)).unwrap_or(0);
        Self((0..pages).map(|_| OnceLock::new()).collect())
    }

    /// Whether the bit was set; none is beyond the last page.
    pub(crate) fn get(&self, index: u64) -> bool {
        let word = self.page(index).and_then(OnceLock::get).map(|page| &page[Self::word(index)]);
        word.is_some_and(|word| word.load(Ordering::Acquire) & (1 << (index % 64)) != 0)
    }

    pub(crate) fn set(&self, index: u64) {
        if let Some(page) = self.page(index) {
            let page = page.get_or_init(|| Box::new(array::from_fn(|_| AtomicU64::new(0))));
            page[Self::word(index)].fetch_or(1 << (index % 64), Ordering::Release);
        }
    }

    pub(crate) fn all(&self, mut range: Range<u64>) -> bool {
        range.all(|index| self.get(index))
    }

    fn page(&self, index: u64) -> Option<&OnceLock<Box<Page>>> {
        usize::try_from(index / PAGE_BITS).ok().and_then(|page| self.0.get(page))
    }

    /// Its word in its page.
    const fn word(index: u64) -> usize {
        (index / 64 % PAGE_WORDS) as usize
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
        bits.set(PAGE_BITS);
        assert!(bits.get(64) && bits.get(129) && !bits.get(63) && !bits.get(65) && !bits.get(PAGE_BITS));
        assert!(bits.all(64..65) && !bits.all(64..66) && bits.all(5..5));
    }

    #[test]
    fn pages_that_nobody_sets_take_no_memory() {
        let bits = Bits::new(10 * PAGE_BITS);
        bits.set(7 * PAGE_BITS + 5);
        assert!(bits.get(7 * PAGE_BITS + 5) && !bits.get(6 * PAGE_BITS + 5));
        assert_eq!(bits.0.iter().filter(|page| page.get().is_some()).count(), 1);
    }
}
