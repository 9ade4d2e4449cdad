//! Pages of files that are read again and again for a few bytes: the tables in which slides look up their tiles.
//!
//! One table for all files, with a bound; a page takes memory when it is first kept. Readers write nothing and wait for
//! nobody, so that processors do not take memory from one another. It must never be given bytes that were not checked.

use super::checked;
use std::{
    array,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering, fence},
    },
};

/// Bytes of a page.
pub(super) const PAGE_LEN: usize = checked::PAGE_LEN as usize;
/// Pages kept: 16 MiB, the tables of a million tiles.
const PAGES: usize = 4096;
/// Places among which a page has its own.
const WAYS: usize = 2;

/// A place for a page: in one line of memory what tells whether the page that is looked for is here.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// Odd while the rest is being changed, and another one after each change. 0 where nothing was ever kept.
    version: AtomicU64,
    owner: AtomicU64,
    number: AtomicU64,
    bytes: OnceLock<Box<[AtomicU8; PAGE_LEN]>>,
}

impl Place {
    /// Copies the bytes from `at` on, if it has this page; of one that changes meanwhile nothing is taken.
    fn get(&self, owner: u64, number: u64, at: usize, buf: &mut [u8]) -> bool {
        let version = self.version.load(Ordering::Acquire);
        let is_it = self.owner.load(Ordering::Relaxed) == owner && self.number.load(Ordering::Relaxed) == number;
        let bytes = if is_it { self.bytes.get().and_then(|bytes| bytes.get(at..)) } else { None };
        let Some(bytes) = bytes.filter(|bytes| bytes.len() >= buf.len()) else { return false };
        for (to, from) in buf.iter_mut().zip(bytes) {
            *to = from.load(Ordering::Relaxed);
        }
        // What was read before this was not changed before the version was.
        fence(Ordering::Acquire);
        version & 1 == 0 && self.version.load(Ordering::Relaxed) == version
    }

    /// Takes this page in, unless somebody else is changing the place.
    fn put(&self, owner: u64, number: u64, bytes: &[u8; PAGE_LEN]) {
        let version = self.version.load(Ordering::Relaxed);
        let odd = version | 1;
        if odd == version || self.version.compare_exchange(version, odd, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return;
        }
        // Nothing that follows is seen before the version is odd.
        fence(Ordering::Release);
        self.owner.store(owner, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        let kept = self.bytes.get_or_init(|| Box::new(array::from_fn(|_| AtomicU8::new(0))));
        for (to, from) in kept.iter().zip(bytes) {
            to.store(*from, Ordering::Relaxed);
        }
        self.version.store(odd + 1, Ordering::Release);
    }
}

/// The pages of all files.
#[derive(Debug)]
pub(super) struct Pages {
    places: Box<[Place]>,
    /// Which way the next page goes where all are taken.
    turn: AtomicU64,
}

impl Default for Pages {
    fn default() -> Self {
        Self { places: (0..PAGES).map(|_| Place::default()).collect(), turn: AtomicU64::new(0) }
    }
}

impl Pages {
    /// Fills `buf` from the byte `at` of a page of the file `owner` on; `false` where it is not kept, and then `buf` may
    /// have anything in it.
    pub(super) fn get(&self, owner: u64, number: u64, at: usize, buf: &mut [u8]) -> bool {
        self.ways(owner, number).iter().any(|place| place.get(owner, number, at, buf))
    }

    /// Keeps a page; what lies beyond the file's end is never asked for.
    pub(super) fn put(&self, owner: u64, number: u64, bytes: &[u8; PAGE_LEN]) {
        let ways = self.ways(owner, number);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize % WAYS;
        let free = ways.iter().find(|place| place.version.load(Ordering::Relaxed) == 0);
        if let Some(place) = free.or_else(|| ways.get(turn)) {
            place.put(owner, number, bytes);
        }
    }

    fn ways(&self, owner: u64, number: u64) -> &[Place] {
        // Fibonacci hashing: neighbours, which a table's pages are, go to sets far apart.
        let mixed = (owner.rotate_left(32) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let set = (mixed >> 32) as usize % (PAGES / WAYS) * WAYS;
        self.places.get(set..set + WAYS).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::atomic::AtomicBool, thread};

    fn page(of: u8) -> [u8; PAGE_LEN] {
        array::from_fn(|at| at as u8 ^ of)
    }

    #[test]
    fn a_page_is_its_owners_alone() {
        let pages = Pages::default();
        pages.put(1, 7, &page(3));
        let mut buf = [0; 8];
        assert!(pages.get(1, 7, PAGE_LEN - 8, &mut buf));
        assert_eq!(buf, page(3)[PAGE_LEN - 8..]);
        assert!(!pages.get(2, 7, 0, &mut buf) && !pages.get(1, 8, 0, &mut buf));
        assert!(!pages.get(1, 7, PAGE_LEN - 7, &mut buf), "beyond the page");
    }

    #[test]
    fn there_are_no_more_than_were_allowed_and_the_last_ones_stay() {
        let pages = Pages::default();
        let mut buf = [0];
        for number in 0..3 * PAGES as u64 {
            pages.put(1, number, &page(number as u8));
            assert!(pages.get(1, number, 0, &mut buf) && buf == [number as u8], "{number}");
        }
        let kept = (0..3 * PAGES as u64).filter(|&number| pages.get(1, number, 0, &mut buf)).count();
        assert!((PAGES / 2..=PAGES).contains(&kept), "{kept}");
    }

    #[test]
    fn who_reads_while_a_page_changes_gets_the_old_or_the_new_or_nothing() {
        let (pages, ended) = (Pages::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..2_000_u64 {
                    // Two pages in one place.
                    pages.ways(1, 0)[0].put(1, round % 2, &[round as u8 % 2; PAGE_LEN]);
                }
                ended.store(true, Ordering::Release);
            });
            let (mut buf, mut got) = ([0; 64], 0);
            while !ended.load(Ordering::Acquire) || got == 0 {
                for number in 0..2 {
                    if pages.ways(1, 0)[0].get(1, number, 0, &mut buf) {
                        assert_eq!(buf, [number as u8; 64]);
                        got += 1;
                    }
                }
            }
        });
    }
}
