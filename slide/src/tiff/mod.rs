//! TIFF and BigTIFF: directories and their values, read by offset. Owns the file format and nothing of what the values
//! mean; must never trust a count, an offset or a length from the file.

mod directory;
mod header;
mod table;
pub(crate) mod tags;

pub(crate) use directory::Directory;
pub(crate) use header::ByteOrder;
pub(crate) use table::Table;

use crate::{
    ReadAt, SlideError,
    error::Result,
    limits::{DIRECTORIES_MAX, LEVELS_MAX, TEXT_LEN_MAX},
};
use directory::Field;
use header::{Layout, Width};
use std::collections::HashSet;

/// A TIFF while it is being opened.
pub(crate) struct Tiff<'a> {
    source: &'a dyn ReadAt,
    layout: Layout,
    /// The images of the main chain, in the file's order; there is at least one.
    pub(crate) directories: Vec<Directory>,
}

impl<'a> Tiff<'a> {
    /// Reads the header and all directories, but none of the values outside them.
    pub(crate) fn open(source: &'a dyn ReadAt) -> Result<Self> {
        let (layout, offset) = header::read(source)?;
        let (layout, mut offset) = ndpi(source, layout)?.unwrap_or((layout, offset));
        let (mut directories, mut seen) = (Vec::new(), HashSet::new());
        while offset != 0 {
            if !seen.insert(offset) {
                return Err(SlideError::Damaged(format!("the TIFF directories form a loop at byte {offset}")));
            }
            if directories.len() == DIRECTORIES_MAX {
                return Err(SlideError::Unsupported(format!("a TIFF with more than {DIRECTORIES_MAX} images")));
            }
            let (directory, next) = Directory::read(source, layout, offset)?;
            directories.push(directory);
            offset = next;
        }
        if directories.is_empty() {
            return Err(SlideError::NotASlide("the TIFF holds no image".into()));
        }
        Ok(Self { source, layout, directories })
    }

    /// The directories that hang below `directory` by its SubIFDs, as many as a pyramid may have. Their own chains and
    /// children are not followed.
    pub(crate) fn children(&self, directory: &Directory) -> Result<Vec<Directory>> {
        let Some(offsets) = self.table(directory, tags::SUB_IFDS)? else { return Ok(Vec::new()) };
        let offsets = (0..offsets.count.min(LEVELS_MAX as u64)).map(|index| offsets.get(self.source, index));
        let read = |offset| Ok(Directory::read(self.source, self.layout, offset?)?.0);
        offsets.filter(|offset| !matches!(offset, Ok(0))).map(read).collect()
    }

    /// The order of the bytes in samples of 16 bits.
    pub(crate) fn byte_order(&self) -> ByteOrder {
        self.layout.order
    }

    /// The first number of a field.
    pub(crate) fn uint(&self, directory: &Directory, tag: u16) -> Result<Option<u64>> {
        let Some(field) = directory.field(tag).filter(|field| field.count > 0) else { return Ok(None) };
        let len = field.value_len().filter(|_| field.is_uint()).ok_or_else(|| strange(field))?;
        let bytes = self.bytes_of(field, len)?;
        Ok(Some(self.layout.order.uint(&bytes)))
    }

    /// The first number of a field that may be below zero.
    pub(crate) fn int(&self, directory: &Directory, tag: u16) -> Result<Option<i64>> {
        let Some(field) = directory.field(tag).filter(|field| field.count > 0) else { return Ok(None) };
        let bits = match field.kind {
            6 => 8,
            8 => 16,
            9 => 32,
            17 => 64,
            _ => return Ok(self.uint(directory, tag)?.and_then(|number| i64::try_from(number).ok())),
        };
        let number = self.layout.order.uint(&self.bytes_of(field, bits / 8)?);
        // The sign is the highest bit of as many as there are.
        Ok(Some((number << (64 - bits)) as i64 >> (64 - bits)))
    }

    /// All numbers of a field, of which there may be `count_max`; none where the field is missing.
    pub(crate) fn uints(&self, directory: &Directory, tag: u16, count_max: u64) -> Result<Vec<u64>> {
        let Some(field) = directory.field(tag) else { return Ok(Vec::new()) };
        let usable = field.is_uint() && field.count <= count_max;
        let len = field.value_len().filter(|_| usable).ok_or_else(|| strange(field))?;
        let bytes = self.bytes_of(field, len * count_max)?;
        Ok(bytes.chunks_exact(len as usize).map(|value| self.layout.order.uint(value)).collect())
    }

    /// The text of a field, up to [`TEXT_LEN_MAX`] bytes and its first NUL.
    pub(crate) fn text(&self, directory: &Directory, tag: u16) -> Result<Option<String>> {
        let Some(field) = directory.field(tag).filter(|field| is_text(field)) else { return Ok(None) };
        Ok(Some(decoded(self.bytes_of(field, TEXT_LEN_MAX)?)))
    }

    /// The text of a field of at most `len_max` bytes up to its first NUL, and where it begins in the file.
    pub(crate) fn long_text(&self, directory: &Directory, tag: u16, len_max: u64) -> Result<Option<(String, u64)>> {
        let Some(field) = directory.field(tag).filter(|field| is_text(field)) else { return Ok(None) };
        if field.count > len_max {
            return Err(SlideError::Unsupported(format!("a text of {} bytes in tag {tag}", field.count)));
        }
        Ok(Some((decoded(self.bytes_of(field, len_max)?), field.at)))
    }

    /// The bytes of a field, of which there may be `len_max`.
    pub(crate) fn bytes(&self, directory: &Directory, tag: u16, len_max: u64) -> Result<Option<Vec<u8>>> {
        let Some(field) = directory.field(tag) else { return Ok(None) };
        if !matches!(field.kind, 1 | 7) || field.count > len_max {
            return Err(strange(field));
        }
        self.bytes_of(field, len_max).map(Some)
    }

    /// Bytes at a place that no field has as its own; there are few of them.
    pub(crate) fn piece(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        match at.checked_add(len) {
            Some(end) if end <= self.source.len() && len <= TEXT_LEN_MAX => {
                let mut bytes = vec![0; len as usize];
                self.source.read_exact_at(&mut bytes, at)?;
                Ok(bytes)
            }
            _ => Err(SlideError::Damaged(format!("{len} bytes at byte {at} lie outside the file"))),
        }
    }

    /// The one number of a field that need not be whole.
    pub(crate) fn number(&self, directory: &Directory, tag: u16) -> Result<Option<f64>> {
        let Some(field) = directory.field(tag) else { return Ok(None) };
        let bytes = self.bytes_of(field, 8)?;
        let order = self.layout.order;
        Ok(match (field.kind, bytes.len()) {
            (5, 8) => Some(order.uint(&bytes[..4]) as f64 / order.uint(&bytes[4..]) as f64),
            (11, 4..) => Some(f64::from(f32::from_bits(order.uint(&bytes[..4]) as u32))),
            (12, 8) => Some(f64::from_bits(order.uint(&bytes))),
            _ => self.uint(directory, tag)?.map(|number| number as f64),
        }
        .filter(|number| number.is_finite()))
    }

    /// The numbers of a field, whole ones or fractions, where it has exactly so many and no fraction is of 0.
    pub(crate) fn numbers<const COUNT: usize>(&self, directory: &Directory, tag: u16) -> Result<Option<[f32; COUNT]>> {
        let Some(field) = directory.field(tag).filter(|field| field.kind == 5 || field.is_uint()) else {
            return Ok(None);
        };
        let Some(len) = field.value_len().filter(|_| field.count == COUNT as u64) else { return Ok(None) };
        let bytes = self.bytes_of(field, len * COUNT as u64)?;
        let order = self.layout.order;
        let number = |value: &[u8]| match field.kind {
            5 => (order.uint(&value[..4]) as f64 / order.uint(&value[4..]) as f64) as f32,
            _ => order.uint(value) as f32,
        };
        let numbers = bytes.chunks_exact(len as usize).map(number).filter(|number| number.is_finite());
        Ok(numbers.collect::<Vec<f32>>().try_into().ok())
    }

    /// The numbers of a field as a table that stays in the file.
    pub(crate) fn table(&self, directory: &Directory, tag: u16) -> Result<Option<Table>> {
        directory.field(tag).map_or(Ok(None), |field| self.table_of(field))
    }

    fn table_of(&self, field: &Field) -> Result<Option<Table>> {
        if field.count == 0 {
            return Ok(None);
        }
        let len = field.value_len().filter(|_| field.is_uint()).ok_or_else(|| strange(field))?;
        self.check_inside(field)?;
        Ok(Some(Table { at: field.at, count: field.count, value_len: len as u8, order: self.layout.order }))
    }

    /// The first bytes of a field's values, at most `len_max`.
    fn bytes_of(&self, field: &Field, len_max: u64) -> Result<Vec<u8>> {
        let len = self.check_inside(field)?.min(len_max) as usize;
        if let Some(inside) = field.inside {
            return Ok(inside[..len.min(8)].to_vec());
        }
        let mut bytes = vec![0; len];
        self.source.read_exact_at(&mut bytes, field.at)?;
        Ok(bytes)
    }

    /// The length of a field's values in bytes, once it is sure that the file has them.
    fn check_inside(&self, field: &Field) -> Result<u64> {
        let len = field.value_len().ok_or_else(|| strange(field))?.checked_mul(field.count);
        let fits = |len: u64| field.at.checked_add(len).is_some_and(|end| end <= self.source.len());
        len.filter(|&len| fits(len)).ok_or_else(|| {
            SlideError::Damaged(format!(
                "tag {} claims {} values at byte {}, more than the file has",
                field.tag, field.count, field.at
            ))
        })
    }
}

/// Looks whether a classic file is an NDPI: its first directory's offset, taken with 64 bits, must lead to one that has
/// Hamamatsu's mark.
fn ndpi(source: &dyn ReadAt, layout: Layout) -> Result<Option<(Layout, u64)>> {
    if layout.width != Width::Classic || source.len() < 12 {
        return Ok(None);
    }
    let mut offset = [0; 8];
    source.read_exact_at(&mut offset, 4)?;
    let (layout, offset) = (Layout { width: Width::Ndpi, ..layout }, layout.order.uint(&offset));
    match Directory::read(source, layout, offset) {
        Ok((first, _)) if first.has(tags::NDPI_FORMAT) => Ok(Some((layout, offset))),
        Err(SlideError::Io(error)) => Err(error.into()),
        _ => Ok(None),
    }
}

fn is_text(field: &Field) -> bool {
    matches!(field.kind, 1 | 2 | 7)
}

/// Text up to the first NUL.
fn decoded(mut bytes: Vec<u8>) -> String {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    match String::from_utf8(bytes) {
        Ok(text) => text,
        // Cut off inside a character, or from the times before UTF-8.
        Err(error) => match error.utf8_error() {
            cut if cut.error_len().is_none() => String::from_utf8_lossy(&error.as_bytes()[..cut.valid_up_to()]).into(),
            _ => error.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
        },
    }
}

fn strange(field: &Field) -> SlideError {
    SlideError::Damaged(format!("tag {} has {} values of type {}", field.tag, field.count, field.kind))
}
