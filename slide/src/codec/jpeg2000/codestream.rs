//! What a JPEG 2000 codestream says of itself (ISO/IEC 15444-1, annex A), read before anything is made room for: its
//! decoder makes room for all that it is told of.

use super::super::Pixels;

const SOC: u16 = 0xff4f;
const SIZ: u16 = 0xff51;
const COD: u16 = 0xff52;
const COC: u16 = 0xff53;
const SOT: u16 = 0xff90;
const SOD: u16 = 0xff93;
const EOC: u16 = 0xffd9;

/// Most tiles inside one image, most components, and most parts of tiles; tiles of a slide have one, three and a few.
const TILES_MAX: u64 = 1024;
const COMPONENTS_MAX: usize = 8;
const PARTS_MAX: usize = 4096;
/// Bytes that the decoder keeps for a precinct, for a code-block and for a layer of one, from the sizes of what it
/// lists them in, rounded up; and how many bytes they may take in sum for a sample, on top of a start.
const PRECINCT_LEN: u64 = 600;
const BLOCK_LEN: u64 = 160;
const LAYER_LEN: u64 = 24;
const KEPT_PER_SAMPLE_MAX: u64 = 8;
const KEPT_START: u64 = 4 << 20;
/// Most layers that the decoder takes.
const LAYERS_MAX: u64 = 32;

const STYLE_SHORT: &str = "its coding style is cut off";

/// The codestream in `bytes`: all of them, or the first one in the boxes of a JP2 file.
pub(super) fn find(bytes: &[u8]) -> Result<&[u8], String> {
    let mut rest = bytes;
    if bytes.first_chunk() == Some(&SOC.to_be_bytes()) {
        return Ok(bytes);
    }
    while let Some(([l0, l1, l2, l3, kind @ ..], after)) = rest.split_first_chunk::<8>() {
        let len = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        let (len, after) = match len {
            0 => (after.len(), after),
            // A length of 64 bits, of which no tile has need.
            1 => return Err("a box claims 4 GiB or more".into()),
            len => (len.checked_sub(8).ok_or("a box is shorter than its head")?, after),
        };
        let inside = after.get(..len).ok_or("it ends inside a box")?;
        if kind == b"jp2c" {
            return Ok(inside);
        }
        rest = &after[len..];
    }
    Err("it holds no codestream".into())
}

/// The sizes that a codestream claims, and what its decoder must keep for them, held against the tile.
#[derive(Debug)]
pub(super) struct Claims {
    size: Pixels,
    /// Pixels across and down for which each component has a sample.
    pub(super) components: Vec<(usize, usize)>,
    /// How often all components are transformed by the irreversible wavelet, from the image's corner on and as one tile;
    /// nothing where they are not, or each in its way.
    pub(super) wavelet: Option<u8>,
    /// Whether there are several tiles, or one with its corner elsewhere, or a component in a way of its own.
    mixed: bool,
}

impl Claims {
    /// Reads the markers of all headers, of the image and of the parts of its tiles.
    pub(super) fn read(codestream: &[u8], size: Pixels) -> Result<Self, String> {
        let mut rest = codestream;
        if take_u16(&mut rest)? != SOC {
            return Err("it does not begin with SOC".into());
        }
        if take_u16(&mut rest)? != SIZ {
            return Err("its sizes do not come first".into());
        }
        let mut claims = Self::sizes(segment(&mut rest)?, size)?;
        let mut parts = 0;
        let mut part_end = None;
        loop {
            match take_u16(&mut rest)? {
                COD => match segment(&mut rest)? {
                    &[flags, _, l1, l0, _, ref style @ ..] => {
                        claims.check_style(flags, style, u16::from_be_bytes([l1, l0]).into())?;
                        claims.wavelet = match style {
                            &[levels, _, _, _, 0, ..] if !claims.mixed => Some(levels),
                            _ => None,
                        };
                    }
                    _ => return Err(STYLE_SHORT.into()),
                },
                // The component's number has one byte, as there are few; the layers are the image's.
                COC => match segment(&mut rest)? {
                    &[_, flags, ref style @ ..] => {
                        claims.check_style(flags, style, LAYERS_MAX)?;
                        (claims.wavelet, claims.mixed) = (None, true);
                    }
                    _ => return Err(STYLE_SHORT.into()),
                },
                SOT => {
                    let start = rest.len() + 2;
                    let len = segment(&mut rest)?.get(2..6).and_then(|len| len.try_into().ok());
                    let len = len.map(u32::from_be_bytes).ok_or("a tile's header is too short")? as usize;
                    parts += 1;
                    if parts > PARTS_MAX {
                        return Err(format!("it has more than {PARTS_MAX} parts"));
                    }
                    // 0 stands for all that is left.
                    part_end =
                        Some(if len == 0 { 0 } else { start.checked_sub(len).ok_or("it ends inside a tile")? });
                }
                SOD => {
                    let left = part_end.take().ok_or("data stands before a tile's header")?;
                    let len = rest.len().checked_sub(left).ok_or("a tile's header is longer than the tile")?;
                    rest = &rest[len..];
                    // A last part may be the end, as some writers leave out the marker.
                    if rest.len() < 2 {
                        return Ok(claims);
                    }
                }
                EOC => return Ok(claims),
                // These have no segment.
                0xff30..=0xff3f => {}
                0xff00.. => {
                    segment(&mut rest)?;
                }
                _ => return Err("something else stands where a marker must be".into()),
            }
        }
    }

    fn sizes(siz: &[u8], size: Pixels) -> Result<Self, String> {
        let number = |at: usize| {
            let bytes = siz.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(|bytes| u64::from(u32::from_be_bytes(bytes))).ok_or("its sizes are cut off")
        };
        // Capabilities, then the pairs of the image's end and start, of a tile's size and of the first one's start.
        let (right, bottom, left, top) = (number(2)?, number(6)?, number(10)?, number(14)?);
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        if (width, height) != (size.width as u64, size.height as u64) {
            return Err(format!("an image of {width} × {height} pixels in a tile of {} × {}", size.width, size.height));
        }
        let tiles = |end: u64, start: u64, len: u64| end.saturating_sub(start).checked_div(len).map(|count| count + 1);
        let across = tiles(right, number(26)?, number(18)?);
        let down = tiles(bottom, number(30)?, number(22)?);
        if across.zip(down).is_none_or(|(across, down)| across.saturating_mul(down) > TILES_MAX) {
            return Err(format!("it is cut into more than {TILES_MAX} tiles"));
        }
        let listed = siz.get(36..).ok_or("its sizes are cut off")?.as_chunks::<3>().0;
        // The first component has all samples: else the picture would be smaller than it says.
        let starts = [left, top, number(26)?, number(30)?];
        match listed {
            [[_, 1, 1], ..] if listed.len() <= COMPONENTS_MAX => Ok(Self {
                size,
                components: listed.iter().map(|&[_, x, y]| (x.max(1).into(), y.max(1).into())).collect(),
                wavelet: None,
                mixed: starts != [0; 4] || number(18)? < width || number(22)? < height,
            }),
            _ => Err("its components are too many or too small".into()),
        }
    }

    /// Holds what the decoder must keep against a limit: `flags`, `style` and `layers` of the image or of a component.
    fn check_style(&self, flags: u8, style: &[u8], layers: u64) -> Result<(), String> {
        let &[levels, width, height, _, _, ref precincts @ ..] = style else { return Err(STYLE_SHORT.into()) };
        let steps = u32::from(levels);
        if steps > 32 || width > 8 || height > 8 {
            return Err("its coding style is none".into());
        }
        let samples = self.size.count() as u64;
        // Blocks are cut off at the edges of precincts and of bands, and so more than the area says.
        let block = (1u64 << (width + 2)) * (1 << (height + 2));
        let mut kept = (samples / block) * (BLOCK_LEN + layers * LAYER_LEN);
        for step in 0..=steps {
            let (across, down) = match precincts.get(step as usize) {
                Some(exponents) if flags & 1 != 0 => (exponents & 15, exponents >> 4),
                None if flags & 1 != 0 => return Err(STYLE_SHORT.into()),
                _ => (15, 15),
            };
            let side = |pixels: usize| (pixels as u64 >> (steps - step)) + 1;
            let count = ((side(self.size.width) >> across) + 2) * ((side(self.size.height) >> down) + 2);
            // Each holds a part of at least one block in each of its bands.
            kept += count * (PRECINCT_LEN + 3 * (BLOCK_LEN + layers * LAYER_LEN));
        }
        match kept <= KEPT_START + samples * KEPT_PER_SAMPLE_MAX {
            true => Ok(()),
            false => Err("it is cut into more precincts and blocks than its size calls for".into()),
        }
    }
}

fn take_u16(rest: &mut &[u8]) -> Result<u16, String> {
    let (bytes, after) = rest.split_first_chunk().ok_or("it is cut off")?;
    *rest = after;
    Ok(u16::from_be_bytes(*bytes))
}

/// A marker's segment, without its length.
fn segment<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let len = usize::from(take_u16(rest)?).checked_sub(2).ok_or("a segment is shorter than its length")?;
    let (segment, after) = rest.split_at_checked(len).ok_or("it ends inside a segment")?;
    *rest = after;
    Ok(segment)
}
