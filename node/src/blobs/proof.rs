//! Leaves that are proven when they are first needed.
//!
//! The spine (32 bytes for 16 MiB) is proven against the hash when the copy is opened, in microseconds; a block of
//! leaves against its place in the spine when one of them is first wanted. So the first tile of a 20 GB slide waits
//! for the proof of 1024 leaves, not of a million.

use super::{
    FILE,
    bits::Bits,
    tree::{self, BLOCK_GROUPS, LEAF_LEN, Leaf},
};
use crate::disk;
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, path::Path};

/// The name of the leaves' file.
pub(crate) const LEAVES: &str = "leaves";
/// The name of the spine's file, absent where a file has one block only.
pub(crate) const SPINE: &str = "spine";

/// A copy's leaves on disk.
#[derive(Debug)]
pub(crate) struct Proof {
    size: u64,
    leaves: File,
    spine: Vec<Leaf>,
    proven: Bits,
}

/// The file does not have the bytes that were written: the disk changed them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub(crate) String);

pub(crate) fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Damaged(what.into()))
}

/// Whether an error says that the disk changed what had been written.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

impl Proof {
    /// Opens the leaves in `folder` of a file of `size` bytes with the hash `root`.
    pub(crate) fn open(folder: &Path, size: u64, root: &Leaf) -> io::Result<Self> {
        let leaves = File::open(folder.join(LEAVES)).map_err(|error| match error.kind() {
            // It is the leaves that are not there, not the copy.
            io::ErrorKind::NotFound if folder.join(FILE).exists() => damaged("the hash tree is missing"),
            _ => error,
        })?;
        let expected = tree::group_count(size) * LEAF_LEN;
        if leaves.metadata()?.len() != expected {
            return Err(damaged(format!("{} does not have {expected} bytes", folder.join(LEAVES).display())));
        }
        let spine = match stored_spine(folder, size, root)? {
            Some(spine) => spine,
            None => spine_again(folder, &leaves, size, root)?,
        };
        Ok(Self { size, leaves, spine, proven: Bits::new(tree::block_count(size)) })
    }

    /// The spine, proven.
    pub(crate) fn spine(&self) -> &[Leaf] {
        &self.spine
    }

    /// The leaves of `groups`, of blocks that were proven when one of them was first wanted: the disk may have changed them
    /// since, so that no bytes have them.
    pub(crate) fn leaves(&self, groups: Range<u64>) -> io::Result<Vec<Leaf>> {
        self.read(groups, true)
    }

    /// The leaves of `groups`, proven now.
    pub(crate) fn leaves_anew(&self, groups: Range<u64>) -> io::Result<Vec<Leaf>> {
        self.read(groups, false)
    }

    fn read(&self, groups: Range<u64>, trusts: bool) -> io::Result<Vec<Leaf>> {
        let mut wanted = Vec::new();
        for index in groups.start / BLOCK_GROUPS..groups.end.div_ceil(BLOCK_GROUPS) {
            let block = tree::block_range(self.size, index);
            let part = groups.start.max(block.start)..groups.end.min(block.end);
            if trusts && self.proven.get(index) {
                wanted.extend(read_leaves(&self.leaves, part)?);
                continue;
            }
            let all = read_leaves(&self.leaves, block.clone())?;
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            if self.spine.get(place) != Some(&tree::block(self.size, &all)) {
                return Err(damaged(format!("block {index} of the hash tree is damaged")));
            }
            self.proven.set(index);
            let part = (part.start - block.start) as usize..(part.end - block.start) as usize;
            wanted.extend_from_slice(all.get(part).unwrap_or_default());
        }
        Ok(wanted)
    }
}

fn read_leaves(file: &File, groups: Range<u64>) -> io::Result<Vec<Leaf>> {
    let count = usize::try_from(groups.end - groups.start).map_err(io::Error::other)?;
    let mut leaves = vec![Leaf::default(); count];
    file.read_exact_at(leaves.as_flattened_mut(), groups.start * LEAF_LEN)?;
    Ok(leaves)
}

/// The spine as stored, if it is there and proves the root.
fn stored_spine(folder: &Path, size: u64, root: &Leaf) -> io::Result<Option<Vec<Leaf>>> {
    if tree::block_count(size) == 1 {
        return Ok(Some(vec![*root]));
    }
    let bytes = match std::fs::read(folder.join(SPINE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let spine = tree::from_bytes(&bytes);
    let whole = bytes.len() as u64 == tree::block_count(size) * LEAF_LEN;
    Ok((whole && tree::root(&spine) == *root).then_some(spine))
}

/// The spine follows from the leaves: a lost or damaged one is made anew.
fn spine_again(folder: &Path, leaves: &File, size: u64, root: &Leaf) -> io::Result<Vec<Leaf>> {
    let spine = spine_of(leaves, size)?;
    if tree::root(&spine) != *root {
        return Err(damaged("the hash tree is damaged"));
    }
    tracing::warn!(folder = %folder.display(), "the spine of the hash tree was damaged; it has been made anew");
    disk::write(&folder.join(SPINE), &tree::to_bytes(&spine))?;
    Ok(spine)
}

/// Reads all leaves and folds them.
fn spine_of(leaves: &File, size: u64) -> io::Result<Vec<Leaf>> {
    let mut spine = Vec::new();
    for index in 0..tree::block_count(size) {
        spine.push(tree::block(size, &read_leaves(leaves, tree::block_range(size, index))?));
    }
    Ok(spine)
}
