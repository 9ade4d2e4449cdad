//! Bits of a scan to bytes.

use super::tables::{Code, PLACES, RANKS};

/// Writes bits, the highest of each byte first, with a zero behind each 0xff (T.81, F.1.2.3).
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bits not yet written, the last one lowest. What is above those that count is of no meaning.
    held: u64,
    /// How many more fit.
    free: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, free: 64 }
    }

    /// Writes the lower `len` bits, at most 32, above which there are none.
    #[inline(always)]
    fn put(&mut self, bits: u32, len: u32) {
        if len <= self.free {
            self.held = (self.held << len) | u64::from(bits);
            self.free -= len;
        } else {
            let over = len - self.free;
            let full = (self.held << self.free) | u64::from(bits >> over);
            self.bytes(full);
            (self.held, self.free) = (bits.into(), 64 - over);
        }
    }

    #[inline(always)]
    fn bytes(&mut self, full: u64) {
        let inverted = !full;
        let bytes = full.to_be_bytes();
        if inverted.wrapping_sub(0x0101_0101_0101_0101) & !inverted & 0x8080_8080_8080_8080 == 0 {
            self.out.extend_from_slice(&bytes);
        } else {
            self.stuffed(&bytes);
        }
    }

    #[cold]
    fn stuffed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
    }

    /// Fills up the last byte with ones.
    pub(super) fn finish(mut self) {
        let fill = self.free % 8;
        self.put((1 << fill) - 1, fill);
        let count = (64 - self.free) / 8;
        if count > 0 {
            let bytes = (self.held << self.free).to_be_bytes();
            self.stuffed(&bytes[..count as usize]);
        }
    }

    /// Writes a code with a value behind it, whose sign is in `extra`: 0, or −1 for negative ones (T.81, F.1.2.1).
    #[inline(always)]
    fn value(&mut self, code: Code, value: i32, size: u32) {
        let extra = (value + (value >> 31)) as u32 & ((1 << size) - 1);
        self.put((u32::from(code.bits) << size) | extra, u32::from(code.len) + size);
    }

    /// Writes a block: its coefficients in the transform's places, and a bit for each that is not 0.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        block: &[i16; 64],
        mut places: u64,
        last_dc: &mut i32,
        dc: &[Code; 256],
        ac: &[Code; 256],
    ) {
        let size = |value: i32| u32::BITS - value.unsigned_abs().leading_zeros();
        let difference = i32::from(block[0]) - *last_dc;
        *last_dc = block[0].into();
        self.value(dc[size(difference) as usize & 255], difference, size(difference));
        places &= !1;
        let mut ranks = 0u64;
        while places != 0 {
            ranks |= 1 << RANKS[places.trailing_zeros() as usize & 63];
            places &= places - 1;
        }
        let (to_end, mut last) = (ranks >> 63 == 0, 0);
        while ranks != 0 {
            let rank = ranks.trailing_zeros();
            ranks &= ranks - 1;
            let mut run = rank - last - 1;
            last = rank;
            while run > 15 {
                self.put(ac[0xf0].bits.into(), ac[0xf0].len.into());
                run -= 16;
            }
            let value = i32::from(block[usize::from(PLACES[rank as usize & 63]) & 63]);
            let size = size(value);
            self.value(ac[((run << 4) | size) as usize & 255], value, size);
        }
        if to_end {
            self.put(ac[0].bits.into(), ac[0].len.into());
        }
    }
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
                writer.put(bits, len);
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
