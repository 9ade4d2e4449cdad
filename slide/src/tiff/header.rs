//! The first bytes of a TIFF: its byte order, whether it is a BigTIFF, and where its first directory is.

use crate::{ReadAt, SlideError, error::Result};

/// The order of the bytes in a file's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// `II`: the lowest byte first.
    Little,
    /// `MM`: the highest byte first.
    Big,
}

impl ByteOrder {
    /// The unsigned number in `bytes`, of which there are at most eight.
    pub(crate) fn uint(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// How wide offsets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// TIFF 6.0: 32 bits.
    Classic,
    /// Hamamatsu's NDPI: directories as in classic files, but the offset of the next one has 64 bits, and behind it the
    /// upper halves of the fields' values and offsets follow, 32 bits for each field.
    Ndpi,
    /// BigTIFF: 64 bits.
    Big,
}

/// How the numbers and offsets of a file are laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) order: ByteOrder,
    pub(crate) width: Width,
}

impl Layout {
    /// Bytes of the room for values or their offset inside a field.
    pub(crate) fn value_len(self) -> usize {
        if self.width == Width::Big { 8 } else { 4 }
    }

    /// Bytes of the number of fields at the start of a directory.
    pub(crate) fn directory_count_len(self) -> usize {
        if self.width == Width::Big { 8 } else { 2 }
    }

    /// Bytes of one field of a directory.
    pub(crate) fn field_len(self) -> usize {
        if self.width == Width::Big { 20 } else { 12 }
    }

    /// Bytes of the offset of the next directory.
    pub(crate) fn next_len(self) -> usize {
        if self.width == Width::Classic { 4 } else { 8 }
    }

    /// Bytes at a directory's end that belong to each field.
    pub(crate) fn upper_len(self) -> usize {
        if self.width == Width::Ndpi { 4 } else { 0 }
    }
}

/// Reads the header: the layout and the offset of the first directory.
pub(crate) fn read(source: &dyn ReadAt) -> Result<(Layout, u64)> {
    let mut head = [0; 16];
    let have = source.len().min(16) as usize;
    source.read_exact_at(&mut head[..have], 0)?;
    let order = match &head[..2] {
        b"II" => ByteOrder::Little,
        b"MM" => ByteOrder::Big,
        _ => return Err(no_tiff(&head[..have])),
    };
    match (order.uint(&head[2..4]), have) {
        (42, 8..) => Ok((Layout { order, width: Width::Classic }, order.uint(&head[4..8]))),
        (43, 16) if order.uint(&head[4..6]) == 8 && order.uint(&head[6..8]) == 0 => {
            Ok((Layout { order, width: Width::Big }, order.uint(&head[8..16])))
        }
        _ => Err(no_tiff(&head[..have])),
    }
}

/// Says what the file begins like instead, where that is known.
fn no_tiff(head: &[u8]) -> SlideError {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"%PDF", "a PDF document"),
    ];
    let like = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning));
    SlideError::NotASlide(match like {
        Some((_, what)) => format!("it begins like {what}, not like a TIFF"),
        None if head.is_empty() => "the file is empty".into(),
        None => "it does not begin like a TIFF".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_and_both_sizes_are_told_apart() {
        let cases: [(&[u8], ByteOrder, Width, u64); 4] = [
            (b"II*\0\x10\0\0\0", ByteOrder::Little, Width::Classic, 16),
            (b"MM\0*\0\0\0\x10", ByteOrder::Big, Width::Classic, 16),
            (b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", ByteOrder::Little, Width::Big, 16),
            (b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10", ByteOrder::Big, Width::Big, 16),
        ];
        for (bytes, order, width, first) in cases {
            let (layout, offset) = read(&bytes.to_vec()).unwrap();
            assert_eq!((layout.order, layout.width, offset), (order, width, first), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_tiff_is_refused_by_what_it_looks_like() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "empty"),
            (b"II*\0\x10\0\0", "does not begin"),
            (b"II+\0\x04\0\0\0\x10\0\0\0\0\0\0\0", "does not begin"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"\xff\xd8\xff\xe0", "JPEG"),
            (b"some text", "does not begin"),
        ];
        for (bytes, part) in cases {
            match read(&bytes.to_vec()) {
                Err(SlideError::NotASlide(why)) => assert!(why.contains(part), "{why}"),
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
    }
}
