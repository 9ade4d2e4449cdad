//! Memory for bytes on their way between the disk and the network, used again: fresh memory costs the kernel a fault for each
//! page of it.

use super::direct::ALIGNMENT;
use parking_lot::Mutex;
use std::mem;

/// Bytes that are read, proven, written or sent at once.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;
/// Shorter memory than this is not kept.
const KEPT_LEN_MIN: usize = 256 << 10;
/// Pieces of memory that are kept for whoever comes next.
const SPARE_MAX: usize = 16;
const KEPT_LEN: usize = PIECE_BYTES as usize + ALIGNMENT;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Memory that begins at a multiple of the alignment that direct access wants.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    start: usize,
}

impl Memory {
    /// The first `len` bytes, whatever they are; more memory is taken where there is less.
    pub(crate) fn first(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < self.start + len {
            // Taken anew: memory that grows may move, and its beginning with it.
            *self = Self { bytes: take(len + ALIGNMENT), start: 0 };
            self.start = self.bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        }
        &mut self.bytes[self.start..self.start + len]
    }

    /// The first `len` bytes as they were filled; fewer where there are fewer.
    pub(crate) fn filled(&self, len: usize) -> &[u8] {
        let end = self.bytes.len().min(self.start + len);
        self.bytes.get(self.start..end).unwrap_or_default()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.bytes.len() == KEPT_LEN {
            let mut spare = SPARE.lock();
            if spare.len() < SPARE_MAX {
                spare.push(mem::take(&mut self.bytes));
            }
        }
    }
}

fn take(len: usize) -> Vec<u8> {
    if !(KEPT_LEN_MIN..=KEPT_LEN).contains(&len) {
        return vec![0; len];
    }
    let spare = SPARE.lock().pop();
    spare.unwrap_or_else(|| vec![0; KEPT_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_where_direct_access_wants_it() {
        let mut memory = Memory::default();
        for len in [1, 5000, 10, 1 << 20, 3 << 20] {
            let bytes = memory.first(len);
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(ALIGNMENT)), (len, 0));
            bytes.fill(7);
            assert_eq!(memory.filled(len), vec![7; len]);
        }
        assert!(Memory::default().filled(10).is_empty());
    }

    #[test]
    fn no_more_is_kept_than_was_allowed() {
        let mut many: Vec<_> = (0..2 * SPARE_MAX).map(|_| Memory::default()).collect();
        for memory in &mut many {
            memory.first(PIECE_BYTES as usize);
        }
        drop(many);
        let spare = SPARE.lock();
        assert!(spare.len() <= SPARE_MAX && spare.iter().all(|bytes| bytes.len() == KEPT_LEN));
    }
}
