//! A directory of a TIFF: the fields that describe one image. Values stay in the file until they are asked for, except
//! those that are small enough to lie in the field itself.

use super::header::{ByteOrder, Layout, Width};
use crate::{ReadAt, SlideError, error::Result, limits::FIELDS_MAX};

const ASCII: u16 = 2;
const LONG: u16 = 4;
const SLONG: u16 = 9;
const LONG8: u16 = 16;
const SLONG8: u16 = 17;

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
        let (fields_len, next_len) = (count as usize * layout.field_len(), layout.next_len());
        let len = fields_len + next_len + count as usize * layout.upper_len();
        start.checked_add(len as u64).filter(|&end| end <= source.len()).ok_or_else(outside)?;
        let mut bytes = vec![0; len];
        source.read_exact_at(&mut bytes, start)?;

        let (fields, rest) = bytes.split_at(fields_len);
        let (next, upper) = rest.split_at(next_len);
        let mut fields: Vec<Field> = fields
            .chunks_exact(layout.field_len())
            .enumerate()
            .map(|(index, bytes)| {
                let upper = upper.get(index * layout.upper_len()..(index + 1) * layout.upper_len());
                field(layout, bytes, start + (index * layout.field_len()) as u64, upper.unwrap_or_default())
            })
            .collect();
        // Writers must sort them and some do not; of a tag that stands there twice the first one counts, as in libtiff.
        fields.sort_by_key(|field| field.tag);
        fields.dedup_by_key(|field| field.tag);
        Ok((Self { fields }, layout.order.uint(next)))
    }
}

/// Reads one field; `at` is where it stands in the file, `upper` the upper half of its value.
fn field(layout: Layout, bytes: &[u8], at: u64, upper: &[u8]) -> Field {
    let (head, value) = bytes.split_at(bytes.len() - layout.value_len());
    let mut field = Field {
        tag: layout.order.uint(&head[..2]) as u16,
        kind: layout.order.uint(&head[2..4]) as u16,
        count: layout.order.uint(&head[4..]),
        at: at + head.len() as u64,
        inside: None,
    };
    let upper = layout.order.uint(upper);
    let fits =
        field.value_len().and_then(|len| len.checked_mul(field.count)).is_some_and(|len| len <= value.len() as u64);
    // NDPI keeps texts outside however short they are.
    if fits && !(layout.width == Width::Ndpi && field.kind == ASCII) {
        let mut inside = [0; 8];
        inside[..value.len()].copy_from_slice(value);
        if upper != 0 && matches!(field.kind, LONG | SLONG) {
            field.kind = if field.kind == LONG { LONG8 } else { SLONG8 };
            let whole = (upper << 32) | layout.order.uint(value);
            inside = match layout.order {
                ByteOrder::Little => whole.to_le_bytes(),
                ByteOrder::Big => whole.to_be_bytes(),
            };
        }
        field.inside = Some(inside);
    } else {
        field.at = (upper << 32) | layout.order.uint(value);
    }
    field
}
