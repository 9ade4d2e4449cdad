//! What the markers of a JPEG say of how its scan is to be read. Markers are trusted to be well-formed: the header was
//! parsed before.

use super::{
    huffman::Table,
    idct::{PLACES, Quanta},
    looks::Looks,
};

/// The place of each coefficient in a block, row by row, in the order of the scan (T.81, figure A.6).
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Huffman tables, for DC and for AC, and what they tell together. They stay from JPEG to JPEG, as an image's tiles have
/// the same.
#[derive(Default)]
pub(super) struct Tables {
    tables: [[Option<Table>; 4]; 2],
    /// For each table of DC those of AC that go with it.
    looks: [[Option<Box<Looks>>; 4]; 4],
}

/// A component's tables.
#[derive(Clone, Copy)]
pub(super) struct Codes<'a> {
    pub(super) dc: &'a Table,
    pub(super) ac: &'a Table,
    pub(super) looks: &'a Looks,
}

impl Tables {
    pub(super) fn codes(&self, component: &Component) -> Option<Codes<'_>> {
        let Component { dc, ac, .. } = *component;
        Some(Codes {
            dc: self.tables[0][dc].as_ref()?,
            ac: self.tables[1][ac].as_ref()?,
            looks: self.looks[dc][ac].as_deref()?,
        })
    }

    /// Makes a component's tables ready to be looked up.
    fn prepare(&mut self, component: &Component) {
        let Component { dc, ac, .. } = *component;
        if self.looks[dc][ac].is_none()
            && let (Some(dc_table), Some(ac_table)) = (&self.tables[0][dc], &self.tables[1][ac])
        {
            self.looks[dc][ac] = Some(Looks::new(dc_table, ac_table));
        }
    }

    /// Makes the tables of a DHT ready, where they are not so already.
    fn define(&mut self, mut segment: &[u8], defined: &mut [[bool; 4]; 2]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (class, slot) = (usize::from(kind >> 4), usize::from(kind & 15));
            let symbols: usize = rest.get(..16)?.iter().map(|&count| usize::from(count)).sum();
            let (definition, rest) = rest.split_at_checked(16 + symbols)?;
            let table = self.tables.get_mut(class)?.get_mut(slot)?;
            if !table.as_ref().is_some_and(|table| table.is(definition)) {
                // Sizes of a DC difference (F.1.2.1.1), so that no sum of them leaves its bounds.
                if class == 0 && definition[16..].iter().any(|&size| size > 11) {
                    return None;
                }
                *table = Some(Table::new(definition)?);
                match class {
                    0 => self.looks[slot] = Default::default(),
                    _ => self.looks.iter_mut().for_each(|looks| looks[slot] = None),
                }
            }
            defined[class][slot] = true;
            segment = rest;
        }
        Some(())
    }
}

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Grey,
    Rgb,
    YCbCr,
}

/// A component of the frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Blocks of an MCU, across and down.
    pub(super) blocks: (usize, usize),
    quantization: usize,
    dc: usize,
    ac: usize,
}

/// How to read a scan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    pub(super) color: Color,
    quantization: [Option<Quanta>; 4],
    /// MCUs between restart markers; 0 where there are none.
    pub(super) restart: usize,
    /// Where the scan begins.
    pub(super) scan: usize,
}

impl Plan {
    /// Reads the markers of a JPEG of 8 bits, and makes its `tables` ready. Nothing where it has another form than is
    /// read here.
    pub(super) fn read(jpeg: &[u8], tables: &mut Tables) -> Option<Self> {
        let mut plan = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            color: Color::YCbCr,
            quantization: [const { None }; 4],
            restart: 0,
            scan: 0,
        };
        let (mut defined, mut jfif, mut adobe) = ([[false; 4]; 2], false, None);
        let mut at = 2;
        loop {
            let fill = jpeg.get(at..)?.iter().take_while(|&&byte| byte == 0xff).count();
            let marker = *jpeg.get(at + fill)?;
            at += fill + 1;
            let len = usize::from(u16::from_be_bytes(*jpeg.get(at..)?.first_chunk()?));
            let segment = jpeg.get(at + 2..at + len)?;
            at += len;
            match marker {
                0xc0 | 0xc1 => plan.frame(segment)?,
                0xc4 => tables.define(segment, &mut defined)?,
                0xdb => plan.quantization(segment)?,
                0xdd => plan.restart = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
                0xe0 => jfif |= segment.starts_with(b"JFIF\0"),
                0xee if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied(),
                0xda => break plan.scan(segment, &defined)?,
                // Text, and applications' own.
                0xe1..=0xed | 0xef | 0xfe | 0xee => {}
                _ => return None,
            }
        }
        plan.scan = at;
        plan.components.iter().for_each(|component| tables.prepare(component));
        let ids: Vec<u8> = plan.components.iter().map(|component| component.id).collect();
        // What libjpeg makes of the markers (its jdapimin.c).
        plan.color = match adobe {
            _ if ids.len() == 1 => Color::Grey,
            _ if jfif => Color::YCbCr,
            Some(0) => Color::Rgb,
            None if ids == *b"RGB" => Color::Rgb,
            _ => Color::YCbCr,
        };
        Some(plan)
    }

    /// A component's quantisation.
    pub(super) fn quanta(&self, component: &Component) -> Option<&Quanta> {
        self.quantization[component.quantization].as_ref()
    }

    fn frame(&mut self, segment: &[u8]) -> Option<()> {
        let (&[precision, h1, h0, w1, w0, count], listed) = segment.split_first_chunk()?;
        self.width = usize::from(u16::from_be_bytes([w1, w0]));
        self.height = usize::from(u16::from_be_bytes([h1, h0]));
        let read = |entry: &[u8; 3]| {
            let &[id, sampling, quantization] = entry;
            let blocks = (usize::from(sampling >> 4), usize::from(sampling & 15));
            (quantization < 4).then_some(Component { id, blocks, quantization: quantization.into(), dc: 0, ac: 0 })
        };
        let listed = listed.get(..3 * usize::from(count))?.as_chunks().0;
        self.components = listed.iter().map(read).collect::<Option<_>>()?;
        let supported = match self.components.as_mut_slice() {
            // The blocks of a single component stand row by row, whatever its sampling is said to be.
            [grey] => {
                grey.blocks = (1, 1);
                true
            }
            [luma, blue, red] => {
                let subsampled = luma.blocks != (1, 1);
                // With fewer pixels libjpeg's way to fill in chroma is another.
                matches!(luma.blocks, (1 | 2, 1 | 2))
                    && (blue.blocks, red.blocks) == ((1, 1), (1, 1))
                    && (!subsampled || self.width > 4)
            }
            _ => false,
        };
        (precision == 8 && supported && self.width > 0 && self.height > 0).then_some(())
    }

    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (wide, slot) = (kind >> 4, usize::from(kind & 15));
            let len = if wide == 0 { 64 } else { 128 };
            let (values, rest) = rest.split_at_checked(len)?;
            let mut quanta = Quanta([0; 64]);
            for (index, &place) in PLACES[..64].iter().enumerate() {
                quanta.0[usize::from(place)] = match wide {
                    0 => i16::from(values[index]),
                    1 => i16::from_be_bytes([values[2 * index], values[2 * index + 1]]),
                    _ => return None,
                };
            }
            *self.quantization.get_mut(slot)? = Some(quanta);
            segment = rest;
        }
        Some(())
    }

    /// Reads a scan's header; all components must be in it.
    fn scan(&mut self, segment: &[u8], defined: &[[bool; 4]; 2]) -> Option<()> {
        let (&count, rest) = segment.split_first()?;
        let (listed, rest) = rest.split_at_checked(2 * usize::from(count))?;
        if self.components.is_empty() || usize::from(count) != self.components.len() || *rest != [0, 63, 0] {
            return None;
        }
        for (component, listed) in self.components.iter_mut().zip(listed.chunks_exact(2)) {
            (component.dc, component.ac) = (usize::from(listed[1] >> 4), usize::from(listed[1] & 15));
            let ready = *defined[0].get(component.dc)? && *defined[1].get(component.ac)?;
            if listed[0] != component.id || !ready || self.quantization[component.quantization].is_none() {
                return None;
            }
        }
        Some(())
    }
}
