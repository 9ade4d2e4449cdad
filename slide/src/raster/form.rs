//! In which form an image's pixels lie in the file, from its tags. What is not read is refused here, by its name.

use super::{old, turned::Turn};
use crate::{
    Compression, SlideError,
    codec::{Alpha, Color, Layout, OldJpeg, Samples, YCbCr},
    error::Result,
    jpeg::{Tables, Tagged},
    limits::JPEG_TABLES_LEN_MAX,
    tiff::{Directory, Tiff, tags},
};

/// Most samples of a pixel, where they lie side by side.
const SAMPLES_MAX: u64 = 8;
/// Aperio's JPEG 2000 whose components are YCbCr, whatever the tags say; OpenSlide's reader is the source.
const APERIO_YCBCR: u64 = 33003;
const APERIO_RGB: u64 = 33005;

/// How a tile's bytes become pixels.
#[derive(Debug)]
pub(super) enum Form {
    Jpeg {
        tables: Option<Tables>,
        tagged: Tagged,
        inverted: bool,
    },
    Samples(Layout),
    Old(OldJpeg),
    /// Each sample of a pixel has tiles of its own, all first ones before all second ones.
    Planes {
        layout: Layout,
        tables: Option<Tables>,
    },
}

impl Form {
    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Jpeg { .. } => Compression::Jpeg,
            Self::Old(_) => Compression::OldJpeg,
            Self::Samples(layout) | Self::Planes { layout, .. } => layout.compression,
        }
    }

    /// Bytes of a tile's pixels, or of one plane of them, before they were packed.
    pub(super) fn raw_len(&self, width: u32, rows: u32) -> u64 {
        let (width, rows) = (width as usize, rows as usize);
        let len = match self {
            Self::Jpeg { tagged: Tagged::Grey, .. } => width * rows,
            Self::Jpeg { .. } => width * rows * 3,
            Self::Old(old) => width * rows * old.count(),
            Self::Samples(layout) => layout.raw_len(width, rows),
            Self::Planes { layout, .. } => layout.plane_len(width, rows),
        };
        len as u64
    }

    /// Most bytes that a tile may have beside those of its pixels. Pictures that could stand alone bring tables, profiles and
    /// comments along; codecs of bytes have next to nothing.
    pub(super) fn head_len_max(&self) -> u64 {
        match self.compression() {
            Compression::Jpeg | Compression::OldJpeg | Compression::Jpeg2000 | Compression::WebP => 64 << 10,
            _ => 4 << 10,
        }
    }

    /// Planes that are decoded; their tiles are listed one plane after the other.
    pub(super) fn planes(&self) -> usize {
        match self {
            Self::Planes { layout, .. } => layout.samples.wanted(),
            _ => 1,
        }
    }

    /// Reads the form of an image, whose tiles are so wide, from its tags.
    pub(super) fn read(tiff: &Tiff<'_>, directory: &Directory, tile_width: u32) -> Result<Self> {
        let tag = |tag, default| tiff.uint(directory, tag).map(|value| value.unwrap_or(default));
        let method = tag(tags::COMPRESSION, 1)?;
        let compression = compression(method)?;
        let count = tag(tags::SAMPLES_PER_PIXEL, 1)?;
        let bits = alike(tiff, directory, tags::BITS_PER_SAMPLE, count, 1)?;
        if alike(tiff, directory, tags::SAMPLE_FORMAT, count, 1)? != 1 {
            return Err(unsupported("samples that are signed or floating-point"));
        }
        let photometric = tag(tags::PHOTOMETRIC, if count < 3 { 1 } else { 2 })?;
        let planar = tag(tags::PLANAR_CONFIGURATION, 1)? == 2 && count > 1;
        if compression == Compression::OldJpeg {
            return old::read(tiff, directory, photometric, count, bits, tile_width).map(Self::Old);
        }
        if compression == Compression::Jpeg {
            if bits != 8 {
                return Err(unsupported(&format!("JPEG of {bits} bits")));
            }
            if !planar {
                return Self::jpeg(tiff, directory, photometric, count);
            }
        }
        let color = match (method, compression, photometric) {
            (APERIO_RGB, ..) => Color::Rgb,
            // Its components come with as many samples each, whatever the tags say of them.
            (APERIO_YCBCR, ..) | (_, Compression::Jpeg2000, 6) => Color::YCbCr(Box::new(YCbCr::full())),
            _ => color(tiff, directory, photometric, bits)?,
        };
        let own_bits = matches!(compression, Compression::Jpeg2000 | Compression::WebP);
        check(&color, compression, count, bits, planar)?;
        let color_count = color.count() as u64;
        let alpha = match tiff.uint(directory, tags::EXTRA_SAMPLES)? {
            Some(1) if count > color_count => Alpha::Associated,
            Some(2) if count > color_count => Alpha::Unassociated,
            _ => Alpha::Ignored,
        };
        let predicted = match tag(tags::PREDICTOR, 1)? {
            _ if own_bits || matches!(compression, Compression::None | Compression::PackBits) => false,
            1 => false,
            2 if !matches!(bits, 8 | 16) => return Err(unsupported(&format!("predictor 2 on samples of {bits} bits"))),
            2 if matches!(&color, Color::YCbCr(ycbcr) if ycbcr.is_subsampled()) => {
                return Err(unsupported("predictor 2 on subsampled YCbCr"));
            }
            2 => true,
            other => return Err(unsupported(&format!("predictor {other}"))),
        };
        let samples = Samples {
            count: count as usize,
            bits: if own_bits { 8 } else { bits as u32 },
            order: tiff.byte_order(),
            color,
            alpha,
        };
        // Only codecs of bytes know the order of bits: pictures of their own kind are as they are.
        let lowest_first = tag(tags::FILL_ORDER, 1)? == 2 && !own_bits && compression != Compression::Jpeg;
        let layout = Layout { compression, predicted, lowest_first, samples };
        match planar {
            true => Ok(Self::Planes { layout, tables: tables(tiff, directory)? }),
            false => Ok(Self::Samples(layout)),
        }
    }

    fn jpeg(tiff: &Tiff<'_>, directory: &Directory, photometric: u64, count: u64) -> Result<Self> {
        let tagged = match (photometric, count) {
            (0 | 1, 1) => Tagged::Grey,
            (2, 3) => Tagged::Rgb,
            (6, 3) => Tagged::YCbCr,
            _ => return Err(unsupported(&format!("JPEG of {count} samples of {}", photometric_name(photometric)))),
        };
        Ok(Self::Jpeg { tables: tables(tiff, directory)?, tagged, inverted: photometric == 0 })
    }

    /// How the pixels of a tile are turned before they are shown; see [`Turn`].
    pub(super) fn turn(&self, tiff: &Tiff<'_>, directory: &Directory, striped: bool) -> Result<Option<Turn>> {
        let orientation = tiff.uint(directory, tags::ORIENTATION)?.unwrap_or(1);
        let turn = Turn::of(orientation);
        match self {
            _ if turn.is_none() => Ok(None),
            _ if striped => Err(unsupported(&format!("strips turned or mirrored (Orientation {orientation})"))),
            // What OpenSlide decodes by itself it does not turn.
            Self::Jpeg { tagged: Tagged::Rgb | Tagged::YCbCr, .. } => Ok(None),
            Self::Samples(layout) if layout.compression == Compression::Jpeg2000 => Ok(None),
            _ => Ok(turn),
        }
    }
}

fn tables(tiff: &Tiff<'_>, directory: &Directory) -> Result<Option<Tables>> {
    let tables = tiff.bytes(directory, tags::JPEG_TABLES, JPEG_TABLES_LEN_MAX)?;
    tables.map(|bytes| Tables::parse(&bytes)).transpose()
}

/// Which samples a codec has, and of which width.
fn check(color: &Color, compression: Compression, count: u64, bits: u64, planar: bool) -> Result<()> {
    let name = color_name(color);
    let wide = matches!(color, Color::Grey | Color::GreyInverted | Color::Rgb);
    let readable = match (compression, bits) {
        // Samples of fewer bits come scaled, which indices must not be.
        (Compression::Jpeg2000, 1..=16) => bits == 8 || !matches!(color, Color::Palette(_)),
        (Compression::WebP, bits) => bits == 8 && matches!(color, Color::Rgb) && matches!(count, 3 | 4) && !planar,
        (_, 8) => true,
        (_, 16) => wide,
        (_, 1 | 2 | 4 | 12) => wide || (bits < 8 && matches!(color, Color::Palette(_))),
        _ => false,
    };
    if !readable {
        return Err(unsupported(&format!("{count} samples of {bits} bits of {name} by {compression}")));
    }
    let count_max = if planar { u64::MAX } else { SAMPLES_MAX };
    if !(color.count() as u64..=count_max).contains(&count) {
        return Err(unsupported(&format!("{count} samples a pixel of {name}")));
    }
    match color {
        Color::YCbCr(ycbcr) if ycbcr.is_subsampled() && (count != 3 || planar) => {
            Err(unsupported("subsampled YCbCr in planes or with more samples"))
        }
        _ => Ok(()),
    }
}

fn color(tiff: &Tiff<'_>, directory: &Directory, photometric: u64, bits: u64) -> Result<Color> {
    Ok(match photometric {
        0 => Color::GreyInverted,
        1 => Color::Grey,
        2 => Color::Rgb,
        3 => Color::Palette(palette(tiff, directory, bits)?),
        5 => match tiff.uint(directory, tags::INK_SET)? {
            None | Some(1) => Color::Cmyk,
            Some(other) => return Err(unsupported(&format!("other inks than CMYK (InkSet {other})"))),
        },
        6 => Color::YCbCr(Box::new(ycbcr(tiff, directory)?)),
        other => return Err(unsupported(&photometric_name(other))),
    })
}

/// The colours of a palette (tag 320): all reds, all greens, all blues, of 16 bits. Some writers fill only 8 of them;
/// libtiff takes it so where no number is larger.
fn palette(tiff: &Tiff<'_>, directory: &Directory, bits: u64) -> Result<Box<[[u8; 3]]>> {
    if !matches!(bits, 1 | 2 | 4 | 8) {
        return Err(unsupported(&format!("palette colours with indices of {bits} bits")));
    }
    let len = 1 << bits;
    let map = tiff.uints(directory, tags::COLOR_MAP, 3 << 8)?;
    if map.len() < 3 * len {
        return Err(SlideError::Damaged(format!("a palette of {len} colours has {} numbers", map.len())));
    }
    let shift = if map.iter().all(|&number| number < 256) { 0 } else { 8 };
    Ok((0..len).map(|index| [0, 1, 2].map(|channel| (map[channel * len + index] >> shift) as u8)).collect())
}

pub(super) fn ycbcr(tiff: &Tiff<'_>, directory: &Directory) -> Result<YCbCr> {
    let subsampling = tiff.uints(directory, tags::YCBCR_SUBSAMPLING, 2)?;
    let (across, down) = match subsampling[..] {
        [] => (2, 2),
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => (across as usize, down as usize),
        _ => return Err(unsupported(&format!("chroma subsampled by {subsampling:?}"))),
    };
    let coefficients = tiff.numbers(directory, tags::YCBCR_COEFFICIENTS)?;
    let coefficients = coefficients.filter(|[_, green, _]| *green > 0.0).unwrap_or([0.299, 0.587, 0.114]);
    let range = tiff.numbers(directory, tags::REFERENCE_BLACK_WHITE)?;
    let range = range.unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
    Ok(YCbCr::new((across, down), coefficients, range))
}

fn compression(number: u64) -> Result<Compression> {
    let name = match number {
        1 => return Ok(Compression::None),
        5 => return Ok(Compression::Lzw),
        6 => return Ok(Compression::OldJpeg),
        7 => return Ok(Compression::Jpeg),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        33003..=33005 | 34712 => return Ok(Compression::Jpeg2000),
        50000 => return Ok(Compression::Zstd),
        50001 => return Ok(Compression::WebP),
        2..=4 => "CCITT fax",
        9 | 10 | 34661 => "JBIG",
        34887 => "LERC",
        34925 => "LZMA",
        22610 | 34934 => "JPEG XR",
        50002 | 52546 => "JPEG XL",
        _ => "an unknown method",
    };
    Err(unsupported(&format!("compression by {name} (compression {number})")))
}

fn color_name(color: &Color) -> &'static str {
    match color {
        Color::Grey | Color::GreyInverted => "grey",
        Color::Rgb => "RGB",
        Color::Palette(_) => "palette colours",
        Color::YCbCr(_) => "YCbCr",
        Color::Cmyk => "CMYK",
    }
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
