//! Huffman tables as ITU-T T.81 has them (DHT, annexes C and F.2.2.3), made ready to be looked up: what one look says
//! is the code, the zeros before the value and, where it is short, the value itself.

/// Bits that one look sees.
pub(super) const LOOK_BITS: u32 = 10;
/// Steps of an end of block: more than there are places in one.
pub(super) const END: usize = 128;
/// Longest code in bits.
const CODE_LEN_MAX: u32 = 16;

/// A table, as it is looked up.
pub(super) struct Table {
    /// The counts and symbols that it was made of.
    definition: Vec<u8>,
    looks: [Look; 1 << LOOK_BITS],
    /// For each length the first 16 bits, as a number, that belong to a longer code.
    ends: [u32; CODE_LEN_MAX as usize + 1],
    /// For each length what is to be added to a code for its symbol's index.
    first: [i32; CODE_LEN_MAX as usize + 1],
    symbols: [u8; 256],
}

/// What the next bits say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    /// The value, where all its bits were seen; otherwise the symbol.
    pub(super) value: i16,
    /// Bits of the code and the value; 0 where the value's bits, or the code's, reach beyond the look.
    pub(super) len: u8,
    /// Places to go on, the value's own included; [`END`] where nothing follows. Where not all was seen, the code's
    /// length, and 0 where not even that was.
    pub(super) steps: u8,
}

/// A code that was longer than a look, or had a longer value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Bits of the code.
    pub(super) len: u32,
    /// Zeros before the value.
    pub(super) run: u32,
    /// Bits of the value.
    pub(super) size: u32,
    pub(super) steps: usize,
}

impl Table {
    /// The table of `definition`: 16 counts of the codes of each length, and the symbols. Nothing where it is none.
    pub(super) fn new(definition: &[u8]) -> Option<Self> {
        let (counts, values) = definition.split_first_chunk::<16>()?;
        let mut symbols = [0; 256];
        symbols.get_mut(..values.len())?.copy_from_slice(values);
        let mut looks = [Look::default(); 1 << LOOK_BITS];
        let (mut ends, mut first) = ([0; CODE_LEN_MAX as usize + 1], [0; CODE_LEN_MAX as usize + 1]);
        let (mut code, mut index) = (0u32, 0usize);
        for (len, &count) in (1..).zip(counts) {
            first[len as usize] = index as i32 - code as i32;
            for symbol in values.get(index..index + usize::from(count))? {
                if len <= LOOK_BITS {
                    fill(&mut looks, code, len, *symbol)?;
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
        (index == values.len()).then(|| Self { definition: definition.into(), looks, ends, first, symbols })
    }

    /// Whether it was made of `definition`.
    pub(super) fn is(&self, definition: &[u8]) -> bool {
        self.definition == definition
    }

    /// Looks at the next bits, the first of them the highest.
    #[inline(always)]
    pub(super) fn look(&self, bits: u64) -> Look {
        self.looks[(bits >> (u64::BITS - LOOK_BITS)) as usize]
    }

    /// The symbol that the next bits are, whatever its length. Nothing where they are no code.
    #[inline]
    pub(super) fn symbol(&self, bits: u64) -> Option<Symbol> {
        match self.look(bits) {
            Look { len: 0, steps: len @ 1.., value } => Some(Symbol::new(len.into(), value as u8)),
            _ => self.walk(bits),
        }
    }

    fn walk(&self, bits: u64) -> Option<Symbol> {
        let bits = (bits >> (u64::BITS - CODE_LEN_MAX)) as u32;
        let len = (1..=CODE_LEN_MAX).find(|&len| bits < self.ends[len as usize])?;
        let code = (bits >> (CODE_LEN_MAX - len)) as i32;
        let symbol = *self.symbols.get(usize::try_from(code + self.first[len as usize]).ok()?)?;
        Some(Symbol::new(len, symbol))
    }
}

impl Symbol {
    #[inline(always)]
    fn new(len: u32, symbol: u8) -> Self {
        Self { len, run: u32::from(symbol >> 4), size: u32::from(symbol & 15), steps: steps(symbol) }
    }
}

/// Places that a symbol of a run of zeros and a size goes on.
fn steps(symbol: u8) -> usize {
    match (symbol >> 4, symbol & 15) {
        (run, 0) if run < 15 => END,
        (run, _) => usize::from(run) + 1,
    }
}

/// The value of `size` bits (F.2.2.1, EXTEND): those that begin with 0 are negative.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let negative = ((bits >> size.wrapping_sub(1).min(31)) & 1) ^ 1;
    (bits as i32).wrapping_sub(((negative << size).wrapping_sub(negative)) as i32)
}

/// Tells all looks that begin with `code` what it says.
fn fill(looks: &mut [Look], code: u32, len: u32, symbol: u8) -> Option<()> {
    let rest = LOOK_BITS - len;
    let looks = looks.get_mut((code << rest) as usize..((code + 1) << rest) as usize)?;
    let size = u32::from(symbol & 15);
    if size > rest {
        looks.fill(Look { value: symbol.into(), len: 0, steps: len as u8 });
    } else {
        for (bits, look) in (0..).zip(looks) {
            let value = if size == 0 { 0 } else { extend(bits >> (rest - size), size) };
            *look = Look { value: value as i16, len: (len + size) as u8, steps: steps(symbol) as u8 };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_extended_as_the_standard_does() {
        assert_eq!([0, 1].map(|bits| extend(bits, 1)), [-1, 1]);
        assert_eq!([0, 3, 4, 7].map(|bits| extend(bits, 3)), [-7, -4, 4, 7]);
        assert_eq!((extend(0, 10), extend(1023, 10), extend(512, 10)), (-1023, 1023, 512));
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
            let look = table.look(first << (64 - len));
            if len + walked.size <= LOOK_BITS {
                assert_eq!((u32::from(look.len), usize::from(look.steps)), (len + walked.size, walked.steps));
            } else {
                assert_eq!(look.len, 0);
            }
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
