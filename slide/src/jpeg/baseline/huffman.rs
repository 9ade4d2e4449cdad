//! Huffman tables as ITU-T T.81 has them (DHT, annexes C and F.2.2.3), made ready to be looked up.

/// Bits that one look sees.
const LOOK_BITS: u32 = 10;
/// Steps of an end of block: more than there are places in one.
pub(super) const END: usize = 128;
/// Longest code in bits.
const CODE_LEN_MAX: u32 = 16;

/// A table, as it is looked up.
pub(super) struct Table {
    /// The counts and symbols that it was made of.
    definition: Vec<u8>,
    codes: [Code; 1 << LOOK_BITS],
    /// For each length the first 16 bits, as a number, that belong to a longer code.
    ends: [u32; CODE_LEN_MAX as usize + 1],
    /// For each length what is to be added to a code for its symbol's index.
    first: [i32; CODE_LEN_MAX as usize + 1],
    symbols: [u8; 256],
}

/// The code that the next bits begin with.
#[derive(Debug, Clone, Copy, Default)]
struct Code {
    /// Its bits; 0 where it is longer than a look.
    len: u8,
    symbol: u8,
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Bits of the code.
    pub(super) len: u32,
    /// Zeros before the value.
    pub(super) run: u32,
    /// Bits of the value.
    pub(super) size: u32,
    /// Places to go on, the value's own included; [`END`] where nothing follows.
    pub(super) steps: usize,
}

impl Table {
    /// The table of `definition`: 16 counts of the codes of each length, and the symbols. Nothing where it is none.
    pub(super) fn new(definition: &[u8]) -> Option<Self> {
        let (counts, values) = definition.split_first_chunk::<16>()?;
        let mut symbols = [0; 256];
        symbols.get_mut(..values.len())?.copy_from_slice(values);
        let mut codes = [Code::default(); 1 << LOOK_BITS];
        let (mut ends, mut first) = ([0; CODE_LEN_MAX as usize + 1], [0; CODE_LEN_MAX as usize + 1]);
        let (mut code, mut index) = (0u32, 0usize);
        for (len, &count) in (1..).zip(counts) {
            first[len as usize] = index as i32 - code as i32;
            for &symbol in values.get(index..index + usize::from(count))? {
                if let Some(rest) = LOOK_BITS.checked_sub(len) {
                    let looks = (code << rest) as usize..((code + 1) << rest) as usize;
                    codes.get_mut(looks)?.fill(Code { len: len as u8, symbol });
                }
                code += 1;
            }
            index += usize::from(count);
            if code > 1 << len {
                return None;
            }
            ends[len as usize] = code << (CODE_LEN_MAX - len);
            code <<= 1;
        }
        (index == values.len()).then(|| Self { definition: definition.into(), codes, ends, first, symbols })
    }

    /// Whether it was made of `definition`.
    pub(super) fn is(&self, definition: &[u8]) -> bool {
        self.definition == definition
    }

    /// The symbol that the next bits are, the first of them the highest. Nothing where they are no code.
    #[inline]
    pub(super) fn symbol(&self, bits: u64) -> Option<Symbol> {
        self.short(bits).or_else(|| self.walk(bits))
    }

    /// The same where a look sees all of the code.
    #[inline]
    pub(super) fn short(&self, bits: u64) -> Option<Symbol> {
        let Code { len, symbol } = self.codes[(bits >> (u64::BITS - LOOK_BITS)) as usize];
        (len > 0).then(|| Symbol::new(len.into(), symbol))
    }

    #[cold]
    fn walk(&self, bits: u64) -> Option<Symbol> {
        let bits = (bits >> (u64::BITS - CODE_LEN_MAX)) as u32;
        let len = (1..=CODE_LEN_MAX).find(|&len| bits < self.ends[len as usize])?;
        let code = (bits >> (CODE_LEN_MAX - len)) as i32;
        let symbol = *self.symbols.get(usize::try_from(code + self.first[len as usize]).ok()?)?;
        Some(Symbol::new(len, symbol))
    }
}

impl Symbol {
    /// Its value, where `bits` begin with the code.
    #[inline(always)]
    pub(super) fn value(self, bits: u64) -> i32 {
        if self.size == 0 { 0 } else { extend(bits << (self.len & 63), self.size) }
    }

    #[inline(always)]
    fn new(len: u32, symbol: u8) -> Self {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let steps = if size == 0 && run < 15 { END } else { run as usize + 1 };
        Self { len, run, size, steps }
    }
}

/// The value whose `size` bits, at least one, are the highest of `bits` (F.2.2.1, EXTEND): those that begin with 0 are
/// negative.
#[inline(always)]
pub(super) fn extend(bits: u64, size: u32) -> i32 {
    let value = (bits >> (u64::BITS.wrapping_sub(size) & 63)) as i32;
    // All ones where the first bit is 1.
    let positive = (bits as i64 >> (u64::BITS - 1)) as i32;
    value + (!positive & LESS[(size & 15) as usize])
}

/// For each size what is to be added to values that begin with 0.
const LESS: [i32; 16] = {
    let mut less = [0; 16];
    let mut size = 0;
    while size < 16 {
        less[size] = 1 - (1 << size);
        size += 1;
    }
    less
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_extended_as_the_standard_does() {
        let extended = |bits: u64, size: u32| extend(bits << (64 - size) | 1, size);
        assert_eq!([0, 1].map(|bits| extended(bits, 1)), [-1, 1]);
        assert_eq!([0, 3, 4, 7].map(|bits| extended(bits, 3)), [-7, -4, 4, 7]);
        assert_eq!((extended(0, 10), extended(1023, 10), extended(512, 10)), (-1023, 1023, 512));
    }

    #[test]
    fn a_look_and_a_walk_say_the_same_of_every_code() {
        // Codes of 2, 3, 4 … 16 bits.
        let mut definition = vec![0; 16];
        let symbols = [0x01, 0x00, 0x52, 0xf0, 0x1a, 0x03, 0x11, 0x21, 0x31, 0x41, 0x51, 0x61, 0x71, 0x81, 0x91];
        definition[1..].fill(1);
        definition.extend(symbols);
        let table = Table::new(&definition).unwrap();
        for (len, symbol) in (2..=16u32).zip(symbols) {
            let first = (2..len).fold(0u64, |code, _| (code + 1) << 1);
            let walked = table.walk(first << (64 - len)).unwrap();
            assert_eq!(table.symbol(first << (64 - len)).unwrap(), walked);
            assert_eq!((walked.len, walked.size), (len, u32::from(symbol & 15)), "{symbol:#x}");
        }
        assert!(table.symbol(u64::MAX).is_none(), "no code has ones alone");
    }

    #[test]
    fn tables_that_contradict_themselves_are_none() {
        let table = |counts: &[u8], symbols: usize| {
            let mut definition = counts.to_vec();
            definition.resize(16 + symbols, 0);
            Table::new(&definition).is_some()
        };
        assert!(table(&[2], 2));
        assert!(!table(&[3], 3), "three codes of one bit");
        assert!(!table(&[2, 1], 3), "no room for a longer one");
        assert!(!table(&[1], 2) && !table(&[2], 1), "more or fewer symbols than codes");
        assert!(!table(&[0, 0, 0, 0, 0, 0, 0, 0, 200, 200], 400));
        assert!(Table::new(&[0; 15]).is_none());
    }
}
