//! The writing end of an upload: bytes to the file, leaves of the hash tree along with them. Blocks.
//!
//! What is durable grows by [`Checkpoint`]s: the data is synced, then its leaves are appended and synced, then, where
//! bytes end within a group, a note of that tail is written. So whatever a crash leaves behind, the leaves and the tail
//! tell what is there, and only the last of them need to be proven again.

use crate::{
    blobs::tree::{self, GROUP_LEN, LEAF_LEN, Leaf, LeafHasher, SpineBuilder},
    disk::direct::Writing,
    upload::{CHECKPOINT_BYTES, tail::Tail},
};
use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc};

/// Leaves that are appended at once. (In unit tests so few that small files have many of them.)
pub(super) const LEAVES_AT_ONCE: usize = if cfg!(test) { 4 } else { (CHECKPOINT_BYTES / GROUP_LEN) as usize };

/// Writes one upload, in order.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) file: Arc<Writing>,
    pub(super) leaves: Arc<File>,
    pub(super) size: u64,
    pub(super) hasher: LeafHasher,
    pub(super) spine: SpineBuilder,
    /// Leaves that no checkpoint has taken yet, and the group of the first of them.
    pub(super) fresh: Vec<Leaf>,
    pub(super) fresh_from: u64,
}

impl Writer {
    /// Where the next byte belongs: all before it is written, though not durable yet.
    pub(crate) fn offset(&self) -> u64 {
        self.hasher.offset()
    }

    /// Whether all bytes are written.
    pub(crate) fn is_whole(&self) -> bool {
        self.offset() == self.size
    }

    /// Bytes of whole groups that no checkpoint has taken yet.
    pub(crate) fn fresh_bytes(&self) -> u64 {
        self.fresh.len() as u64 * GROUP_LEN
    }

    /// Writes and hashes the next bytes; they must not go beyond the size. Where it fails nothing has changed.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.size - self.offset() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more bytes than were announced"));
        }
        self.file.write_at(bytes, self.offset())?;
        let Self { hasher, spine, fresh, .. } = self;
        hasher.update(bytes, |leaf| {
            spine.push(leaf);
            fresh.push(leaf);
        });
        Ok(())
    }

    /// Takes what has been written since the last checkpoint, to be made durable: whole groups only, or the begun one
    /// too. Checkpoints have to be committed in order.
    pub(crate) fn checkpoint(&mut self, with_tail: bool) -> Checkpoint {
        let first = self.fresh_from;
        let leaves = std::mem::take(&mut self.fresh);
        self.fresh_from += leaves.len() as u64;
        let tail = if with_tail { self.hasher.begun() } else { None };
        let tail = tail.map(|(leaf, _)| Tail::new(self.offset(), &leaf));
        let groups_end = tree::group_range(self.size, self.fresh_from).start;
        let offset = tail.as_ref().map_or(groups_end, Tail::offset);
        Checkpoint {
            folder: self.folder.clone(),
            file: Arc::clone(&self.file),
            leaves_file: Arc::clone(&self.leaves),
            first,
            leaves,
            tail,
            offset,
        }
    }

    /// The spine of the whole file; `None` where it is not whole.
    pub(crate) fn finish(self) -> Option<Vec<Leaf>> {
        self.spine.finish()
    }
}

/// A step that makes written bytes durable, apart from the writer, which may go on meanwhile.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    folder: PathBuf,
    file: Arc<Writing>,
    leaves_file: Arc<File>,
    first: u64,
    leaves: Vec<Leaf>,
    tail: Option<Tail>,
    offset: u64,
}

impl Checkpoint {
    /// Makes it durable; answers how many bytes from the start are durable then. After an error the writer is of no
    /// use any more: the upload has to be opened anew.
    pub(crate) fn commit(self) -> io::Result<u64> {
        if self.leaves.is_empty() && self.tail.is_none() {
            return Ok(self.offset);
        }
        self.file.file().sync_data()?;
        if !self.leaves.is_empty() {
            let place = self.first * LEAF_LEN;
            let before = self.leaves_file.metadata()?.len();
            if let Err(error) = self.append_leaves() {
                // What is in memory only must not be taken for durable when the upload is opened again.
                let _ = self.leaves_file.set_len(before.max(place));
                return Err(error);
            }
        }
        if let Some(tail) = &self.tail {
            tail.write(&self.folder)?;
        }
        Ok(self.offset)
    }

    /// Appends the leaves.
    fn append_leaves(&self) -> io::Result<()> {
        for (place, leaves) in self.steps() {
            self.leaves_file.write_all_at(leaves, place)?;
            self.leaves_file.sync_data()?;
        }
        Ok(())
    }

    /// What is appended at once, and where: never more than is proven again after a crash, which may tear what is not synced
    /// yet.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let places = (self.first * LEAF_LEN..).step_by(LEAVES_AT_ONCE * LEAF_LEN as usize);
        places.zip(self.leaves.chunks(LEAVES_AT_ONCE).map(<[Leaf]>::as_flattened))
    }
}
