//! What was found right of an open copy: a checksum of each page, which every later read is held against.
//!
//! What is in the page cache was brought there by somebody, not always by us and not always before the disk changed it; no call
//! of the system tells. So nothing is trusted for having been right once: a read gives what has the checksum of what was proven
//! by the hash tree, or proves it anew.

use std::{
    array,
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Bytes of a page: reads that are held against checksums begin and end at multiples of it. A part of a group.
pub(super) const PAGE_LEN: u64 = 4096;
/// Pages of a block: a mebibyte.
const BLOCK: u64 = 256;
/// Blocks of a stretch.
const STRETCH: u64 = 64;
/// The checksum of a page of which nothing is known. One that happens to be the same counts as another.
const UNKNOWN: u32 = 0;

type Block = [AtomicU32; BLOCK as usize];
type Stretch = [OnceLock<Box<Block>>; STRETCH as usize];

/// The checksums. Memory is taken for those stretches alone of which something was read: of a slide of 20 GB mostly little is
/// looked at.
#[derive(Debug)]
pub(super) struct Checked(Box<[OnceLock<Box<Stretch>>]>);

impl Checked {
    /// Of a file of `size` bytes nothing is known.
    pub(super) fn new(size: u64) -> Self {
        let stretches = usize::try_from(size.div_ceil(PAGE_LEN * BLOCK * STRETCH)).unwrap_or(0);
        Self((0..stretches).map(|_| OnceLock::new()).collect())
    }

    /// Whether something is known of each page of a stretch of bytes.
    pub(super) fn knows(&self, bytes: &Range<u64>) -> bool {
        (bytes.start / PAGE_LEN..bytes.end.div_ceil(PAGE_LEN)).all(|page| self.get(page) != UNKNOWN)
    }

    /// Whether the pages from `start` on, of which `parts` are the bytes in order, are what was proven.
    pub(super) fn are_right(&self, start: u64, parts: [&[u8]; 3]) -> bool {
        let mut sums = PageSums { page: start / PAGE_LEN, hasher: crc32fast::Hasher::new(), len: 0, are_right: true };
        for part in parts {
            sums.update(part, |page, sum| sum == self.get(page));
        }
        sums.finish(|page, sum| sum == self.get(page))
    }

    /// The bytes from `start` on, which begin with a page, were proven.
    pub(super) fn found_right(&self, start: u64, bytes: &[u8]) {
        for (page, bytes) in (start / PAGE_LEN..).zip(bytes.chunks(PAGE_LEN as usize)) {
            if let Some(place) = self.place(page) {
                place.store(sum_of(crc32fast::hash(bytes)), Ordering::Relaxed);
            }
        }
    }

    fn get(&self, page: u64) -> u32 {
        let stretch = self.stretch(page).and_then(OnceLock::get);
        let block = stretch.and_then(|stretch| stretch[(page / BLOCK % STRETCH) as usize].get());
        block.map_or(UNKNOWN, |block| block[(page % BLOCK) as usize].load(Ordering::Relaxed))
    }

    fn place(&self, page: u64) -> Option<&AtomicU32> {
        let stretch = self.stretch(page)?.get_or_init(|| Box::new(array::from_fn(|_| OnceLock::new())));
        let block = &stretch[(page / BLOCK % STRETCH) as usize];
        let block = block.get_or_init(|| Box::new(array::from_fn(|_| AtomicU32::new(UNKNOWN))));
        Some(&block[(page % BLOCK) as usize])
    }

    fn stretch(&self, page: u64) -> Option<&OnceLock<Box<Stretch>>> {
        usize::try_from(page / BLOCK / STRETCH).ok().and_then(|stretch| self.0.get(stretch))
    }
}

const fn sum_of(crc: u32) -> u32 {
    if crc == UNKNOWN { 1 } else { crc }
}

/// The checksums of pages whose bytes come in pieces.
struct PageSums {
    page: u64,
    hasher: crc32fast::Hasher,
    /// Bytes of the page so far.
    len: usize,
    are_right: bool,
}

impl PageSums {
    fn update(&mut self, mut bytes: &[u8], is_right: impl Fn(u64, u32) -> bool) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((PAGE_LEN as usize - self.len).min(bytes.len()));
            self.hasher.update(piece);
            self.len += piece.len();
            bytes = rest;
            if self.len == PAGE_LEN as usize {
                self.end_page(&is_right);
            }
        }
    }

    /// The last page may be cut short, as the file is.
    fn finish(mut self, is_right: impl Fn(u64, u32) -> bool) -> bool {
        if self.len > 0 {
            self.end_page(&is_right);
        }
        self.are_right
    }

    fn end_page(&mut self, is_right: &impl Fn(u64, u32) -> bool) {
        let hasher = std::mem::take(&mut self.hasher);
        self.are_right &= is_right(self.page, sum_of(hasher.finalize()));
        (self.page, self.len) = (self.page + 1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 3 * PAGE_LEN as usize + 100;

    #[test]
    fn what_was_proven_is_known_again_in_any_pieces_and_nothing_else_is() {
        let far = BLOCK * STRETCH * PAGE_LEN * 3 + 5 * PAGE_LEN;
        let checked = Checked::new(far + LEN as u64);
        let bytes: Vec<u8> = (0..LEN).map(|i| (i * 7 + i / 256) as u8).collect();
        assert!(!checked.knows(&(far..far + 1)));
        checked.found_right(far, &bytes);
        assert!(checked.knows(&(far..far + LEN as u64)) && !checked.knows(&(far - 1..far + 1)));
        for (first, second) in [(0, 0), (1, 2), (4095, 4097), (4096, 8192), (5000, LEN)] {
            let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert!(checked.are_right(far, parts), "{first} {second}");
        }
        for at in [0, 4096, LEN - 1] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(!checked.are_right(far, [&wrong, &[], &[]]), "{at}");
        }
        assert!(!checked.are_right(far + PAGE_LEN, [&bytes, &[], &[]]), "another place");
        assert!(!checked.are_right(far, [&bytes[..LEN - 1], &[], &[]]), "the last page is shorter");
    }

    #[test]
    fn little_memory_is_taken_for_what_nobody_reads() {
        let checked = Checked::new(25 << 30);
        checked.found_right(7 << 30, &[0; 16 << 10]);
        assert_eq!(checked.0.iter().filter(|stretch| stretch.get().is_some()).count(), 1);
    }
}
