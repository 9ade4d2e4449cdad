//! Small TIFFs of every form, written for tests by the book and independently of the reader.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod jpeg2000;
pub mod memory;
pub mod pixels;
pub mod shared;

use flate2::{Compression, write::ZlibEncoder};
use microtome_slide::Rgb;
use std::io::Write;
use weezl::{BitOrder, encode::Encoder};

pub const NONE: u16 = 1;
pub const LZW: u16 = 5;
pub const JPEG: u16 = 7;
pub const DEFLATE: u16 = 8;
pub const PACKBITS: u16 = 32773;
pub const OLD_DEFLATE: u16 = 32946;
pub const ZSTD: u16 = 50000;
pub const WEBP: u16 = 50001;

/// The values of a field.
#[derive(Debug, Clone)]
pub enum Value {
    Short(Vec<u16>),
    Long(Vec<u32>),
    /// Written as LONG in classic files.
    Offset(Vec<u64>),
    Text(String),
    Bytes(Vec<u8>),
    Ratio(u32, u32),
}

/// The kind of file.
#[derive(Debug, Clone, Copy)]
pub struct File {
    pub big_endian: bool,
    pub big: bool,
}

/// All four kinds of file.
pub const FILES: [File; 4] = [
    File { big_endian: false, big: false },
    File { big_endian: true, big: false },
    File { big_endian: false, big: true },
    File { big_endian: true, big: true },
];

/// One image: its fields and the packed bytes of its tiles or strips.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub fields: Vec<(u16, Value)>,
    pub tiles: Vec<Vec<u8>>,
    pub striped: bool,
}

impl Image {
    /// Replaces or adds a field.
    pub fn with(mut self, tag: u16, value: Value) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self.fields.push((tag, value));
        self
    }

    pub fn without(mut self, tag: u16) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self
    }

    pub fn described(self, text: &str) -> Self {
        self.with(270, Value::Text(text.into()))
    }
}

impl File {
    fn number(self, value: u64, len: usize) -> Vec<u8> {
        match self.big_endian {
            true => value.to_be_bytes()[8 - len..].to_vec(),
            false => value.to_le_bytes()[..len].to_vec(),
        }
    }

    fn offset_len(self) -> usize {
        if self.big { 8 } else { 4 }
    }

    /// The type, the count and the bytes of a value.
    fn value(self, value: &Value) -> (u16, u64, Vec<u8>) {
        let numbers = |values: Vec<u64>, len| values.iter().flat_map(|&v| self.number(v, len)).collect::<Vec<u8>>();
        match value {
            Value::Short(v) => (3, v.len() as u64, numbers(v.iter().map(|&v| v.into()).collect(), 2)),
            Value::Long(v) => (4, v.len() as u64, numbers(v.iter().map(|&v| v.into()).collect(), 4)),
            Value::Offset(v) if self.big => (16, v.len() as u64, numbers(v.clone(), 8)),
            Value::Offset(v) => (4, v.len() as u64, numbers(v.clone(), 4)),
            Value::Text(text) => (2, text.len() as u64 + 1, [text.as_bytes(), &[0]].concat()),
            Value::Bytes(bytes) => (7, bytes.len() as u64, bytes.clone()),
            Value::Ratio(a, b) => (5, 1, [self.number((*a).into(), 4), self.number((*b).into(), 4)].concat()),
        }
    }

    /// The header, with the place of the first directory.
    pub fn header(self, first: u64) -> Vec<u8> {
        let mut out = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        out.extend(self.number(if self.big { 43 } else { 42 }, 2));
        if self.big {
            out.extend(self.number(8, 2));
            out.extend(self.number(0, 2));
        }
        out.extend(self.number(first, self.offset_len()));
        out
    }

    /// A directory at `at` with its values behind it, and `next` as the place of the next.
    pub fn directory(self, fields: &[(u16, Value)], at: u64, next: u64) -> Vec<u8> {
        let (count_len, field_len) = if self.big { (8, 20) } else { (2, 12) };
        let mut fields = fields.to_vec();
        fields.sort_by_key(|(tag, _)| *tag);
        let mut behind = at + (count_len + field_len * fields.len() + self.offset_len()) as u64;
        let (mut out, mut values) = (self.number(fields.len() as u64, count_len), Vec::new());
        for (tag, value) in &fields {
            let (kind, count, bytes) = self.value(value);
            out.extend(self.number((*tag).into(), 2));
            out.extend(self.number(kind.into(), 2));
            out.extend(self.number(count, self.offset_len()));
            if bytes.len() <= self.offset_len() {
                out.extend(&bytes);
                out.resize(out.len() + self.offset_len() - bytes.len(), 0);
            } else {
                out.extend(self.number(behind, self.offset_len()));
                behind += bytes.len() as u64;
                values.extend(bytes);
            }
        }
        out.extend(self.number(next, self.offset_len()));
        out.extend(values);
        out
    }

    /// A file of these images. An empty tile gets no bytes: place and length 0.
    pub fn write(self, images: &[Image]) -> Vec<u8> {
        let mut out = self.header(0);
        let mut directories = Vec::new();
        for image in images {
            let (mut offsets, mut lens) = (Vec::new(), Vec::new());
            for tile in &image.tiles {
                offsets.push(if tile.is_empty() { 0 } else { out.len() as u64 });
                lens.push(tile.len() as u64);
                out.extend(tile);
            }
            let tags = if image.striped { (273, 279) } else { (324, 325) };
            let mut fields = image.fields.clone();
            let mut add = |tag: u16, value: Vec<u64>| {
                if !fields.iter().any(|(other, _)| *other == tag) {
                    fields.push((tag, Value::Offset(value)));
                }
            };
            add(tags.0, offsets);
            add(tags.1, lens);
            directories.push(fields);
        }
        let first = out.len() as u64;
        let len = self.header(0).len();
        out[..len].copy_from_slice(&self.header(first));
        for (index, fields) in directories.iter().enumerate() {
            let at = out.len() as u64;
            let size = self.directory(fields, at, 0).len() as u64;
            let next = if index + 1 < directories.len() { at + size } else { 0 };
            out.extend(self.directory(fields, at, next));
        }
        out
    }
}

/// Tiles or strips to be written from a picture.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub tile_width: u32,
    /// Rows of a strip where `striped`.
    pub tile_height: u32,
    pub striped: bool,
    pub compression: u16,
    pub predictor: bool,
    /// Samples of 16 bits.
    pub wide: bool,
    /// Whether JPEG tiles hold YCbCr 4:2:0, and not RGB.
    pub ycbcr: bool,
    /// Whether red, green and blue have tiles of their own.
    pub planar: bool,
}

impl Form {
    pub fn tiles(compression: u16, side: u32) -> Self {
        Self {
            tile_width: side,
            tile_height: side,
            striped: false,
            compression,
            predictor: false,
            wide: false,
            ycbcr: false,
            planar: false,
        }
    }

    pub fn strips(compression: u16, rows: u32) -> Self {
        Self { tile_height: rows, striped: true, ..Self::tiles(compression, 0) }
    }
}

/// An image of `picture` in this form, in the byte order of `file`.
pub fn image(file: File, picture: &Rgb, form: Form) -> Image {
    let tile_width = if form.striped { picture.width } else { form.tile_width };
    let (mut tiles, mut tables) = (Vec::new(), None);
    let planes = if form.planar { 3 } else { 1 };
    for plane in 0..planes {
        for y in (0..picture.height).step_by(form.tile_height as usize) {
            for x in (0..picture.width).step_by(tile_width as usize) {
                let rows = if form.striped { form.tile_height.min(picture.height - y) } else { form.tile_height };
                let tile = stretched(picture, x, y, tile_width, rows);
                if form.compression == JPEG {
                    let (shared, body) = match form.planar {
                        true => pixels::jpeg_plane(&tile, plane),
                        false => pixels::jpeg_tile(&tile, form.ycbcr),
                    };
                    assert!(tables.is_none() || tables.as_ref() == Some(&shared));
                    tables = Some(shared);
                    tiles.push(body);
                } else if form.compression == WEBP {
                    tiles.push(pixels::webp(&tile));
                } else if form.planar {
                    let samples: Vec<u8> = tile.data.iter().copied().skip(plane).step_by(3).collect();
                    tiles.push(pack(file, &samples, (tile.width as usize, 1), form));
                } else {
                    tiles.push(pack(file, &tile.data, (tile.width as usize, 3), form));
                }
            }
        }
    }
    let short = |value| Value::Short(vec![value]);
    let mut image = Image { fields: Vec::new(), tiles, striped: form.striped }
        .with(256, Value::Long(vec![picture.width]))
        .with(257, Value::Long(vec![picture.height]))
        .with(258, Value::Short(vec![if form.wide { 16 } else { 8 }; 3]))
        .with(259, short(form.compression))
        .with(262, short(if form.ycbcr { 6 } else { 2 }))
        .with(277, short(3));
    if form.planar {
        image = image.with(284, short(2));
    }
    image = match form.striped {
        true => image.with(278, Value::Long(vec![form.tile_height])),
        false => image.with(322, Value::Long(vec![tile_width])).with(323, Value::Long(vec![form.tile_height])),
    };
    if form.predictor {
        image = image.with(317, short(2));
    }
    match tables {
        Some(tables) => image.with(347, Value::Bytes(tables)),
        None => image,
    }
}

/// A part of the picture; beyond its edges the last pixels repeat, as scanners pad.
fn stretched(picture: &Rgb, x: u32, y: u32, width: u32, height: u32) -> Rgb {
    let mut data = Vec::new();
    for row in y..y + height {
        for column in x..x + width {
            data.extend(pixels::at(picture, column.min(picture.width - 1), row.min(picture.height - 1)));
        }
    }
    Rgb { width, height, data }
}

fn pack(file: File, samples: &[u8], (width, count): (usize, usize), form: Form) -> Vec<u8> {
    let mut raw = Vec::new();
    for row in samples.chunks_exact(width * count) {
        // 257 × v is the 16-bit sample that comes back as v.
        let samples: Vec<u16> = row.iter().map(|&v| if form.wide { u16::from(v) * 257 } else { v.into() }).collect();
        for (index, &sample) in samples.iter().enumerate() {
            let left = if form.predictor && index >= count { samples[index - count] } else { 0 };
            let stored = sample.wrapping_sub(left);
            raw.extend(
                file.number(u64::from(if form.wide { stored } else { stored & 0xff }), if form.wide { 2 } else { 1 }),
            );
        }
    }
    compress(&raw, form.compression)
}

pub fn compress(raw: &[u8], compression: u16) -> Vec<u8> {
    match compression {
        LZW => Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(raw).unwrap(),
        DEFLATE | OLD_DEFLATE => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(raw).unwrap();
            encoder.finish().unwrap()
        }
        PACKBITS => packbits(raw),
        ZSTD => ruzstd::encoding::compress_to_vec(raw, ruzstd::encoding::CompressionLevel::Fastest),
        _ => raw.to_vec(),
    }
}

/// Runs of what repeats, and the rest in pieces as it is.
fn packbits(raw: &[u8]) -> Vec<u8> {
    let (mut packed, mut rest) = (Vec::new(), raw);
    while let Some(first) = rest.first() {
        let same = rest.iter().take(128).take_while(|byte| *byte == first).count();
        let differing = rest.windows(2).take(127).take_while(|pair| pair[0] != pair[1]).count().max(1);
        if same > 1 {
            packed.extend([(257 - same) as u8, *first]);
            rest = &rest[same..];
        } else {
            packed.push(differing as u8 - 1);
            packed.extend(&rest[..differing]);
            rest = &rest[differing..];
        }
    }
    packed
}

/// Where a value of a field lies in a little-endian classic file: for tests that overwrite it.
pub fn field_at(file: &[u8], directory: usize, tag: u16) -> usize {
    let u16_at = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = u32_at(4);
    for _ in 0..directory {
        at = u32_at(at + 2 + 12 * usize::from(u16_at(at)));
    }
    let fields = (0..usize::from(u16_at(at))).map(|index| at + 2 + index * 12);
    fields.into_iter().find(|&at| u16_at(at) == tag).expect("the field is there") + 8
}
