//! A plain picture, a file of its own or a stretch of one, that is decoded as a whole: JPEG, PNG, JPEG 2000. Owns the
//! decoding; sizes and places come from who found the picture.

use super::{JpegPieces, cut::Pieces};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    codec::{Alpha, Color, Layout, Samples},
    error::Result,
    grid::Grid,
    jpeg,
    limits::{JPEG_2000_PICTURE_PIXELS_MAX, PICTURE_LEN_MAX, PICTURE_PIXELS_MAX},
    tiff::ByteOrder,
};
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};
use image::{ColorType, ImageDecoder, Limits, codecs::png::PngDecoder};
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How a picture is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Baseline or progressive.
    Jpeg,
    Png,
    /// A codestream, in JP2's boxes or without.
    Jpeg2000,
}

/// Where a picture is and what it claims to be.
#[derive(Debug)]
pub(crate) struct Picture {
    coding: Coding,
    width: u32,
    height: u32,
    offset: u64,
    len: usize,
}

impl Picture {
    /// A picture of this size in the `len` bytes at `offset`.
    pub(crate) fn new(coding: Coding, (width, height): (u32, u32), offset: u64, len: u64) -> Result<Self> {
        let pixels_max = match coding {
            Coding::Jpeg2000 => JPEG_2000_PICTURE_PIXELS_MAX,
            Coding::Jpeg | Coding::Png => PICTURE_PIXELS_MAX,
        };
        if width == 0 || height == 0 {
            return Err(SlideError::Damaged(format!("a picture of {width} × {height} pixels")));
        }
        if u64::from(width) * u64::from(height) > pixels_max || len > PICTURE_LEN_MAX {
            return Err(SlideError::Unsupported(format!(
                "a picture in one piece of {width} × {height} pixels in {len} bytes; up to {pixels_max} pixels in \
                 {PICTURE_LEN_MAX} bytes are read"
            )));
        }
        Ok(Self { coding, width, height, offset, len: len as usize })
    }

    fn whole_jpeg(&self, source: &dyn ReadAt) -> Result<(Vec<u8>, jpeg::Frame)> {
        let mut whole = Vec::new();
        let read = |bytes: &mut [u8]| Ok(source.read_exact_at(bytes, self.offset)?);
        // A file of its own tells its colours itself.
        let frame = jpeg::assemble(None, jpeg::Tagged::YCbCr, self.len, read, &mut whole)?;
        self.check_size(frame.width.into(), frame.height.into())?;
        // The decoder keeps all coefficients of those that come in several scans, which take twice the samples' room.
        if frame.marker == 0xc2 && u64::from(self.width) * u64::from(self.height) > PICTURE_PIXELS_MAX / 2 {
            let (width, height) = (self.width, self.height);
            return Err(SlideError::TooLarge(format!("a progressive JPEG of {width} × {height} pixels in one piece")));
        }
        Ok((whole, frame))
    }

    fn png(&self, source: &dyn ReadAt) -> Result<Rgb> {
        let wrong = |error: image::ImageError| damaged("PNG", &error.to_string());
        let bytes = self.read(source)?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(self.width);
        limits.max_image_height = Some(self.height);
        let decoder = PngDecoder::with_limits(Cursor::new(&bytes), limits).map_err(wrong)?;
        let (width, height) = decoder.dimensions();
        self.check_size(width, height)?;
        let color = decoder.color_type();
        let grey = matches!(color, ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
        let samples = Samples {
            count: color.channel_count().into(),
            bits: if color.bytes_per_pixel() > color.channel_count() { 16 } else { 8 },
            order: if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little },
            color: if grey { Color::Grey } else { Color::Rgb },
            alpha: if color.has_alpha() { Alpha::Unassociated } else { Alpha::Ignored },
        };
        let layout = Layout::plain(samples);
        let len = layout.raw_len(width as usize, height as usize) as u64;
        // Samples of 16 bits and alpha come on top of the pixels, which have three bytes.
        if len > PICTURE_PIXELS_MAX * 3 {
            return Err(SlideError::TooLarge(format!("a PNG picture of {len} bytes of samples")));
        }
        if decoder.total_bytes() != len {
            return Err(damaged("PNG", "its pixels have another size than its header says"));
        }
        let mut raw = vec![0; len as usize];
        decoder.read_image(&mut raw).map_err(wrong)?;
        let data = layout.rgb(raw, width as usize, height as usize)?;
        Ok(Rgb { width, height, data })
    }

    fn jpeg_2000(&self, source: &dyn ReadAt) -> Result<Rgb> {
        let bytes = self.read(source)?;
        let wrong = |why: &str| damaged("JPEG 2000", why);
        let decode = || -> Result<Rgb> {
            // What is missing must not turn into something that looks like tissue.
            let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
            let image = Image::new(&bytes, &settings).map_err(|error| wrong(&error.to_string()))?;
            let (width, height) = (image.width(), image.height());
            self.check_size(width, height)?;
            let color = match image.color_space() {
                ColorSpace::Gray | ColorSpace::Icc { num_channels: 1, .. } => Color::Grey,
                ColorSpace::RGB | ColorSpace::Icc { num_channels: 3, .. } => Color::Rgb,
                other => {
                    let count = other.num_channels();
                    return Err(SlideError::Unsupported(format!("a JPEG 2000 picture of {count} colours")));
                }
            };
            let count = image.color_space().num_channels() + u8::from(image.has_alpha());
            let alpha = if image.has_alpha() { Alpha::Unassociated } else { Alpha::Ignored };
            let samples = Samples { count: count.into(), bits: 8, order: ByteOrder::Big, color, alpha };
            let mut context = DecoderContext::default();
            let decoded = image.decode(&mut context).map_err(|error| wrong(&error.to_string()))?;
            let pixels = width as usize * height as usize;
            let alike = decoded.components().len() == samples.count
                && decoded.components().iter().all(|component| component.samples().len() == pixels);
            if !alike {
                return Err(wrong("its components have other sizes than its header says"));
            }
            let raw = decoded.data_u8();
            let data = Layout::plain(samples).rgb(raw, width as usize, height as usize)?;
            Ok(Rgb { width, height, data })
        };
        // Crafted streams may drive the decoder out of bounds: that is the picture's fault, not the caller's.
        catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(wrong("it contradicts itself")))
    }

    fn read(&self, source: &dyn ReadAt) -> Result<Vec<u8>> {
        // The source may have become shorter than it was: no room is made for what is not there.
        if self.offset.checked_add(self.len as u64).is_none_or(|end| end > source.len()) {
            return Err(SlideError::Damaged("a picture goes on beyond the file's end".into()));
        }
        let mut bytes = vec![0; self.len];
        source.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }

    fn check_size(&self, width: u32, height: u32) -> Result<()> {
        if (width, height) == (self.width, self.height) {
            return Ok(());
        }
        let (want_width, want_height) = (self.width, self.height);
        Err(SlideError::Damaged(format!("a picture of {width} × {height}, not of {want_width} × {want_height} pixels")))
    }
}

impl Pieces for Picture {
    fn compression(&self) -> Compression {
        match self.coding {
            Coding::Jpeg => Compression::Jpeg,
            Coding::Png => Compression::Png,
            Coding::Jpeg2000 => Compression::Jpeg2000,
        }
    }

    fn grid(&self) -> Grid {
        Grid::new(self.width, self.height, self.width, self.height)
    }

    fn decode(&self, source: &dyn ReadAt, _column: u32, _row: u32) -> Result<Rgb> {
        match self.coding {
            Coding::Jpeg => {
                let (whole, frame) = self.whole_jpeg(source)?;
                Ok(Rgb { width: self.width, height: self.height, data: jpeg::decode(&whole, &frame)? })
            }
            Coding::Png => self.png(source),
            Coding::Jpeg2000 => self.jpeg_2000(source),
        }
    }
}

impl JpegPieces for Picture {
    fn jpeg(&self, source: &dyn ReadAt, _column: u32, _row: u32) -> Result<(Vec<u8>, jpeg::Frame)> {
        self.whole_jpeg(source)
    }
}

fn damaged(what: &str, why: &str) -> SlideError {
    SlideError::Damaged(format!("a {what} picture: {why}"))
}
