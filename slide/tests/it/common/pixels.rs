//! Pictures for tests, how far they are apart, and JPEG tiles of them.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use microtome_slide::{Rgb, Slide};
use std::sync::Arc;

/// A picture whose pixels all differ from their neighbours, smooth enough for JPEG.
pub fn picture(width: u32, height: u32) -> Rgb {
    let wave = |a: u32, period: f64| (127.0 + 100.0 * (f64::from(a) / period).sin()) as u8;
    let data = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [wave(x, 9.0), wave(y, 11.0), wave(x + 2 * y, 17.0)]))
        .collect();
    Rgb { width, height, data }
}

/// The picture made smaller by a whole number, each pixel the mean of a square, rounded down in size.
pub fn smaller(picture: &Rgb, by: u32) -> Rgb {
    let (width, height) = (picture.width / by, picture.height / by);
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let square = (0..by * by).map(|i| u32::from(at(picture, x * by + i % by, y * by + i / by)[channel]));
                data.push(((square.sum::<u32>() + by * by / 2) / (by * by)) as u8);
            }
        }
    }
    Rgb { width, height, data }
}

pub fn at(picture: &Rgb, x: u32, y: u32) -> [u8; 3] {
    let start = (y as usize * picture.width as usize + x as usize) * 3;
    picture.data[start..start + 3].try_into().unwrap()
}

/// The mean absolute difference of two pictures of one size.
pub fn difference(a: &Rgb, b: &Rgb) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: u64 = a.data.iter().zip(&b.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.data.len() as f64
}

/// The largest difference of a sample in two pictures of one size.
pub fn farthest(a: &Rgb, b: &Rgb) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// A JPEG of RGB components, or of YCbCr 4:2:0, with JFIF's marker.
pub fn jpeg(picture: &Rgb, ycbcr: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 92);
    encoder.set_sampling_factor(if ycbcr { SamplingFactor::F_2_2 } else { SamplingFactor::F_1_1 });
    // Told that red, green and blue are YCbCr already, the encoder leaves them as they are.
    let color = if ycbcr { ColorType::Rgb } else { ColorType::Ycbcr };
    encoder.encode(&picture.data, picture.width as u16, picture.height as u16, color).unwrap();
    out
}

/// A tile as Aperio's scanners write it: the shared tables, and a JPEG without tables and APPn markers.
pub fn jpeg_tile(picture: &Rgb, ycbcr: bool) -> (Vec<u8>, Vec<u8>) {
    split(&jpeg(picture, ycbcr))
}

/// The same of one of the picture's channels alone.
pub fn jpeg_plane(picture: &Rgb, channel: usize) -> (Vec<u8>, Vec<u8>) {
    let samples: Vec<u8> = picture.data.iter().copied().skip(channel).step_by(3).collect();
    let mut out = Vec::new();
    let encoder = Encoder::new(&mut out, 92);
    encoder.encode(&samples, picture.width as u16, picture.height as u16, ColorType::Luma).unwrap();
    split(&out)
}

/// A WebP without loss.
pub fn webp(picture: &Rgb) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut out);
    encoder.encode(&picture.data, picture.width, picture.height, image_webp::ColorType::Rgb8).unwrap();
    out
}

/// The tables of a JPEG from SOI to EOI, and the JPEG without them.
fn split(jpeg: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut tables, mut body, mut at) = (vec![0xff, 0xd8], vec![0xff, 0xd8], 2);
    loop {
        let (marker, len) = (jpeg[at + 1], 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]])));
        let segment = &jpeg[at..at + len];
        match marker {
            0xdb | 0xc4 => tables.extend(segment),
            0xe0..=0xef | 0xfe => {}
            0xda => {
                tables.extend([0xff, 0xd9]);
                body.extend(&jpeg[at..]);
                return (tables, body);
            }
            _ => body.extend(segment),
        }
        at += len;
    }
}

/// Decodes a whole JPEG as the slide reader does a picture of its own: what parts of it are held against.
pub fn read_jpeg(bytes: &[u8]) -> Rgb {
    let slide = Slide::open(Arc::new(bytes.to_vec())).unwrap();
    let level = &slide.levels()[0];
    slide.region(0, 0, 0, level.width as u32, level.height as u32).unwrap()
}

/// Whether two decoders may have made these pictures of one JPEG: they round in their own ways, and fill in subsampled
/// colours by different means.
pub fn alike(a: &Rgb, b: &Rgb) -> bool {
    farthest(a, b) <= 8 && difference(a, b) < 0.5
}

/// Decodes a whole JPEG by another decoder, as a browser would.
pub fn decode_jpeg(bytes: &[u8]) -> Rgb {
    use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let data = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    Rgb { width: width as u32, height: height as u32, data }
}

pub fn decode_png(bytes: &[u8]) -> Rgb {
    let image = image::load_from_memory(bytes).unwrap().to_rgb8();
    Rgb { width: image.width(), height: image.height(), data: image.into_raw() }
}
