//! Where the tiles of an image are: long lists of numbers that stay in the file.
//!
//! The tables of a 20 GB slide take megabytes. They are never read as a whole: a look-up reads the one number, from
//! the page cache as a rule, which costs a fraction of a microsecond, takes no lock and leaves nothing in memory that
//! would have to be bounded. An opened slide so costs the same however much of it was looked at.

use super::header::ByteOrder;
use crate::{ReadAt, SlideError, error::Result};
use std::ops::Range;

/// A list of unsigned numbers in the file, proven to lie inside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) at: u64,
    pub(crate) count: u64,
    /// Bytes of one number.
    pub(crate) value_len: u8,
    pub(crate) order: ByteOrder,
}

impl Table {
    /// The number at `index`.
    pub(crate) fn get(&self, source: &dyn ReadAt, index: u64) -> Result<u64> {
        if index >= self.count {
            return Err(SlideError::Outside(format!("entry {index} of a table of {}", self.count)));
        }
        let mut value = [0; 8];
        let value = &mut value[..usize::from(self.value_len).min(8)];
        source.read_exact_at(value, self.at + index * u64::from(self.value_len))?;
        Ok(self.order.uint(value))
    }

    /// Whether one of the numbers with these indices is 0. Nothing is allocated.
    pub(crate) fn any_zero(&self, source: &dyn ReadAt, indices: Range<u64>) -> Result<bool> {
        if indices.start >= indices.end {
            return Ok(false);
        }
        if indices.end > self.count {
            return Err(SlideError::Outside(format!("entry {} of a table of {}", indices.end - 1, self.count)));
        }
        let value_len = usize::from(self.value_len).clamp(1, 8);
        let mut buffer = [0; 4096];
        let mut at = indices.start;
        while at < indices.end {
            let count = (indices.end - at).min((buffer.len() / value_len) as u64);
            let values = &mut buffer[..count as usize * value_len];
            source.read_exact_at(values, self.at + at * value_len as u64)?;
            if values.chunks_exact(value_len).any(|value| value.iter().all(|&byte| byte == 0)) {
                return Ok(true);
            }
            at += count;
        }
        Ok(false)
    }
}
