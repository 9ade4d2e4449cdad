//! What stands before the pixels of a JPEG of which only parts are decoded: kept as bytes, to be put before any part.

use crate::{ReadAt, SlideError, error::Result, limits::JPEG_HEAD_LEN_MAX};

/// The markers of a JPEG from SOI to the end of its first scan's header.
#[derive(Debug)]
pub(crate) struct Head {
    bytes: Box<[u8]>,
    /// Where in `bytes` the height stands, and the width behind it.
    size_at: usize,
    /// Width and height as the frame header says them; 0 or wrong where they do not fit.
    pub(crate) size: (u32, u32),
    /// MCUs of a restart interval; 0 where there are none.
    pub(crate) interval: u32,
    /// Width and height of an MCU in pixels.
    pub(crate) mcu: (u32, u32),
    /// Whether one scan of Huffman codes with all components follows, 8 bits a sample.
    pub(crate) plain: bool,
}

impl Head {
    /// Reads it from the `len` bytes at `offset`.
    pub(crate) fn read(source: &dyn ReadAt, offset: u64, len: u64) -> Result<Self> {
        let end = offset.checked_add(len).filter(|&end| end <= source.len());
        let end = end.ok_or_else(|| SlideError::Damaged("a JPEG lies outside the file".into()))?;
        // As a rule the first kilobytes have it all.
        for most in [4 << 10, JPEG_HEAD_LEN_MAX] {
            let mut bytes = vec![0; (end - offset).min(most) as usize];
            source.read_exact_at(&mut bytes, offset)?;
            if let Some(head) = Self::parse(bytes)? {
                return Ok(head);
            }
        }
        Err(damaged("its pixels do not begin where they must"))
    }

    /// Nothing where `bytes` end before the pixels begin.
    fn parse(mut bytes: Vec<u8>) -> Result<Option<Self>> {
        if !bytes.starts_with(&[0xff, 0xd8]) {
            return Err(damaged("it does not begin with SOI"));
        }
        let (mut at, mut interval, mut frame) = (2, 0, None);
        while let Some(&[fill, marker, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            if fill != 0xff || matches!(marker, 0 | 0xd0..=0xd9) {
                return Err(damaged("something else stands where a marker must be"));
            }
            if marker == 0xff {
                at += 1;
                continue;
            }
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            let Some(segment) = bytes.get(at + 4..end) else { return Ok(None) };
            match marker {
                0xdd => interval = segment.first_chunk().map_or(0, |number| u16::from_be_bytes(*number).into()),
                0xc4 | 0xc8 | 0xcc => {}
                0xc0..=0xcf => frame = Some((marker, at + 4, segment.to_vec())),
                0xda => {
                    let (marker, at, frame) = frame.ok_or_else(|| damaged("it has no frame header"))?;
                    let components = segment.first().copied();
                    bytes.truncate(end);
                    return Self::of(bytes, (marker, at, &frame), components, interval).map(Some);
                }
                _ => {}
            }
            at = end;
        }
        Ok(None)
    }

    fn of(bytes: Vec<u8>, (marker, at, frame): (u8, usize, &[u8]), scanned: Option<u8>, interval: u32) -> Result<Self> {
        let short = || damaged("its frame header is too short");
        let &[precision, h1, h0, w1, w0, components] = frame.first_chunk().ok_or_else(short)?;
        let listed = frame.get(6..6 + 3 * usize::from(components)).ok_or_else(short)?;
        let side = |shift: u8| {
            let most = listed.chunks_exact(3).map(|component| (component[1] >> shift) & 15).max().unwrap_or(1);
            // A scan of one component has blocks, however often it is sampled.
            8 * u32::from(if components == 1 { 1 } else { most.max(1) })
        };
        Ok(Self {
            bytes: bytes.into(),
            size_at: at + 1,
            size: (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into()),
            interval,
            mcu: (side(4), side(0)),
            plain: matches!(marker, 0xc0 | 0xc1) && precision == 8 && scanned == Some(components),
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        <[u8]>::len(&self.bytes) as u64
    }

    /// Its bytes, for a part of `width` × `height` pixels.
    pub(crate) fn sized(&self, width: u16, height: u16) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        bytes[self.size_at..self.size_at + 2].copy_from_slice(&height.to_be_bytes());
        bytes[self.size_at + 2..self.size_at + 4].copy_from_slice(&width.to_be_bytes());
        bytes
    }
}

fn damaged(why: &str) -> SlideError {
    SlideError::Damaged(format!("a level's JPEG: {why}"))
}
