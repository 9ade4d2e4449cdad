//! A walk over a copy's bytes as they lie on the disk, past the page cache: it neither hides what the disk changed nor
//! loses the pages that tiles are read from.

use super::{
    Blob, FILE,
    proof::Proof,
    tree::{self, GROUP_LEN},
};
use rustix::fs::OFlags;
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    sync::Arc,
};

/// What direct reads want of memory and places, on any disk; a group is a multiple of it.
const ALIGNMENT: usize = 4096;

/// A copy that is walked over.
pub(crate) struct Walk {
    blob: Arc<Blob>,
    /// Nothing where the file system knows no direct reads.
    direct: Option<File>,
    file: File,
    proof: Proof,
    memory: Vec<u8>,
}

impl Walk {
    /// Opens a copy with a proof of its own. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where its hash tree is damaged, `NotFound` where it is not there any more.
    pub(crate) fn open(blob: Arc<Blob>) -> io::Result<Self> {
        let path = blob.folder.join(FILE);
        let direct = File::options().read(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(&path).ok();
        let proof = Proof::open(&blob.folder, blob.len(), &blob.root)?;
        Ok(Self { direct, file: File::open(path)?, proof, memory: Vec::new(), blob })
    }

    /// The ones of `groups` that are not right on the disk. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where the hash tree is damaged.
    pub(crate) fn wrong(&mut self, groups: Range<u64>) -> io::Result<Vec<u64>> {
        let size = self.blob.len();
        let leaves = self.proof.leaves(groups.clone())?;
        let start = groups.start * GROUP_LEN;
        let len = (tree::group_range(size, groups.end.saturating_sub(1)).end - start) as usize;
        // Room to begin at a multiple of the alignment, and to end at one.
        self.memory.resize(len.next_multiple_of(ALIGNMENT) + ALIGNMENT, 0);
        let from = self.memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let memory = &mut self.memory[from..];
        let whole = len.next_multiple_of(ALIGNMENT);
        let read = match &self.direct {
            Some(direct) => direct.read_at(&mut memory[..whole], start).is_ok_and(|read| read >= len),
            None => self.file.read_exact_at(&mut memory[..len], start).is_ok(),
        };
        let mut wrong = Vec::new();
        for (index, leaf) in groups.zip(leaves) {
            let group = tree::group_range(size, index);
            let bytes = &mut memory[(group.start - start) as usize..(group.end - start) as usize];
            // What could not be read together may be read one by one.
            let is_read = read || self.file.read_exact_at(bytes, group.start).is_ok();
            if !is_read || tree::leaf(size, index, bytes) != leaf {
                wrong.push(index);
            }
        }
        Ok(wrong)
    }
}
