//! A copy that is read from end to end to be sent on: past the page cache, unless it is in there already. Neither does it push
//! out what tiles are read from, nor are its bytes copied once more.

use super::{
    Blob, FILE,
    tree::{self, GROUP_LEN},
};
use crate::disk::{
    direct::{self, ALIGNMENT},
    memory::Memory,
};
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

/// A copy that goes by.
pub(crate) struct Passing {
    blob: Arc<Blob>,
    /// Nothing where the file system knows no direct reads.
    direct: Option<File>,
}

impl Passing {
    /// Blocks.
    pub(crate) fn open(blob: Arc<Blob>) -> Self {
        let direct = direct::open(File::options().read(true), &blob.folder.join(FILE));
        Self { blob, direct }
    }

    /// Fills the first `len` bytes of `memory` from `offset` on, as [`Blob::read_for_others`] does. Blocks.
    ///
    /// # Errors
    /// Those of [`Blob::read_for_others`].
    pub(crate) fn read(&self, memory: &mut Memory, len: usize, offset: u64) -> io::Result<()> {
        match self.read_groups(memory, len, offset) {
            Ok(true) => Ok(()),
            // There it is found out what is wrong, and told.
            Ok(false) | Err(_) => self.blob.read_for_others(memory.first(len), offset),
        }
    }

    /// Whether whole groups could be read, and are right.
    fn read_groups(&self, memory: &mut Memory, len: usize, offset: u64) -> io::Result<bool> {
        let (end, size) = (offset + len as u64, self.blob.len());
        let is_whole = offset.is_multiple_of(GROUP_LEN) && (end.is_multiple_of(GROUP_LEN) || end == size);
        let (Some(direct), true) = (&self.direct, is_whole && len > 0) else { return Ok(false) };
        let groups = self.blob.groups(len, offset)?;
        let opened = self.blob.opened()?;
        let leaves = opened.proof.leaves(groups.clone())?;
        // A group begins at a multiple of the alignment; what is read must end at one, too.
        let buffer = memory.first(len.next_multiple_of(ALIGNMENT));
        let cached = opened.cached(&mut buffer[..len], offset) / ALIGNMENT * ALIGNMENT;
        if cached < len && direct.read_at(&mut buffer[cached..], offset + cached as u64)? < len - cached {
            return Ok(false);
        }
        Ok(groups.zip(leaves).all(|(index, leaf)| {
            let group = tree::group_range(size, index);
            let bytes = buffer.get((group.start - offset) as usize..(group.end - offset) as usize);
            bytes.is_some_and(|bytes| tree::leaf(size, index, bytes) == leaf)
        }))
    }
}
