//! JPEG as TIFF 6.0 first had it (section 22, compression 6): a tile is the bare scan, and all that a JPEG says before
//! its scan stands in tags. Only baseline JPEG was ever defined well enough to be read.

use super::{Pixels, YCbCr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Where the height stands in the head: behind SOI, the frame's marker, its length and the bits of a sample.
const HEIGHT_AT: usize = 7;
/// As of every baseline JPEG: a block of 64 samples takes a bit at the least, and chroma comes on top.
const PIXELS_PER_BYTE_MAX: usize = 512;

/// What the tags say of an image's tiles.
#[derive(Debug)]
pub(crate) struct OldJpeg {
    /// From SOI to the end of SOS.
    head: Box<[u8]>,
    ycbcr: Option<Box<YCbCr>>,
}

/// The tables of one component, as the tags lead to them.
#[derive(Debug)]
pub(crate) struct ComponentTables {
    /// 64 numbers in zigzag order.
    pub(crate) quantisation: Vec<u8>,
    /// 16 counts and the values that they count.
    pub(crate) dc: Vec<u8>,
    pub(crate) ac: Vec<u8>,
}

impl OldJpeg {
    /// Of tiles `width` pixels wide: grey of one component, or YCbCr of three.
    pub(crate) fn new(width: u16, restart_interval: u16, tables: &[ComponentTables], ycbcr: Option<YCbCr>) -> Self {
        let (across, down) = ycbcr.as_ref().map_or((1, 1), |ycbcr| (ycbcr.across, ycbcr.down));
        let mut head = vec![0xff, 0xd8];
        let mut segment = |marker: u8, bytes: &[u8]| {
            head.extend([0xff, marker]);
            head.extend((bytes.len() as u16 + 2).to_be_bytes());
            head.extend(bytes);
        };
        let mut frame = vec![8, 0, 0];
        frame.extend(width.to_be_bytes());
        frame.push(tables.len() as u8);
        let mut scan = vec![tables.len() as u8];
        for index in 0..tables.len() as u8 {
            let sampling = if index == 0 { (across << 4 | down) as u8 } else { 0x11 };
            frame.extend([index + 1, sampling, index]);
            scan.extend([index + 1, index << 4 | index]);
        }
        scan.extend([0, 63, 0]);
        segment(0xc0, &frame);
        for (index, component) in tables.iter().enumerate() {
            segment(0xdb, &[&[index as u8], &component.quantisation[..]].concat());
            segment(0xc4, &[&[index as u8], &component.dc[..]].concat());
            segment(0xc4, &[&[0x10 | index as u8], &component.ac[..]].concat());
        }
        if restart_interval > 0 {
            segment(0xdd, &restart_interval.to_be_bytes());
        }
        segment(0xda, &scan);
        Self { head: head.into(), ycbcr: ycbcr.map(Box::new) }
    }

    /// Samples of a pixel.
    pub(crate) fn count(&self) -> usize {
        if self.ycbcr.is_some() { 3 } else { 1 }
    }

    /// Decodes a tile to RGB.
    pub(crate) fn rgb(&self, scan: &[u8], width: usize, rows: usize) -> Result<Vec<u8>, String> {
        let size = Pixels { width, height: rows };
        if size.count() > scan.len() * PIXELS_PER_BYTE_MAX {
            return Err(format!("{} bytes cannot hold {width} × {rows} pixels", scan.len()));
        }
        // No EOI is put behind the scan: the decoder would take one that comes too early for the end of grey pixels.
        let mut jpeg = [&self.head, scan].concat();
        jpeg[HEIGHT_AT..HEIGHT_AT + 2].copy_from_slice(&(rows as u16).to_be_bytes());
        let colors = if self.ycbcr.is_some() { ColorSpace::YCbCr } else { ColorSpace::Luma };
        let options = DecoderOptions::default()
            .set_max_width(width)
            .set_max_height(rows)
            .set_strict_mode(true)
            .jpeg_set_out_colorspace(colors);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&jpeg), options);
        let samples = match catch_unwind(AssertUnwindSafe(|| decoder.decode())) {
            Ok(Ok(samples)) if samples.len() == size.count() * self.count() => samples,
            Ok(Ok(_)) => return Err("it has another size than its tags say".into()),
            Ok(Err(error)) => return Err(format!("{error:?}")),
            Err(_) => return Err("it contradicts its tags".into()),
        };
        Ok(match &self.ycbcr {
            None => samples.into_iter().flat_map(|grey| [grey; 3]).collect(),
            Some(ycbcr) => samples.as_chunks().0.iter().flat_map(|pixel| ycbcr.rgb(*pixel)).collect(),
        })
    }
}
