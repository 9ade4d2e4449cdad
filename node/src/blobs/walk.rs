//! A walk over a copy's bytes as they lie on the disk, past the page cache: it neither hides what the disk changed nor
//! loses the pages that tiles are read from.

use super::{
    Blob, FILE,
    proof::Proof,
    tree::{self, GROUP_LEN},
};
use crate::disk::{
    direct::{self, ALIGNMENT},
    memory::Memory,
};
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, sync::Arc};

/// A copy that is walked over.
pub(crate) struct Walk {
    blob: Arc<Blob>,
    /// Nothing where the file system knows no direct reads.
    direct: Option<File>,
    file: File,
    proof: Proof,
    memory: Memory,
}

impl Walk {
    /// Opens a copy with a proof of its own. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where its hash tree is damaged, `NotFound` where it is not there any more.
    pub(crate) fn open(blob: Arc<Blob>) -> io::Result<Self> {
        let path = blob.folder.join(FILE);
        let direct = direct::open(File::options().read(true), &path);
        let proof = Proof::open(&blob.folder, blob.len(), &blob.root)?;
        Ok(Self { direct, file: File::open(path)?, proof, memory: Memory::default(), blob })
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
        // A group begins at a multiple of the alignment; what is read must end at one, too.
        let memory = self.memory.first(len.next_multiple_of(ALIGNMENT));
        let read = match &self.direct {
            Some(direct) => direct.read_at(memory, start).is_ok_and(|read| read >= len),
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
