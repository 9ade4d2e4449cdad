//! A TIFF file as Aperio's scanners lay it out, written as a stream: pictures' data as they come, directories at the end.
//!
//! Owns offsets and tags. The file becomes a BigTIFF by itself when its offsets no longer fit into 32 bits; the room that
//! either header needs is left free at the start.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use weezl::{BitOrder, encode::Encoder};

use super::jpeg::Coder;
use super::planes::Planes;

const HEADER_BYTES: u64 = 16;
/// Rows of a strip, as Aperio has it in thumbnails and macros.
const STRIP_ROWS: u32 = 16;

/// Where a tile or strip lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    offset: u64,
    length: u32,
}

/// The file being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    end: u64,
    directories: Vec<Directory>,
}

enum Value {
    Short(Vec<u16>),
    Long(Vec<u32>),
    /// 32 or 64 bits each, whichever kind of file it becomes.
    Offsets(Vec<u64>),
    Text(String),
    Bytes(Vec<u8>),
}

struct Directory(Vec<(u16, Value)>);

/// What all pictures have, by the numbers of TIFF 6.0 and, for 347, of the TIFF Technical Note 2.
fn picture(size: (u64, u64), subfile: u32, compression: u16, description: String) -> Vec<(u16, Value)> {
    vec![
        (254, Value::Long(vec![subfile])),
        (256, Value::Long(vec![size.0 as u32])),
        (257, Value::Long(vec![size.1 as u32])),
        (258, Value::Short(vec![8, 8, 8])),
        (259, Value::Short(vec![compression])),
        (262, Value::Short(vec![2])),
        (270, Value::Text(description)),
        (277, Value::Short(vec![3])),
        (284, Value::Short(vec![1])),
        (32997, Value::Long(vec![1])),
    ]
}

const JPEG: u16 = 7;
const LZW: u16 = 5;

impl Writer {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&[0; HEADER_BYTES as usize])?;
        Ok(Writer { file, end: HEADER_BYTES, directories: Vec::new() })
    }

    /// Appends a tile's or a strip's data.
    pub(super) fn append(&mut self, data: &[u8]) -> io::Result<Place> {
        let place = Place { offset: self.end, length: data.len() as u32 };
        self.file.write_all(data)?;
        self.end += data.len() as u64;
        Ok(place)
    }

    /// Adds the directory of a level whose tiles were appended, row by row in `places`.
    pub(super) fn add_level(
        &mut self,
        size: (u64, u64),
        tile: u32,
        places: &[Place],
        coder: &Coder,
        description: String,
    ) {
        let mut entries = picture(size, 0, JPEG, description);
        entries.push((322, Value::Short(vec![tile as u16])));
        entries.push((323, Value::Short(vec![tile as u16])));
        entries.push((324, Value::Offsets(places.iter().map(|place| place.offset).collect())));
        entries.push((325, Value::Long(places.iter().map(|place| place.length).collect())));
        entries.push((347, Value::Bytes(coder.tables().to_vec())));
        self.add(entries);
    }

    /// Adds a picture in strips of JPEG.
    pub(super) fn add_strips(
        &mut self,
        planes: &Planes,
        subfile: u32,
        coder: &Coder,
        description: String,
    ) -> io::Result<()> {
        let mut entries = picture((planes.width.into(), planes.height.into()), subfile, JPEG, description);
        entries.push((347, Value::Bytes(coder.tables().to_vec())));
        self.append_strips(planes, entries, |strip| coder.encode(strip))
    }

    /// Adds a picture in strips of LZW with horizontal prediction, as Aperio stores labels.
    pub(super) fn add_lossless(&mut self, planes: &Planes, subfile: u32, description: String) -> io::Result<()> {
        let mut entries = picture((planes.width.into(), planes.height.into()), subfile, LZW, description);
        entries.push((317, Value::Short(vec![2])));
        self.append_strips(planes, entries, |strip| {
            let mut data = Vec::with_capacity(strip.channels[0].len() * 3);
            for y in 0..strip.height {
                let mut last = [0; 3];
                for x in 0..strip.width {
                    let pixel = strip.get(x, y);
                    data.extend((0..3).map(|channel| pixel[channel].wrapping_sub(last[channel])));
                    last = pixel;
                }
            }
            Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&data).map_err(io::Error::other)
        })
    }

    fn append_strips(
        &mut self,
        planes: &Planes,
        mut entries: Vec<(u16, Value)>,
        encode: impl Fn(&Planes) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        let mut places = Vec::new();
        for from in (0..planes.height).step_by(STRIP_ROWS as usize) {
            let strip = planes.rows(from, (from + STRIP_ROWS).min(planes.height));
            places.push(self.append(&encode(&strip)?)?);
        }
        entries.push((273, Value::Offsets(places.iter().map(|place| place.offset).collect())));
        entries.push((278, Value::Long(vec![STRIP_ROWS])));
        entries.push((279, Value::Long(places.iter().map(|place| place.length).collect())));
        self.add(entries);
        Ok(())
    }

    fn add(&mut self, mut entries: Vec<(u16, Value)>) {
        entries.sort_by_key(|(tag, _)| *tag);
        self.directories.push(Directory(entries));
    }

    /// Writes the directories and the header, and returns the file's length in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let start = self.end.next_multiple_of(8);
        let classic = Form { big: false };
        let (bytes, first) = match classic.lay_out(&self.directories, start) {
            (bytes, first) if start + bytes.len() as u64 <= u64::from(u32::MAX) => (bytes, classic.header(first)),
            _ => {
                let big = Form { big: true };
                let (bytes, first) = big.lay_out(&self.directories, start);
                (bytes, big.header(first))
            }
        };
        self.file.write_all(&[0; 8][..(start - self.end) as usize])?;
        self.file.write_all(&bytes)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&first)?;
        self.file.flush()?;
        Ok(start + bytes.len() as u64)
    }
}

/// Classic TIFF or BigTIFF, little-endian.
struct Form {
    big: bool,
}

impl Form {
    fn header(&self, first: u64) -> Vec<u8> {
        let mut header = b"II".to_vec();
        if self.big {
            header.extend([43, 0, 8, 0, 0, 0]);
        } else {
            header.extend([42, 0]);
        }
        self.put_offset(&mut header, first);
        header
    }

    /// An offset or count in the form's width; what does not fit is cut, and [`Writer::finish`] takes the other form.
    fn put_offset(&self, out: &mut Vec<u8>, value: u64) {
        let bytes = value.to_le_bytes();
        out.extend_from_slice(if self.big { &bytes } else { &bytes[..4] });
    }

    /// The directories' bytes as they lie from `start`, each behind its long values, and where the first one begins.
    fn lay_out(&self, directories: &[Directory], start: u64) -> (Vec<u8>, u64) {
        let mut out = Vec::new();
        let mut first = 0;
        let mut link: Option<usize> = None;
        for Directory(entries) in directories {
            let mut table = Vec::new();
            for (tag, value) in entries {
                self.put_entry(&mut table, &mut out, start, *tag, value);
            }
            out.resize(out.len().next_multiple_of(8), 0);
            let here = start + out.len() as u64;
            match link {
                None => first = here,
                Some(at) => {
                    let mut bytes = Vec::new();
                    self.put_offset(&mut bytes, here);
                    out[at..at + bytes.len()].copy_from_slice(&bytes);
                }
            }
            let count = (entries.len() as u64).to_le_bytes();
            out.extend_from_slice(if self.big { &count } else { &count[..2] });
            out.extend_from_slice(&table);
            link = Some(out.len());
            self.put_offset(&mut out, 0);
        }
        (out, first)
    }

    fn put_entry(&self, table: &mut Vec<u8>, out: &mut Vec<u8>, start: u64, tag: u16, value: &Value) {
        let mut data = Vec::new();
        let (kind, count): (u16, usize) = match value {
            Value::Short(values) => {
                values.iter().for_each(|value| data.extend(value.to_le_bytes()));
                (3, values.len())
            }
            Value::Long(values) => {
                values.iter().for_each(|value| data.extend(value.to_le_bytes()));
                (4, values.len())
            }
            Value::Offsets(values) => {
                values.iter().for_each(|&value| self.put_offset(&mut data, value));
                (if self.big { 16 } else { 4 }, values.len())
            }
            Value::Text(text) => {
                data.extend(text.bytes());
                data.push(0);
                (2, data.len())
            }
            Value::Bytes(bytes) => {
                data.extend(bytes);
                (7, bytes.len())
            }
        };
        table.extend(tag.to_le_bytes());
        table.extend(kind.to_le_bytes());
        self.put_offset(table, count as u64);
        let room = if self.big { 8 } else { 4 };
        if data.len() <= room {
            data.resize(room, 0);
            table.extend(data);
        } else {
            out.resize(out.len().next_multiple_of(8), 0);
            self.put_offset(table, start + out.len() as u64);
            out.extend(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories() -> Vec<Directory> {
        vec![
            Directory(vec![(256, Value::Long(vec![7])), (270, Value::Text("longer than eight".into()))]),
            Directory(vec![(324, Value::Offsets(vec![1 << 33, 5]))]),
        ]
    }

    fn number(bytes: &[u8], at: u64, width: usize) -> u64 {
        let mut value = [0; 8];
        value[..width].copy_from_slice(&bytes[at as usize..at as usize + width]);
        u64::from_le_bytes(value)
    }

    /// Walks what was laid out as a reader would: the tags with the eight bytes at their values.
    fn walk(big: bool) -> Vec<(u64, u64)> {
        let form = Form { big };
        let start = 4096;
        let (laid, first) = form.lay_out(&directories(), start);
        let mut bytes = form.header(first);
        assert_eq!(bytes.len(), if big { 16 } else { 8 });
        bytes.resize(start as usize, 0);
        bytes.extend(laid);
        bytes.extend([0; 8]);
        let (word, count_width, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
        let mut found = Vec::new();
        let mut at = number(&bytes, if big { 8 } else { 4 }, word);
        while at != 0 {
            let entries = number(&bytes, at, count_width);
            at += count_width as u64;
            for _ in 0..entries {
                let tag = number(&bytes, at, 2);
                let size = number(&bytes, at + 4, word) * if number(&bytes, at + 2, 2) == 2 { 1 } else { word as u64 };
                let value = at + 4 + word as u64;
                let place = if size > word as u64 { number(&bytes, value, word) } else { value };
                found.push((tag, number(&bytes, place, 8)));
                at += entry;
            }
            at = number(&bytes, at, word);
        }
        found
    }

    #[test]
    fn both_forms_lead_a_reader_to_every_value() {
        let text = u64::from_le_bytes(*b"longer t");
        assert_eq!(walk(true), [(256, 7), (270, text), (324, 1 << 33)]);
        let classic = walk(false);
        assert_eq!(classic[0].1 & 0xFFFF_FFFF, 7);
        assert_eq!(classic[1], (270, text));
        assert_eq!(classic[2], (324, 5 << 32));
    }
}
