//! Which bytes are there of a copy that is being made.

use super::bits::Bits;
use std::ops::Range;

/// Stretches of a file that have arrived: all of one length, but for the last.
#[derive(Debug)]
pub(crate) struct Arrived {
    stretch_len: u64,
    stretches: Bits,
}

impl Arrived {
    /// None yet, of a file of `size` bytes in stretches of `stretch_len` bytes.
    pub(crate) fn new(size: u64, stretch_len: u64) -> Self {
        Self { stretch_len, stretches: Bits::new(size.div_ceil(stretch_len)) }
    }

    /// Stretch `index` is there from now on.
    pub(crate) fn insert(&self, index: u64) {
        self.stretches.set(index);
    }

    /// Whether all bytes of `range` are there.
    pub(crate) fn has(&self, range: &Range<u64>) -> bool {
        self.stretches.all(range.start / self.stretch_len..range.end.div_ceil(self.stretch_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_there_when_all_its_stretches_are() {
        let arrived = Arrived::new(25, 10);
        arrived.insert(0);
        arrived.insert(2);
        for (range, is_there) in [(0..10, true), (3..4, true), (0..11, false), (9..21, false), (20..25, true)] {
            assert_eq!(arrived.has(&range), is_there, "{range:?}");
        }
        arrived.insert(1);
        assert!(arrived.has(&(0..25)));
    }
}
