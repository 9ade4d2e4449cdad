//! Tables in which one look at the next bits tells as much of a block as it can see: where most blocks have nothing but
//! DC, or values have few bits, a look for each of them would be most of what decoding costs.

use super::huffman::{END, Symbol, Table, extend};

/// Bits that a look at the start of a block sees.
const START_BITS: u32 = 10;
/// Bits that a look at values sees.
const PAIR_BITS: u32 = 10;
/// Bits that a look sees where values do not matter.
const OVER_BITS: u32 = 11;
/// Most bits that a look at values tells of: a code that it sees all of, and the bits of a value behind it.
pub(super) const LOOK_LEN_MAX: u32 = PAIR_BITS + 15;
/// Places of a block after DC.
const LAST: usize = 63;

/// What the tables of a component's DC and AC tell together.
pub(super) struct Looks {
    starts: [Start; 1 << START_BITS],
    pairs: [Pair; 1 << PAIR_BITS],
    overs: [Over; 1 << OVER_BITS],
}

/// The start of a block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// What DC differs by.
    pub(super) difference: i16,
    /// Bits of all that is told; 0 where DC's own reach beyond the look.
    pub(super) len: u8,
    /// Whether the block ends thereafter.
    pub(super) flat: bool,
}

/// One value or two of AC. Of the first all of the code is seen, and its own bits may reach beyond the look.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(8))]
pub(super) struct Pair {
    /// Bits of all that is told; 0 where the first code is longer than a look, or stands for zeros alone.
    pub(super) len: u8,
    /// Bits of the first code.
    code: u8,
    /// Bits of the first value.
    size: u8,
    /// Places to go on to the first value, its own included; [`END`] where nothing follows.
    pub(super) steps: u8,
    /// The same to the second; 0 where there is none.
    pub(super) more: u8,
    /// The second value.
    pub(super) second: i16,
}

impl Pair {
    /// Bits of the first value and its code.
    #[inline(always)]
    pub(super) fn first_len(self) -> u32 {
        u32::from(self.code) + u32::from(self.size)
    }

    /// The first value, where `bits` are those of the look and what follows. Of an end it is any.
    #[inline(always)]
    pub(super) fn first(self, bits: u64) -> i32 {
        extend(bits << (self.code & 63), self.size.into())
    }
}

/// As many values as there are; the last one's own bits may reach beyond the look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Over {
    /// Bits of all; 0 where the first code is longer than a look.
    pub(super) len: u8,
    pub(super) steps: u8,
}

impl Looks {
    pub(super) fn new(dc: &Table, ac: &Table) -> Box<Self> {
        let mut looks = Box::new(Self {
            starts: [Start::default(); 1 << START_BITS],
            pairs: [Pair::default(); 1 << PAIR_BITS],
            overs: [Over::default(); 1 << OVER_BITS],
        });
        for (index, start) in (0u64..).zip(&mut looks.starts) {
            let bits = index << (u64::BITS - START_BITS);
            let Some(symbol) = dc.short(bits).filter(|symbol| symbol.len + symbol.size <= START_BITS) else {
                continue;
            };
            let len = symbol.len + symbol.size;
            let end = ac.short(bits << len).filter(|next| next.steps == END && len + next.len <= START_BITS);
            *start = Start {
                difference: symbol.value(bits) as i16,
                len: (len + end.map_or(0, |end| end.len)) as u8,
                flat: end.is_some(),
            };
        }
        for (index, pair) in (0u64..).zip(&mut looks.pairs) {
            let bits = index << (u64::BITS - PAIR_BITS);
            let fits = |symbol: &Symbol| symbol.len <= PAIR_BITS && (symbol.size > 0 || symbol.steps == END);
            let Some(first) = ac.short(bits).filter(fits) else { continue };
            let len = first.len + first.size;
            let fits = |second: &Symbol| first.steps != END && len + second.len + second.size <= PAIR_BITS;
            let second = ac.short(bits << len).filter(fits);
            *pair = Pair {
                len: (len + second.map_or(0, |second| second.len + second.size)) as u8,
                code: first.len as u8,
                size: first.size as u8,
                steps: first.steps as u8,
                more: second.map_or(0, |second| second.steps as u8),
                second: second.map_or(0, |second| second.value(bits << len) as i16),
            };
        }
        for (index, over) in (0u64..).zip(&mut looks.overs) {
            let bits = index << (u64::BITS - OVER_BITS);
            let (mut len, mut steps) = (0, 0);
            // Never so many that they could be taken for an end.
            while let Some(symbol) = ac.short(bits << len)
                && len + symbol.len <= OVER_BITS
                && (symbol.steps == END || steps + symbol.steps <= LAST)
            {
                len += symbol.len + symbol.size;
                steps += symbol.steps;
                if symbol.steps == END {
                    break;
                }
            }
            *over = Over { len: len as u8, steps: steps as u8 };
        }
        looks
    }

    #[inline(always)]
    pub(super) fn start(&self, bits: u64) -> Start {
        self.starts[(bits >> (u64::BITS - START_BITS)) as usize]
    }

    #[inline(always)]
    pub(super) fn pair(&self, bits: u64) -> Pair {
        self.pairs[(bits >> (u64::BITS - PAIR_BITS)) as usize]
    }

    #[inline(always)]
    pub(super) fn over(&self, bits: u64) -> Over {
        self.overs[(bits >> (u64::BITS - OVER_BITS)) as usize]
    }
}
