//! JPEG inside a TIFF: tiles whose tables lie elsewhere and whose colours the file's tags may tell wrongly. Owns how a
//! tile becomes a whole JPEG, and the decoding of that; knows nothing of where tiles lie.

mod baseline;
mod decode;
mod header;

pub(crate) use decode::{SCANS_MAX, check, decode, draw, shrunk};
pub(crate) use header::Frame;

use crate::{SlideError, error::Result};
pub(crate) use baseline::{ZIGZAG, check_whole};
use header::{Header, damaged};

/// Adobe's marker with transform 0: the components are red, green and blue.
const APP14_RGB: &[u8] = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";

/// The quantisation and Huffman tables that an image's tiles share (tag 347).
#[derive(Debug)]
pub(crate) struct Tables {
    /// The marker segments, without SOI and EOI.
    segments: Box<[u8]>,
    header: Header,
}

impl Tables {
    /// Takes the value of tag 347, tables from SOI to EOI.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let header = Header::parse(bytes)?;
        // Some writers fill up the field after EOI.
        let end = bytes.windows(2).rposition(|marker| marker == [0xff, 0xd9]);
        match end.and_then(|end| bytes.get(2..end)) {
            Some(segments) if header.frame.is_none() => Ok(Self { segments: segments.into(), header }),
            _ => Err(damaged("the tables in tag 347 are none")),
        }
    }
}

/// What the TIFF's tags say of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tagged {
    Grey,
    Rgb,
    YCbCr,
}

/// Makes a tile a whole JPEG at the end of `out`, which `read` fills with the tile's `len` bytes: SOI, the marker that
/// tells RGB where nothing else does, the shared tables, and the tile without its SOI. Nothing is decoded, and nothing
/// is allocated but in `out`.
pub(crate) fn assemble(
    tables: Option<&Tables>,
    tagged: Tagged,
    len: usize,
    read: impl FnOnce(&mut [u8]) -> Result<()>,
    out: &mut Vec<u8>,
) -> Result<Frame> {
    let start = out.len();
    let shared: &[u8] = tables.map_or(&[], |tables| &tables.segments);
    let mark_len = if tagged == Tagged::Rgb { APP14_RGB.len() } else { 0 };
    let head_len = 2 + mark_len + shared.len();
    // The tile's own SOI falls on the last two bytes of what stands before it, which are written afterwards.
    out.resize(start + head_len - 2 + len, 0);
    let tile = &mut out[start + head_len - 2..];
    read(tile)?;
    let header = Header::parse(tile)?;
    let frame = header.frame.ok_or_else(|| damaged("it has no frame header"))?;

    let head = &mut out[start..start + head_len];
    head[..2].copy_from_slice(&[0xff, 0xd8]);
    head[2..2 + mark_len].copy_from_slice(&APP14_RGB[..mark_len]);
    head[2 + mark_len..].copy_from_slice(shared);
    if mark_len > 0 && !needs_mark(&header, tables, &frame) {
        out.drain(start + 2..start + 2 + mark_len);
    }
    Ok(frame)
}

/// Whether a tile that the tags call RGB must be marked so. Its own bytes are the better witness: a JFIF marker and
/// subsampled chroma prove YCbCr (QuPath and Bio-Formats write such files), and Adobe's marker or the letters R, G, B
/// as component ids speak for themselves.
fn needs_mark(header: &Header, tables: Option<&Tables>, frame: &Frame) -> bool {
    let shared = tables.map(|tables| tables.header).unwrap_or_default();
    let told = header.jfif || shared.jfif || header.adobe.or(shared.adobe).is_some();
    !told && !frame.subsampled && frame.ids != *b"RGB"
}

/// The name of a kind of JPEG that is not decoded.
fn refuse(frame: &Frame) -> Option<SlideError> {
    let why = match frame {
        Frame { marker: 0xc3 | 0xc7 | 0xcb | 0xcf, .. } => "lossless JPEG".to_owned(),
        Frame { marker: 0xc5 | 0xc6 | 0xcd | 0xce, .. } => "hierarchical JPEG".to_owned(),
        Frame { marker: 0xc9 | 0xca, .. } => "JPEG with arithmetic coding".to_owned(),
        Frame { precision: 8, components: 1 | 3, .. } => return None,
        Frame { precision: 8, components, .. } => format!("JPEG of {components} components"),
        Frame { precision, .. } => format!("JPEG of {precision} bits"),
    };
    Some(SlideError::Unsupported(why))
}
