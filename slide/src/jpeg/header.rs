//! The markers before a JPEG's pixels: how large it is, how it was coded, and in which colours.

use crate::{SlideError, error::Result};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// What the frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The marker's second byte, 0xc0 for baseline.
    pub(crate) marker: u8,
    /// Bits of a sample.
    pub(crate) precision: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// 1 for grey, 3 for colours.
    pub(crate) components: u8,
    /// The ids of the first three components.
    pub(crate) ids: [u8; 3],
    /// Whether a component has fewer samples than another.
    pub(crate) subsampled: bool,
}

impl Frame {
    /// Whether browsers show it: Huffman-coded, not progressive, 8 bits.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.marker, 0xc0 | 0xc1) && self.precision == 8 && matches!(self.components, 1 | 3)
    }
}

/// What the markers up to the first scan say; those of tables alone end with EOI and have no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header {
    pub(crate) frame: Option<Frame>,
    /// A JFIF marker, which stands for YCbCr or grey.
    pub(crate) jfif: bool,
    /// The colour transform in Adobe's marker: 0 none, 1 YCbCr, 2 YCCK.
    pub(crate) adobe: Option<u8>,
}

impl Header {
    /// Reads the markers of `bytes`, a JPEG or tables from SOI to EOI.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut header = Self::default();
        if bytes.first_chunk() != Some(&[0xff, SOI]) {
            return Err(damaged("it does not begin with SOI"));
        }
        let mut rest = &bytes[2..];
        loop {
            let (marker, after) = next_marker(rest)?;
            match marker {
                EOI => return Ok(header),
                SOI | 0xd0..=0xd7 => return Err(damaged("a marker stands where none may be")),
                _ => {}
            }
            let len = after.first_chunk().map_or(0, |len| usize::from(u16::from_be_bytes(*len)));
            let segment = after.get(2..len).ok_or_else(|| damaged("it ends inside a marker"))?;
            header.take(marker, segment)?;
            if marker == SOS {
                return Ok(header);
            }
            rest = &after[len..];
        }
    }

    fn take(&mut self, marker: u8, segment: &[u8]) -> Result<()> {
        match marker {
            // DHT, JPG and DAC lie among the frame headers.
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf if self.frame.is_some() => return Err(damaged("it has two frame headers")),
            0xc0..=0xcf => self.frame = Some(frame(marker, segment)?),
            0xe0 if segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xee if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
            _ => {}
        }
        Ok(())
    }
}

/// The marker at the start of `bytes`, and what follows it. Any number of 0xff may stand before a marker.
fn next_marker(bytes: &[u8]) -> Result<(u8, &[u8])> {
    let fill = bytes.iter().take_while(|&&byte| byte == 0xff).count();
    match bytes.get(fill) {
        Some(&marker) if fill > 0 && marker != 0 => Ok((marker, &bytes[fill + 1..])),
        Some(_) => Err(damaged("something else stands where a marker must be")),
        None => Err(damaged("it ends before its pixels")),
    }
}

fn frame(marker: u8, segment: &[u8]) -> Result<Frame> {
    let short = || damaged("its frame header is too short");
    let &[precision, h1, h0, w1, w0, components] = segment.first_chunk().ok_or_else(short)?;
    let listed = segment.get(6..6 + 3 * usize::from(components)).ok_or_else(short)?;
    let mut ids = [0; 3];
    for (id, component) in ids.iter_mut().zip(listed.chunks_exact(3)) {
        *id = component[0];
    }
    Ok(Frame {
        marker,
        precision,
        width: u16::from_be_bytes([w1, w0]),
        height: u16::from_be_bytes([h1, h0]),
        components,
        ids,
        subsampled: listed.chunks_exact(3).any(|component| component[1] != listed[1]),
    })
}

pub(crate) fn damaged(why: &str) -> SlideError {
    SlideError::Damaged(format!("a tile's JPEG: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOF0: &[u8] = &[0xff, 0xc0, 0, 17, 8, 0, 240, 1, 4, 3, 0, 0x22, 0, 1, 0x11, 1, 2, 0x11, 1];
    const SOS_SEGMENT: &[u8] = &[0xff, 0xda, 0, 12, 3, 0, 0, 1, 0x11, 2, 0x11, 0, 63, 0];
    const ADOBE: &[u8] = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01";
    const JFIF: &[u8] = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        [&[0xff, 0xd8][..], &parts.concat()].concat()
    }

    #[test]
    fn a_frame_and_the_witnesses_of_its_colours_are_read() {
        let header = Header::parse(&joined(&[ADOBE, JFIF, &[0xff, 0xff], SOF0, SOS_SEGMENT, &[1, 2, 3]])).unwrap();
        let frame = header.frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.components, frame.precision), (260, 240, 3, 8));
        assert_eq!((frame.ids, frame.subsampled, frame.is_plain()), ([0, 1, 2], true, true));
        assert_eq!((header.jfif, header.adobe), (true, Some(1)));
    }

    #[test]
    fn tables_alone_have_no_frame() {
        let dri = [0xff, 0xdd, 0, 4, 0, 1];
        assert_eq!(Header::parse(&joined(&[&dri, &[0xff, 0xd9]])).unwrap(), Header::default());
    }

    #[test]
    fn a_header_cut_off_anywhere_or_overwritten_is_damaged() {
        let whole = joined(&[ADOBE, SOF0, SOS_SEGMENT]);
        for len in 0..whole.len() {
            assert!(Header::parse(&whole[..len]).is_err(), "{len}");
        }
        let wrong = [joined(&[SOF0, SOF0, SOS_SEGMENT]), joined(&[&[0], SOF0]), joined(&[&[0xff, 0xd8], SOF0])];
        for bytes in wrong {
            assert!(Header::parse(&bytes).is_err(), "{bytes:?}");
        }
    }
}
