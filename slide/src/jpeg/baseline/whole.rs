//! Whether a JPEG that is for another decoder has all its pixels: such decoders take an end that comes too early for the
//! right one, and fill up with grey. Owns the walk over all scans, sequential or progressive, whose codes are read and
//! whose values are not (ITU-T T.81, F.2 and G.2), and over what they tell of each coefficient.

use super::{
    after_restart,
    bits::{Bits, Stretch},
    check,
    huffman::{END, Table},
    no_code,
};
use crate::{SlideError, error::Result, jpeg::header::damaged};
use std::ops::RangeInclusive;

/// Most Huffman tables that a JPEG may define; encoders write two for a scan, or four.
const TABLES_MAX: usize = 256;
/// Most scans, as for the decoder.
const SCANS_MAX: usize = 32;
/// Of a coefficient that no scan told.
const UNTOLD: u8 = 0xff;

struct Component {
    id: u8,
    /// Blocks of an MCU, across and down.
    blocks: (usize, usize),
    /// Blocks of the whole component, across and down, in a scan of its own.
    all: (usize, usize),
    /// The lowest bit of each coefficient that was told.
    told: [u8; 64],
    /// For each block the coefficients that are not 0; kept where scans refine what others told.
    nonzero: Vec<u64>,
}

#[derive(Default)]
struct Walk {
    components: Vec<Component>,
    /// MCUs of a scan of several components.
    mcus: usize,
    progressive: bool,
    /// Rows of blocks of an MCU.
    down: usize,
    /// For DC and for AC.
    tables: [[Option<Table>; 4]; 2],
    tables_read: usize,
    restart: usize,
    stretch: Stretch,
}

/// What a scan's header says.
struct Scan {
    /// The components' indices, with their tables for DC and AC.
    components: Vec<(usize, usize, usize)>,
    band: RangeInclusive<usize>,
    /// Whether it goes on with what others told.
    refines: bool,
}

/// Refuses a JPEG that ends before all bits of all coefficients, or that has codes that its tables have not, and what the
/// other decoder does not draw as it should. The header was parsed before.
pub(crate) fn check_whole(jpeg: &[u8]) -> Result<()> {
    let mut walk = Walk::default();
    let (mut rest, mut scans) = (jpeg.get(2..).unwrap_or_default(), 0);
    loop {
        let fill = rest.iter().take_while(|&&byte| byte == 0xff).count();
        let marker = *rest.get(fill).filter(|_| fill > 0).ok_or_else(early)?;
        if marker == 0xd9 {
            break;
        }
        let after = &rest[fill + 1..];
        let len = after.first_chunk().map_or(0, |len| usize::from(u16::from_be_bytes(*len)));
        let segment = after.get(2..len).ok_or_else(early)?;
        rest = &after[len..];
        match marker {
            0xc0..=0xc2 => walk.frame(marker, segment).ok_or_else(wrong)?,
            0xc4 => walk.define(segment).ok_or_else(wrong)?,
            0xdd => walk.restart = segment.first_chunk().map_or(0, |len| usize::from(u16::from_be_bytes(*len))),
            0xda if scans == SCANS_MAX => return Err(wrong()),
            0xda => {
                scans += 1;
                let scan = walk.header(segment).ok_or_else(wrong)?;
                rest = walk.scan(&scan, rest)?;
            }
            _ => {}
        }
    }
    if walk.down > 2 && !walk.progressive {
        // The decoder takes rows for others: what it gave for 1 × 4 was another picture than libjpeg's.
        return Err(SlideError::Unsupported("JPEG with a third or a quarter of the rows of chroma".into()));
    }
    let whole = walk.components.iter().all(|component| component.told == [0; 64]);
    if whole && !walk.components.is_empty() { Ok(()) } else { Err(early()) }
}

impl Walk {
    fn frame(&mut self, marker: u8, segment: &[u8]) -> Option<()> {
        let (&[_, h1, h0, w1, w0, count], listed) = segment.split_first_chunk()?;
        let (width, height) = (usize::from(u16::from_be_bytes([w1, w0])), usize::from(u16::from_be_bytes([h1, h0])));
        let listed = listed.get(..3 * usize::from(count))?.as_chunks::<3>().0;
        let blocks = |sampling: u8| (usize::from(sampling >> 4), usize::from(sampling & 15));
        let largest = listed.iter().map(|entry| blocks(entry[1]));
        let (across, down) = largest.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?;
        (self.progressive, self.down) = (marker == 0xc2, down);
        self.mcus = width.div_ceil(8 * across.max(1)) * height.div_ceil(8 * down.max(1));
        self.components.clear();
        for &[id, sampling, _] in listed {
            let blocks = blocks(sampling);
            if !(1..=4).contains(&blocks.0) || !(1..=4).contains(&blocks.1) {
                return None;
            }
            let side = |pixels: usize, own: usize, of: usize| (pixels * own).div_ceil(of).div_ceil(8);
            let all = (side(width, blocks.0, across), side(height, blocks.1, down));
            self.components.push(Component { id, blocks, all, told: [UNTOLD; 64], nonzero: Vec::new() });
        }
        Some(())
    }

    fn define(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let symbols: usize = rest.get(..16)?.iter().map(|&count| usize::from(count)).sum();
            let (definition, rest) = rest.split_at_checked(16 + symbols)?;
            self.tables_read += 1;
            let table = Table::new(definition).filter(|_| self.tables_read <= TABLES_MAX)?;
            *self.tables.get_mut(usize::from(kind >> 4))?.get_mut(usize::from(kind & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    /// Reads a scan's header, and notes what the scan tells.
    fn header(&mut self, segment: &[u8]) -> Option<Scan> {
        let (&count, rest) = segment.split_first()?;
        let (listed, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[start, end, bits] = rest.first_chunk()?;
        let (band, high, low) = match self.progressive {
            true => (usize::from(start)..=usize::from(end), bits >> 4, bits & 15),
            false => (0..=63, 0, 0),
        };
        // DC comes by itself, and AC of one component at a time (G.1.1.1).
        let allowed = *band.end() < 64
            && band.start() <= band.end()
            && (!self.progressive || *band.start() > 0 || *band.end() == 0)
            && (1..=4).contains(&count)
            && (*band.start() == 0 || count == 1);
        if !allowed {
            return None;
        }
        let mut components = Vec::new();
        for &[id, tables] in listed.as_chunks::<2>().0 {
            let index = self.components.iter().position(|component| component.id == id)?;
            let component = &mut self.components[index];
            for told in &mut component.told[band.clone()] {
                // Bits come from the highest on, the first of them together.
                if *told != if high == 0 { UNTOLD } else { high } {
                    return None;
                }
                *told = low;
            }
            if *band.start() > 0 {
                component.nonzero.resize(component.all.0 * component.all.1, 0);
            }
            components.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        Some(Scan { components, band, refines: high > 0 })
    }

    /// Walks over a scan's codes, and gives what follows them.
    fn scan<'a>(&mut self, scan: &Scan, mut rest: &'a [u8]) -> Result<&'a [u8]> {
        let Self { components, tables, stretch, .. } = self;
        let alone = scan.components.len() == 1;
        let units = match scan.components.first() {
            Some(&(index, ..)) if alone => components[index].all.0 * components[index].all.1,
            _ => self.mcus,
        };
        let of = |class: usize, slot: usize| tables[class].get(slot).and_then(Option::as_ref).ok_or_else(wrong);
        rest = &rest[stretch.fill(rest)..];
        let mut bits = stretch.bits();
        let (mut blocks_over, mut restarts) = (0, 0u8);
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                check(&bits)?;
                rest = after_restart(rest, restarts)?;
                rest = &rest[stretch.fill(rest)..];
                bits = stretch.bits();
                (blocks_over, restarts) = (0, restarts.wrapping_add(1));
            }
            for &(index, dc, ac) in &scan.components {
                let component = &mut components[index];
                let count = if alone { 1 } else { component.blocks.0 * component.blocks.1 };
                for _ in 0..count {
                    let read = match (scan.band.start(), self.progressive) {
                        (_, false) => sequential(&mut bits, of(0, dc)?, of(1, ac)?),
                        (0, true) if scan.refines => {
                            bits.take(1);
                            Some(())
                        }
                        (0, true) => value(&mut bits, of(0, dc)?).map(drop),
                        _ => {
                            let nonzero = component.nonzero.get_mut(unit).ok_or_else(wrong)?;
                            match scan.refines {
                                false => first(&mut bits, of(1, ac)?, &scan.band, &mut blocks_over, nonzero),
                                true => refine(&mut bits, of(1, ac)?, &scan.band, &mut blocks_over, nonzero),
                            }
                        }
                    };
                    read.ok_or_else(no_code)?;
                }
            }
        }
        check(&bits)?;
        Ok(rest)
    }
}

/// A value, however long, and its steps.
fn value(bits: &mut Bits<'_>, table: &Table) -> Option<usize> {
    bits.refill();
    bits.value(table).map(|(_, steps)| steps)
}

/// A block of a sequential scan.
fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Option<()> {
    value(bits, dc)?;
    let mut at = 0;
    while at < 63 {
        at += value(bits, ac)?;
    }
    (at == 63 || at >= END).then_some(())
}

/// The first bits of a band of a block (G.1.2.2).
fn first(
    bits: &mut Bits<'_>,
    table: &Table,
    band: &RangeInclusive<usize>,
    blocks_over: &mut u32,
    nonzero: &mut u64,
) -> Option<()> {
    if *blocks_over > 0 {
        *blocks_over -= 1;
        return Some(());
    }
    let mut at = *band.start();
    while at <= *band.end() {
        let symbol = bits.code(table)?;
        if symbol.size == 0 && symbol.run < 15 {
            *blocks_over = (1 << symbol.run) - 1 + bits.take(symbol.run);
            break;
        }
        at += symbol.run as usize;
        if symbol.size > 0 {
            bits.take(symbol.size);
            *nonzero |= 1 << (at <= *band.end()).then_some(at)?;
        }
        at += 1;
    }
    Some(())
}

/// One bit more of each coefficient of a band of a block, and those that are no longer 0 (G.1.2.3).
fn refine(
    bits: &mut Bits<'_>,
    table: &Table,
    band: &RangeInclusive<usize>,
    blocks_over: &mut u32,
    nonzero: &mut u64,
) -> Option<()> {
    let mut at = *band.start();
    while *blocks_over == 0 && at <= *band.end() {
        let symbol = bits.code(table)?;
        if symbol.size == 0 && symbol.run < 15 {
            *blocks_over = (1 << symbol.run) + bits.take(symbol.run);
            break;
        }
        bits.take(symbol.size);
        let mut zeros = symbol.run;
        while at <= *band.end() {
            if *nonzero >> at & 1 == 1 {
                bits.take(1);
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            at += 1;
        }
        if symbol.size > 0 {
            *nonzero |= 1 << (at <= *band.end()).then_some(at)?;
        }
        at += 1;
    }
    if *blocks_over > 0 {
        *blocks_over -= 1;
        for _ in (at..=*band.end()).filter(|at| *nonzero >> at & 1 == 1) {
            bits.take(1);
        }
    }
    Some(())
}

fn early() -> SlideError {
    damaged("it ends before its pixels")
}

fn wrong() -> SlideError {
    damaged("its scans contradict its header")
}
