//! The tables of ITU-T T.81, annex K, and what is made of them.

use crate::jpeg::ZIGZAG;

/// K.1, for luminance, in the order of the scan.
const LUMA: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];
/// K.2, for chrominance.
const CHROMA: [u16; 64] = [
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// A Huffman table as DHT has it: the counts of codes of each length, and the symbols.
pub(super) struct Definition {
    pub(super) counts: [u8; 16],
    pub(super) symbols: &'static [u8],
}

/// K.3 and K.4: DC of luminance and of chrominance.
pub(super) const DC: [Definition; 2] = [
    Definition { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], symbols: &DC_SYMBOLS },
    Definition { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], symbols: &DC_SYMBOLS },
];
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// K.5 and K.6: AC of luminance and of chrominance.
pub(super) const AC: [Definition; 2] = [
    Definition { counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], symbols: &AC_LUMA_SYMBOLS },
    Definition { counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119], symbols: &AC_CHROMA_SYMBOLS },
];
const AC_LUMA_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14,
    0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
    0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
    0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65,
    0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
    0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
    0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca,
    0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea,
    0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
const AC_CHROMA_SYMBOLS: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32,
    0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16,
    0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64,
    0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86,
    0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
    0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9,
    0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// A symbol's code, with room behind it for the bits that tell a value: as many as the symbol's lower half says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u32,
    /// Of both.
    pub(super) len: u32,
}

impl Definition {
    /// The code of each symbol (T.81, annex C).
    const fn codes(&self) -> [Code; 256] {
        let mut codes = [Code { bits: 0, len: 0 }; 256];
        let (mut bits, mut index, mut len) = (0, 0, 1);
        while len <= 16 {
            let mut count = self.counts[len as usize - 1];
            while count > 0 {
                let (symbol, value_len) = (self.symbols[index], self.symbols[index] & 15);
                codes[symbol as usize] = Code { bits: bits << value_len, len: (len + value_len) as u32 };
                (bits, index, count) = (bits + 1, index + 1, count - 1);
            }
            (bits, len) = (bits << 1, len + 1);
        }
        codes
    }

    const fn shorts(&self) -> [Short; 1024] {
        let (codes, mut shorts, mut index) = (self.codes(), [Short(0); 1024], 0);
        while index < 1024 {
            let value = (index as i32 & 63) - SHORT_MAX;
            let size = i32::BITS - value.unsigned_abs().leading_zeros();
            let code = codes[(index >> 6 << 4) | size as usize];
            shorts[index] = Short((code.len << 27) | code.bits | extra(value, size));
            index += 1;
        }
        shorts
    }
}

pub(super) static DC_CODES: [[Code; 256]; 2] = [DC[0].codes(), DC[1].codes()];
pub(super) static AC_CODES: [[Code; 256]; 2] = [AC[0].codes(), AC[1].codes()];

/// The bits that tell a value of `size` bits behind its code: of a negative one those of the number below it.
pub(super) const fn extra(value: i32, size: u32) -> u32 {
    (value + (value >> 31)) as u32 & ((1 << size) - 1)
}

/// A code of AC with its value behind it: these bits, and above the lower 27 how many they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short(pub(super) u32);

/// What a value must be less than, and its negative not less than, to have such.
pub(super) const SHORT_MAX: i32 = 32;

/// By the run of zeros before a value, times 64, and the value more than the smallest one.
pub(super) static AC_SHORT: [[Short; 1024]; 2] = [AC[0].shorts(), AC[1].shorts()];

/// Places of coefficients as the transform leaves them, column by column, in the order of the scan.
pub(super) static PLACES: [u8; 64] = {
    let (mut places, mut k) = ([0; 64], 0);
    while k < 64 {
        places[k] = ZIGZAG[k] % 8 * 8 + ZIGZAG[k] / 8;
        k += 1;
    }
    places
};
/// Of a bit for each of these places the bits in the order of the scan, by each byte and its value.
pub(super) static RANKS: [[u64; 256]; 8] = {
    let (mut ranks, mut k) = ([[0; 256]; 8], 0);
    while k < 64 {
        let (byte, bit, mut value) = (PLACES[k] as usize / 8, PLACES[k] % 8, 0);
        while value < 256 {
            ranks[byte][value] |= ((value as u64 >> bit) & 1) << k;
            value += 1;
        }
        k += 1;
    }
    ranks
};

/// What coefficients are divided by.
pub(super) struct Quantization {
    /// In the order of the scan.
    pub(super) quanta: [u8; 64],
    /// Of these and of what the transform leaves to be done, in the transform's places.
    pub(super) factors: [f32; 64],
}

/// The quantisation of luminance and of chrominance for libjpeg's `quality`, 1 to 100 (its jcparam.c).
pub(super) fn quantizations(quality: u8) -> [Quantization; 2] {
    let quality = u16::from(quality.clamp(1, 100));
    let percent = u32::from(if quality < 50 { 5000 / quality } else { 200 - 2 * quality });
    let make = |base: &[u16; 64]| {
        let quanta = base.map(|value| ((u32::from(value) * percent + 50) / 100).clamp(1, 255) as u8);
        let mut factors = [0.0; 64];
        for (&place, quantum) in PLACES.iter().zip(quanta) {
            let (column, row) = (usize::from(place / 8), usize::from(place % 8));
            factors[usize::from(place)] = (1.0 / (f64::from(quantum) * LEFT[column] * LEFT[row] * 8.0)) as f32;
        }
        Quantization { quanta, factors }
    };
    [make(&LUMA), make(&CHROMA)]
}

/// What the transform leaves to be done (libjpeg's jfdctflt.c): √2 · cos(kπ/16), and 1 for k of 0.
const LEFT: [f64; 8] =
    [1.0, 1.387_039_845, 1.306_562_965, 1.175_875_602, 1.0, 0.785_694_958, 0.541_196_100, 0.275_899_379];
