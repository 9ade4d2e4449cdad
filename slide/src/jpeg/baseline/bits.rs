//! The bits of a scan between two markers.

use super::{
    huffman::{Symbol, Table},
    looks::LOOK_LEN_MAX,
};

/// Bytes behind the last one that may be read.
const AHEAD: usize = 8;
/// Most bytes of memory that stay for the next JPEG.
const KEPT_LEN_MAX: usize = 1 << 20;

/// A scan's bytes up to the next marker, freed of the zeros that stand behind 0xff in them.
#[derive(Default)]
pub(super) struct Stretch {
    bytes: Vec<u8>,
    len: usize,
}

impl Stretch {
    /// Takes the bytes of `scan` before its next marker, and says where that is: at its 0xff, or at the end.
    pub(super) fn fill(&mut self, scan: &[u8]) -> usize {
        if self.bytes.len() < scan.len() + AHEAD {
            self.bytes.resize(scan.len() + AHEAD, 0);
        }
        let (mut from, mut to) = (0, 0);
        let end = loop {
            // Eight bytes without 0xff at a time.
            while let (Some(eight), Some(into)) = (scan[from..].first_chunk::<8>(), self.bytes[to..].first_chunk_mut())
            {
                let inverted = !u64::from_le_bytes(*eight);
                *into = *eight;
                let marks = inverted.wrapping_sub(0x0101_0101_0101_0101) & !inverted & 0x8080_8080_8080_8080;
                let plain = (marks.trailing_zeros() / 8) as usize;
                from += plain;
                to += plain;
                if marks != 0 {
                    break;
                }
            }
            match scan[from..] {
                [0xff, 0, ..] => {
                    self.bytes[to] = 0xff;
                    from += 2;
                }
                [] | [0xff, ..] => break from,
                [byte, ..] => {
                    self.bytes[to] = byte;
                    from += 1;
                }
            }
            to += 1;
        };
        self.len = to;
        self.bytes[to..to + AHEAD].fill(0);
        end
    }

    /// Lets go of memory that few JPEGs need.
    pub(super) fn trim(&mut self) {
        if self.bytes.len() > KEPT_LEN_MAX {
            *self = Self::default();
        }
    }

    pub(super) fn bits(&self) -> Bits<'_> {
        Bits { rest: &self.bytes[..self.len + AHEAD], beyond: 0, held: 0, count: 0 }
    }
}

/// Reads bits, the highest of each byte first. Behind the end come zeros; whether that happened is to be
/// [asked](Self::left).
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    /// The bytes not yet taken, and those behind the last one.
    rest: &'a [u8],
    /// Bytes taken behind those.
    beyond: i64,
    /// Bits not yet used, the next one highest. There may be more of them than are counted.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 56 bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let bytes = (63 - self.count) >> 3 & 7;
        match self.rest.first_chunk() {
            Some(next) => {
                self.held |= u64::from_be_bytes(*next) >> (self.count & 63);
                self.rest = &self.rest[bytes as usize..];
            }
            None => self.beyond += i64::from(bytes),
        }
        self.count |= 56;
    }

    /// The next bits, the first of them the highest: as many as are held, and others behind them.
    #[inline(always)]
    pub(super) fn next(&self) -> u64 {
        self.held
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.held <<= bits & 63;
        self.count = self.count.wrapping_sub(bits);
    }

    /// So many bits, at most 16.
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        self.refill();
        let taken = (self.held >> 1) >> (u64::BITS - 1 - bits);
        self.skip(bits);
        taken as u32
    }

    /// The next code, without the value's bits.
    pub(super) fn code(&mut self, table: &Table) -> Option<Symbol> {
        self.refill();
        let symbol = table.symbol(self.held)?;
        self.skip(symbol.len);
        Some(symbol)
    }

    /// Bits that were not read; negative where more were read than there are.
    pub(super) fn left(&self) -> i64 {
        (self.rest.len() as i64 - AHEAD as i64 - self.beyond) * 8 + i64::from(self.count)
    }

    /// The next value, however long, with its steps; 31 bits must be held.
    #[inline]
    pub(super) fn value(&mut self, table: &Table) -> Option<(i32, usize)> {
        let symbol = table.symbol(self.held)?;
        let value = symbol.value(self.held);
        self.skip(symbol.len + symbol.size);
        Some((value, symbol.steps))
    }
}

const _: () = assert!(LOOK_LEN_MAX + 31 <= 56, "a look and a long value fit into what a refill holds");

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(scan: &[u8]) -> (Vec<u8>, usize) {
        let mut stretch = Stretch { bytes: vec![7; 3], len: 0 };
        let end = stretch.fill(scan);
        (stretch.bytes[..stretch.len].to_vec(), end)
    }

    #[test]
    fn a_stretch_ends_at_a_marker_and_has_no_stuffed_zeros() {
        assert_eq!(filled(&[1, 2, 0xff, 0, 3, 0xff, 0xd9]), (vec![1, 2, 0xff, 3], 5));
        assert_eq!(filled(&[1, 2, 3]), (vec![1, 2, 3], 3));
        assert_eq!(filled(&[0xff]), (vec![], 0));
        for at in 0..40 {
            let mut scan = [5; 42];
            scan[at..at + 2].copy_from_slice(&[0xff, 0]);
            let mut plain = vec![5; 41];
            plain[at] = 0xff;
            assert_eq!(filled(&scan), (plain, 42), "{at}");
            scan[at + 1] = 0xd0;
            assert_eq!(filled(&scan), (vec![5; at], at));
        }
    }

    #[test]
    fn bits_are_counted_to_the_end_and_beyond() {
        let mut stretch = Stretch::default();
        stretch.fill(&[0b1010_0000, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let mut bits = stretch.bits();
        assert_eq!(bits.left(), 80);
        for read in 1..=100 {
            bits.refill();
            if read == 1 || read == 3 {
                assert_eq!(bits.held >> 63, 1);
            }
            bits.skip(1);
            assert_eq!(bits.left(), 80 - read);
        }
    }
}
