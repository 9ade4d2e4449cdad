//! In which form an image's pixels lie in the file, from its tags. What is not read is refused here, by its name.

use crate::{
    Compression, SlideError,
    codec::{Alpha, Color, Samples},
    error::Result,
    jpeg::{Tables, Tagged},
    limits::JPEG_TABLES_LEN_MAX,
    tiff::{Directory, Tiff, tags},
};

/// How a tile's bytes become pixels.
#[derive(Debug)]
pub(super) enum Form {
    Jpeg { tables: Option<Tables>, tagged: Tagged, inverted: bool },
    Samples { compression: Compression, samples: Samples, predicted: bool },
}

impl Form {
    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Jpeg { .. } => Compression::Jpeg,
            Self::Samples { compression, .. } => *compression,
        }
    }

    /// Bytes of a pixel before it was packed.
    pub(super) fn pixel_len(&self) -> usize {
        match self {
            Self::Jpeg { tagged: Tagged::Grey, .. } => 1,
            Self::Jpeg { .. } => 3,
            Self::Samples { samples, .. } => samples.pixel_len(),
        }
    }

    /// Reads the form of an image from its tags.
    pub(super) fn read(tiff: &Tiff<'_>, directory: &Directory) -> Result<Self> {
        let tag = |tag, default| tiff.uint(directory, tag).map(|value| value.unwrap_or(default));
        let compression = compression(tag(tags::COMPRESSION, 1)?)?;
        let count = tag(tags::SAMPLES_PER_PIXEL, 1)?;
        if tag(tags::PLANAR_CONFIGURATION, 1)? == 2 && count > 1 {
            return Err(unsupported("colours in separate planes"));
        }
        if tag(tags::FILL_ORDER, 1)? != 1 {
            return Err(unsupported("the lowest bit first (FillOrder 2)"));
        }
        // 0 is written by some and means nothing.
        let orientation = tag(tags::ORIENTATION, 1)?;
        if orientation > 1 {
            return Err(unsupported(&format!("rows and columns turned or mirrored (Orientation {orientation})")));
        }
        let bits = alike(tiff, directory, tags::BITS_PER_SAMPLE, count, 1)?;
        if alike(tiff, directory, tags::SAMPLE_FORMAT, count, 1)? != 1 {
            return Err(unsupported("samples that are signed or floating-point"));
        }
        let photometric = tag(tags::PHOTOMETRIC, if count < 3 { 1 } else { 2 })?;
        if compression == Compression::Jpeg {
            return Self::jpeg(tiff, directory, photometric, count, bits);
        }
        let color = match photometric {
            0 => Color::GreyInverted,
            1 => Color::Grey,
            2 => Color::Rgb,
            other => return Err(unsupported(&format!("{} with {compression} compression", photometric_name(other)))),
        };
        if !matches!(bits, 8 | 16) {
            return Err(unsupported(&format!("samples of {bits} bits")));
        }
        let color_count = if color == Color::Rgb { 3 } else { 1 };
        if !(color_count..=8).contains(&count) {
            return Err(unsupported(&format!("{count} samples a pixel of {}", photometric_name(photometric))));
        }
        let alpha = match tiff.uint(directory, tags::EXTRA_SAMPLES)? {
            Some(1) if count > color_count => Alpha::Associated,
            Some(2) if count > color_count => Alpha::Unassociated,
            _ => Alpha::Ignored,
        };
        let samples = Samples { count: count as usize, wide: bits == 16, order: tiff.byte_order(), color, alpha };
        let predicted = match tag(tags::PREDICTOR, 1)? {
            _ if compression == Compression::None => false,
            1 => false,
            2 => true,
            other => return Err(unsupported(&format!("predictor {other}"))),
        };
        Ok(Self::Samples { compression, samples, predicted })
    }

    fn jpeg(tiff: &Tiff<'_>, directory: &Directory, photometric: u64, count: u64, bits: u64) -> Result<Self> {
        if bits != 8 {
            return Err(unsupported(&format!("JPEG of {bits} bits")));
        }
        let tagged = match (photometric, count) {
            (0 | 1, 1) => Tagged::Grey,
            (2, 3) => Tagged::Rgb,
            (6, 3) => Tagged::YCbCr,
            _ => return Err(unsupported(&format!("JPEG of {count} samples of {}", photometric_name(photometric)))),
        };
        let tables = tiff.bytes(directory, tags::JPEG_TABLES, JPEG_TABLES_LEN_MAX)?;
        let tables = tables.map(|bytes| Tables::parse(&bytes)).transpose()?;
        Ok(Self::Jpeg { tables, tagged, inverted: photometric == 0 })
    }
}

fn compression(number: u64) -> Result<Compression> {
    let name = match number {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        7 => return Ok(Compression::Jpeg),
        8 | 32946 => return Ok(Compression::Deflate),
        2..=4 => "CCITT fax",
        6 => "old-style JPEG",
        9 | 10 | 34661 => "JBIG",
        32773 => "PackBits",
        33003..=33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        22610 | 34934 => "JPEG XR",
        50000 => "Zstandard",
        50001 => "WebP",
        50002 => "JPEG XL",
        _ => "an unknown method",
    };
    Err(unsupported(&format!("compression by {name} (compression {number})")))
}

fn photometric_name(number: u64) -> String {
    match number {
        0 | 1 => "grey".into(),
        2 => "RGB".into(),
        3 => "palette colours".into(),
        4 => "a transparency mask".into(),
        5 => "CMYK".into(),
        6 => "YCbCr".into(),
        8..=10 => "CIE Lab".into(),
        other => format!("photometric interpretation {other}"),
    }
}

/// The number that a field has for each sample, which must be the same for all.
fn alike(tiff: &Tiff<'_>, directory: &Directory, tag: u16, count: u64, default: u64) -> Result<u64> {
    // Some writers give it once for all samples, some for more than there are.
    let values = tiff.uints(directory, tag, 64)?;
    let values = &values[..values.len().min(count as usize)];
    let first = values.first().copied().unwrap_or(default);
    match values.iter().all(|&value| value == first) {
        true => Ok(first),
        false => Err(unsupported("samples of different kinds in one pixel")),
    }
}

pub(super) fn unsupported(what: &str) -> SlideError {
    SlideError::Unsupported(format!("an image with {what}"))
}
