//! A directory of a TIFF: the fields that describe one image. Values stay in the file until they are asked for, except
//! those that are small enough to lie in the field itself.

use super::header::Layout;
use crate::{ReadAt, SlideError, error::Result, limits::FIELDS_MAX};

/// One field: a tag and where its values are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) tag: u16,
    /// The type number of TIFF 6.0.
    pub(crate) kind: u16,
    /// How many values the file claims.
    pub(crate) count: u64,
    /// Where the values are in the file.
    pub(crate) at: u64,
    /// The values themselves, where they fit into the field.
    pub(crate) inside: Option<[u8; 8]>,
}

impl Field {
    /// Bytes of one value, or nothing where the type is unknown.
    pub(crate) fn value_len(&self) -> Option<u64> {
        Some(match self.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => return None,
        })
    }

    /// Whether the values are unsigned whole numbers: BYTE, SHORT, LONG, IFD, LONG8 or IFD8.
    pub(crate) fn is_uint(&self) -> bool {
        matches!(self.kind, 1 | 3 | 4 | 13 | 16 | 18)
    }
}

/// The fields of one image, sorted by tag.
#[derive(Debug)]
pub(crate) struct Directory {
    fields: Vec<Field>,
}

impl Directory {
    /// The field with this tag.
    pub(crate) fn field(&self, tag: u16) -> Option<&Field> {
        self.fields.binary_search_by_key(&tag, |field| field.tag).ok().map(|index| &self.fields[index])
    }

    /// Whether there is a field with this tag.
    pub(crate) fn has(&self, tag: u16) -> bool {
        self.field(tag).is_some()
    }

    /// Reads the directory at `offset`; also says where the next one is, 0 for nowhere.
    pub(crate) fn read(source: &dyn ReadAt, layout: Layout, offset: u64) -> Result<(Self, u64)> {
        let outside = || SlideError::Damaged(format!("the TIFF directory at byte {offset} lies outside the file"));
        let mut count = [0; 8];
        let count = &mut count[..layout.directory_count_len()];
        let start =
            offset.checked_add(count.len() as u64).filter(|&start| start <= source.len()).ok_or_else(outside)?;
        source.read_exact_at(count, offset)?;
        let count = layout.order.uint(count);
        if count == 0 || count > FIELDS_MAX {
            return Err(SlideError::Damaged(format!(
                "the TIFF directory at byte {offset} claims {count} fields; 1 to {FIELDS_MAX} are read"
            )));
        }
        let len = count as usize * layout.field_len() + layout.offset_len();
        start.checked_add(len as u64).filter(|&end| end <= source.len()).ok_or_else(outside)?;
        let mut bytes = vec![0; len];
        source.read_exact_at(&mut bytes, start)?;

        let (fields, next) = bytes.split_at(len - layout.offset_len());
        let mut fields: Vec<Field> = fields
            .chunks_exact(layout.field_len())
            .enumerate()
            .map(|(index, bytes)| field(layout, bytes, start + (index * layout.field_len()) as u64))
            .collect();
        // Writers must sort them and some do not; of a tag that stands there twice the first one counts, as in libtiff.
        fields.sort_by_key(|field| field.tag);
        fields.dedup_by_key(|field| field.tag);
        Ok((Self { fields }, layout.order.uint(next)))
    }
}

/// Reads one field; `at` is where it stands in the file.
fn field(layout: Layout, bytes: &[u8], at: u64) -> Field {
    let (head, value) = bytes.split_at(bytes.len() - layout.offset_len());
    let mut field = Field {
        tag: layout.order.uint(&head[..2]) as u16,
        kind: layout.order.uint(&head[2..4]) as u16,
        count: layout.order.uint(&head[4..]),
        at: at + head.len() as u64,
        inside: None,
    };
    let len = field.value_len().and_then(|len| len.checked_mul(field.count));
    if len.is_some_and(|len| len <= value.len() as u64) {
        let mut inside = [0; 8];
        inside[..value.len()].copy_from_slice(value);
        field.inside = Some(inside);
    } else {
        field.at = layout.order.uint(value);
    }
    field
}
