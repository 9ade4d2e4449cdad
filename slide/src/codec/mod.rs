//! Tiles that are no JPEG: unpacking, undoing the predictor, and samples to RGB. Owns what a tile's bytes mean; knows
//! nothing of where tiles lie.
//!
//! A few bytes may claim to be a large tile. Before room is made for one its claim is held against what its codec can
//! say at most in so many bytes: see the `GROWTH_MAX` of each, and [`room_for`] for those that have no such bound.

mod bits;
mod deflate;
mod jpeg2000;
mod lzw;
mod old_jpeg;
mod packbits;
mod predictor;
mod samples;
mod webp;
mod ycbcr;
mod zstd;

pub(crate) use old_jpeg::{ComponentTables, OldJpeg};
pub(crate) use samples::{Alpha, Color, Samples};
pub(crate) use ycbcr::YCbCr;

use crate::{Compression, SlideError, error::Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A size in pixels.
#[derive(Debug, Clone, Copy)]
struct Pixels {
    width: usize,
    height: usize,
}

impl Pixels {
    fn count(self) -> usize {
        self.width * self.height
    }
}

/// How the bytes of a tile become pixels.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) compression: Compression,
    /// Whether samples are stored as their differences to the ones left of them (predictor 2).
    pub(crate) predicted: bool,
    /// Whether the lowest bit of each byte comes first (FillOrder 2).
    pub(crate) lowest_first: bool,
    pub(crate) samples: Samples,
}

impl Layout {
    /// Samples that are not packed.
    pub(crate) fn plain(samples: Samples) -> Self {
        Self { compression: Compression::None, predicted: false, lowest_first: false, samples }
    }

    /// Bytes of `rows` rows of `width` pixels before they are packed.
    pub(crate) fn raw_len(&self, width: usize, rows: usize) -> usize {
        self.samples.raw_len(Pixels { width, height: rows }, self.samples.count)
    }

    /// The same of one plane, where each sample has its own.
    pub(crate) fn plane_len(&self, width: usize, rows: usize) -> usize {
        self.samples.raw_len(Pixels { width, height: rows }, 1)
    }

    /// Unpacks a tile of `rows` rows of `width` pixels to RGB.
    pub(crate) fn rgb(&self, packed: Vec<u8>, width: usize, rows: usize) -> Result<Vec<u8>> {
        let size = Pixels { width, height: rows };
        let raw = self.raw(packed, size, self.samples.count)?;
        Ok(self.samples.rgb(raw, size))
    }

    /// Unpacks one plane of a tile to samples of 8 bits.
    pub(crate) fn plane(&self, packed: Vec<u8>, width: usize, rows: usize) -> Result<Vec<u8>> {
        let size = Pixels { width, height: rows };
        let raw = self.raw(packed, size, 1)?;
        Ok(self.samples.narrowed(raw, size, 1))
    }

    /// Unpacks samples, `count` of them a pixel, as they are stored.
    fn raw(&self, mut packed: Vec<u8>, size: Pixels, count: usize) -> Result<Vec<u8>> {
        if self.lowest_first {
            packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let (compression, samples) = (self.compression, &self.samples);
        let damaged = |why| SlideError::Damaged(format!("a tile's {compression} data: {why}"));
        let unpack = || match compression {
            Compression::WebP => webp::decode(&packed, size, count).map_err(damaged),
            Compression::Jpeg2000 => jpeg2000::decode(&packed, size, count).map_err(damaged),
            _ => unpack(packed, compression, samples.raw_len(size, count)),
        };
        // The decoders have indices that crafted data can drive out of bounds: the tile's fault, not the caller's.
        let mut raw = catch_unwind(AssertUnwindSafe(unpack)).unwrap_or_else(|_| {
            Err(SlideError::Damaged(format!("a tile's {compression} data contradict themselves")))
        })?;
        if self.predicted {
            let row_len = samples.raw_len(Pixels { height: 1, ..size }, count);
            predictor::undo(&mut raw, row_len, samples, count);
        }
        Ok(raw)
    }
}

/// Unpacks bytes until the room is full; what is wrong otherwise.
type Decode = fn(&[u8], &mut [u8]) -> Result<(), String>;

fn unpack(mut packed: Vec<u8>, compression: Compression, len: usize) -> Result<Vec<u8>> {
    // Before room is made for what the tile claims to be: none of the codecs can say so much in so few bytes.
    let (growth_max, decode): (usize, Decode) = match compression {
        Compression::None => {
            if packed.len() < len {
                return Err(short(packed.len(), len));
            }
            packed.truncate(len);
            return Ok(packed);
        }
        Compression::Lzw => (lzw::GROWTH_MAX, lzw::decode),
        Compression::PackBits => (packbits::GROWTH_MAX, packbits::decode),
        Compression::Deflate => (deflate::GROWTH_MAX, deflate::decode),
        Compression::Zstd => (zstd::GROWTH_MAX, zstd::decode),
        other => return Err(SlideError::Unsupported(format!("{other} among codecs of bytes"))),
    };
    if len / growth_max > packed.len() {
        return Err(short(packed.len(), len));
    }
    let mut raw = vec![0; len];
    decode(&packed, &mut raw).map_err(|why| SlideError::Damaged(format!("a tile's {compression} data: {why}")))?;
    Ok(raw)
}

fn short(have: usize, want: usize) -> SlideError {
    SlideError::Damaged(format!("a tile of {have} bytes cannot hold its {want} bytes of samples"))
}

/// Pixels that are decoded whatever the bytes are: 1024 × 1024.
const FREE_PIXELS: usize = 1 << 20;
/// Pixels for a byte where there are more of them.
const PIXELS_PER_BYTE_MAX: usize = 4096;

/// Whether a picture of this size is made room for. WebP and JPEG 2000 can say one colour of any size in a few bytes,
/// so the bound is set and not found: small tiles, which cost little, and more only for more bytes.
fn room_for(packed_len: usize, size: Pixels) -> Result<(), String> {
    match size.count() <= FREE_PIXELS.max(packed_len.saturating_mul(PIXELS_PER_BYTE_MAX)) {
        true => Ok(()),
        false => Err(format!("{packed_len} bytes cannot hold {} × {} pixels", size.width, size.height)),
    }
}

/// Pixels of `have` samples as pixels of `count`. What comes after the wanted ones is left out; alpha, the fourth, is
/// opaque where it is missing.
fn with_count(samples: Vec<u8>, have: usize, count: usize) -> Result<Vec<u8>, String> {
    match (have, count) {
        (have, count) if have == count => Ok(samples),
        (3, 4) => Ok(samples.as_chunks::<3>().0.iter().flat_map(|&[a, b, c]| [a, b, c, 255]).collect()),
        (have, count) if have > count => Ok(samples::without_rest(&samples, have, count)),
        _ => Err(format!("it has {have} samples a pixel, where the tags promise {count}")),
    }
}
