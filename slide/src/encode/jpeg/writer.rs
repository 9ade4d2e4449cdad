//! Bits of a scan to bytes.

use super::tables::{self, Code, PLACES, RANKS, SHORT_MAX, Short};

/// Bytes that are gathered before they are handed on, and what a block's bits may add to them: 64 coefficients of 26 bits
/// at the most.
const GATHERED: usize = 1 << 11;
const BLOCK_LEN_MAX: usize = 64 * 26 / 8;

/// Writes bits, the highest of each byte first, with a zero behind each 0xff (T.81, F.1.2.3).
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes as they are without those zeros, and eight more, as bits come eight bytes at a time. It has room for twice
    /// what is gathered, so that a place in it is found by a mask.
    gathered: Box<[u8; 2 * GATHERED + 8]>,
    bits: Bits,
}

/// Where the next bit goes.
#[derive(Clone, Copy, Default)]
struct Bits {
    /// Whole bytes before.
    at: usize,
    /// The bits so far, the last one lowest, and how many of them are not whole bytes: up to 7. What is above these is
    /// written already.
    held: u64,
    count: u32,
}

impl Bits {
    /// Writes the lower `len` bits, 1 to 32, above which there are none. Nothing depends on how many they are but where
    /// they go, so that no branch has to be foreseen.
    #[inline(always)]
    fn put(&mut self, gathered: &mut [u8; 2 * GATHERED + 8], bits: u32, len: u32) {
        self.held = (self.held << len) | u64::from(bits);
        self.count += len;
        let at = self.at & (2 * GATHERED - 1);
        gathered[at..at + 8].copy_from_slice(&(self.held << ((64 - self.count) & 63)).to_be_bytes());
        self.at += self.count as usize / 8;
        self.count &= 7;
    }

    /// Writes a code with a value behind it (T.81, F.1.2.1).
    #[inline(always)]
    fn value(&mut self, gathered: &mut [u8; 2 * GATHERED + 8], code: Code, value: i32, size: u32) {
        self.put(gathered, code.bits | tables::extra(value, size), code.len);
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, gathered: Box::new([0; 2 * GATHERED + 8]), bits: Bits::default() }
    }

    /// Hands the whole bytes on.
    fn hand_on(&mut self) {
        let mut bytes = &self.gathered[..self.bits.at.min(2 * GATHERED)];
        while let Some(count) = before_stuffing(bytes) {
            let (head, rest) = bytes.split_at(count + 1);
            self.out.extend_from_slice(head);
            self.out.push(0);
            bytes = rest;
        }
        self.out.extend_from_slice(bytes);
        self.bits.at = 0;
    }

    /// Fills up the last byte with ones.
    pub(super) fn finish(mut self) {
        if self.bits.count > 0 {
            let fill = 8 - self.bits.count;
            self.bits.put(&mut self.gathered, (1 << fill) - 1, fill);
        }
        self.hand_on();
    }

    /// Writes a block: its coefficients in the transform's places, and a bit for each that is not 0.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        block: &[i16; 64],
        places: u64,
        last_dc: &mut i32,
        dc: &[Code; 256],
        (ac, short): (&[Code; 256], &[Short; 1024]),
    ) {
        if self.bits.at >= 2 * GATHERED - BLOCK_LEN_MAX {
            self.hand_on();
        }
        let size = |value: i32| u32::BITS - value.unsigned_abs().leading_zeros();
        // A copy stays in registers.
        let (mut bits, gathered) = (self.bits, &mut *self.gathered);
        let difference = i32::from(block[0]) - *last_dc;
        *last_dc = block[0].into();
        bits.value(gathered, dc[size(difference) as usize & 255], difference, size(difference));
        let bytes = places.to_le_bytes();
        let ranks = RANKS.iter().zip(bytes).fold(0, |ranks, (of_byte, byte)| ranks | of_byte[usize::from(byte)]);
        let (mut ranks, mut last) = (ranks & !1, 0);
        let to_end = ranks >> 63 == 0;
        while ranks != 0 {
            let rank = ranks.trailing_zeros();
            ranks &= ranks - 1;
            let mut run = rank - last - 1;
            last = rank;
            while run > 15 {
                bits.put(gathered, ac[0xf0].bits, ac[0xf0].len);
                run -= 16;
            }
            let value = i32::from(block[usize::from(PLACES[rank as usize & 63]) & 63]);
            // Nearly all are near 0.
            let index = (value + SHORT_MAX) as u32;
            if index < 64 {
                let Short(short) = short[((run << 6) | index) as usize & 1023];
                bits.put(gathered, short & ((1 << 27) - 1), short >> 27);
            } else {
                let size = size(value);
                bits.value(gathered, ac[((run << 4) | size) as usize & 255], value, size);
            }
        }
        if to_end {
            bits.put(gathered, ac[0].bits, ac[0].len);
        }
        self.bits = bits;
    }
}

/// How many bytes there are before the first 0xff.
fn before_stuffing(bytes: &[u8]) -> Option<usize> {
    let (eights, _) = bytes.as_chunks::<8>();
    let is_free = |eight: &[u8; 8]| {
        let inverted = !u64::from_ne_bytes(*eight);
        inverted.wrapping_sub(0x0101_0101_0101_0101) & !inverted & 0x8080_8080_8080_8080 == 0
    };
    let free = eights.iter().take_while(|eight| is_free(eight)).count() * 8;
    bytes[free..].iter().position(|&byte| byte == 0xff).map(|at| free + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_bytes_whatever_their_number() {
        for len in 1..=26 {
            let (mut out, mut text) = (Vec::new(), String::new());
            let mut writer = Writer::new(&mut out);
            for index in 0..200u32 {
                let bits =
                    (index.wrapping_mul(2_654_435_761) | if index % 5 == 0 { u32::MAX } else { 0 }) >> (32 - len);
                writer.bits.put(&mut writer.gathered, bits, len);
                text += &format!("{bits:0width$b}", width = len as usize);
            }
            writer.finish();
            text += &"1".repeat((8 - text.len() % 8) % 8);
            let bytes =
                text.as_bytes().chunks(8).map(|bits| u8::from_str_radix(str::from_utf8(bits).unwrap(), 2).unwrap());
            let stuffed: Vec<u8> =
                bytes.flat_map(|byte| [byte, 0].into_iter().take(if byte == 255 { 2 } else { 1 })).collect();
            assert_eq!(out, stuffed, "{len}");
        }
    }
}
