//! A codec's input as a TIFF of one tile.

/// Bytes before the tile's own data.
pub const HEAD_LEN: usize = 8;

/// How a fuzz target's input begins: what the tags say of the tile behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub width: u16,
    pub height: u16,
    /// Samples of a pixel.
    pub samples: u8,
    /// Bit 0: 16 bits a sample. Bits 1 and 2: the predictor, less 1. Bits 4 to 7: the photometric interpretation.
    pub form: u8,
    /// Bytes of JPEG tables at the beginning of the data.
    pub tables: u16,
}

impl Head {
    pub fn read(input: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = input.split_first_chunk::<HEAD_LEN>()?;
        let pair = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let head = Self { width: pair(0), height: pair(2), samples: head[4], form: head[5], tables: pair(6) };
        (head.width > 0 && head.height > 0).then_some((head, rest))
    }

    pub fn bytes(&self) -> [u8; HEAD_LEN] {
        let pairs = [self.width, self.height, u16::from_le_bytes([self.samples, self.form]), self.tables];
        let mut bytes = [0; HEAD_LEN];
        for (into, pair) in bytes.chunks_exact_mut(2).zip(pairs) {
            into.copy_from_slice(&pair.to_le_bytes());
        }
        bytes
    }
}

/// A little-endian TIFF with one tile, the input behind its head, of this compression.
pub fn tiff(compression: u32, input: &[u8]) -> Option<Vec<u8>> {
    let (head, data) = Head::read(input)?;
    let (tables, tile) = data.split_at(data.len().min(head.tables.into()));
    let samples = u32::from(head.samples.clamp(1, 8));
    let bits = if head.form & 1 != 0 { 16u16 } else { 8 };
    let photometric = u32::from(head.form >> 4);
    let (width, height) = (u32::from(head.width), u32::from(head.height));
    let bits_at = 8;
    let tables_at = bits_at + 16;
    let tile_at = tables_at + tables.len() as u32;
    let directory_at = tile_at + tile.len() as u32;
    let (short, long) = (3u16, 4u16);
    let mut fields = vec![
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, samples, if samples < 3 { u32::from(bits) * 0x1_0001 } else { bits_at }),
        (259, short, 1, compression),
        (262, short, 1, photometric),
        (277, short, 1, samples),
        (317, short, 1, 1 + u32::from(head.form >> 1 & 3)),
        (322, long, 1, width),
        (323, long, 1, height),
        (324, long, 1, tile_at),
        (325, long, 1, tile.len() as u32),
    ];
    if !tables.is_empty() {
        // Few bytes lie in the field itself.
        let place = match tables.len() {
            1..=4 => tables.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)),
            _ => tables_at,
        };
        fields.push((347, 7, tables.len() as u32, place));
    }
    let mut out = b"II*\0".to_vec();
    out.extend(directory_at.to_le_bytes());
    out.extend([bits; 8].iter().flat_map(|bits| bits.to_le_bytes()));
    out.extend(tables);
    out.extend(tile);
    out.extend((fields.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in fields {
        out.extend(u16::to_le_bytes(tag));
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(u32::to_le_bytes(value));
    }
    out.extend([0; 4]);
    Some(out)
}
