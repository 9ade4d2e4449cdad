//! Opening an upload's folder: where to go on.
//!
//! Leaves are written after their data is durable, so they are trusted, but for the last ones, which a crash may have
//! torn: twice as many as are appended at once are proven again by hashing. Blocks.

use crate::{
    blobs::{
        FILE, LEAVES,
        tree::{self, GROUP_LEN, LEAF_LEN, Leaf, LeafHasher, SpineBuilder},
    },
    disk::{self, direct::Writing},
    incoming::Incoming,
    upload::{
        tail::Tail,
        writer::{LEAVES_AT_ONCE, Writer},
    },
};
use microtome_proto::limits::MATERIAL_SIZE_MAX;
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

/// Uploads of so many bytes are written past the page cache: they would push out what viewers look at, and are too large
/// to be kept there themselves. (Unit tests write nearly all of them so.)
const PAST_CACHE_FROM: u64 = if cfg!(test) { 1 } else { 256 << 20 };
/// Groups that are proven again.
const PROVEN_AGAIN: usize = 2 * LEAVES_AT_ONCE;

impl Writer {
    /// A writer that goes on at the end of what is durable in the folder.
    pub(crate) fn resume(incoming: &Incoming) -> io::Result<Self> {
        let size = incoming.size();
        let file = incoming.open_file(FILE)?;
        let leaves_file = incoming.open_file(LEAVES)?;
        disk::sync_folder(incoming.folder())?;
        // What is only in the page cache survives this process, and not the machine.
        leaves_file.sync_all()?;
        let mut leaves = stored_leaves(&leaves_file, size)?;
        leaves.truncate(whole_groups(&file, size)?);
        // It stays until the right one is written over it.
        let early = is_early(&file, size, &leaves)?;
        let sound = if early { 0 } else { sound_prefix(&file, size, &leaves)? };
        leaves.truncate(sound);
        if !early {
            // A finished list has no byte too many.
            shorten(&leaves_file, leaves.len() as u64 * LEAF_LEN)?;
        }

        let file = if size < PAST_CACHE_FROM {
            Writing::through_cache(file)
        } else {
            Writing::past_cache(file, &incoming.folder().join(FILE))
        };
        let mut spine = SpineBuilder::new(size);
        leaves.iter().for_each(|leaf| spine.push(*leaf));
        let count = leaves.len() as u64;
        let mut writer = Self {
            folder: incoming.folder().to_owned(),
            hasher: LeafHasher::new(size, count),
            file: Arc::new(file),
            leaves: Arc::new(leaves_file),
            size,
            spine,
            fresh: Vec::new(),
            fresh_from: count,
        };
        if early {
            writer.take_up(size, |_| true)?;
        } else if let Some(tail) = Tail::read(&writer.folder) {
            writer.take_up(tail.offset(), |leaf| tail.leaf() == Some(leaf))?;
        }
        // What was refused, or came without becoming durable, takes no room.
        shorten(writer.file.file(), writer.offset())?;
        if size == 0 && count == 0 {
            // The empty file has one leaf and no byte that could bring it.
            let leaf = tree::leaf(0, 0, &[]);
            writer.spine.push(leaf);
            writer.fresh.push(leaf);
        }
        Ok(writer)
    }

    /// Goes on at `offset` within the group that has no leaf yet, or at its end, if its bytes are there and have the leaf
    /// that `is_right`. The end had not been known to be one where the size was told later.
    fn take_up(&mut self, offset: u64, is_right: impl Fn(Leaf) -> bool) -> io::Result<()> {
        let index = self.fresh_from;
        let group = tree::group_range(self.size, index);
        let within = group.start < offset && offset <= group.end;
        if !within || self.file.file().metadata()?.len() < offset {
            return Ok(());
        }
        let mut bytes = vec![0; (offset - group.start) as usize];
        self.file.file().read_exact_at(&mut bytes, group.start)?;
        if [self.size, MATERIAL_SIZE_MAX].iter().any(|&size| is_right(tree::leaf(size, index, &bytes))) {
            let Self { hasher, spine, fresh, .. } = self;
            hasher.update(&bytes, |leaf| {
                spine.push(leaf);
                fresh.push(leaf);
            });
        }
        Ok(())
    }
}

/// Whether the leaf of a file's only group was written while the size was not known: as the first group of several it has
/// another.
fn is_early(file: &File, size: u64, leaves: &[Leaf]) -> io::Result<bool> {
    Ok(tree::group_count(size) == 1 && !leaves.is_empty() && is_sound(file, size, MATERIAL_SIZE_MAX, leaves, 0)?)
}

/// Cuts off what lies behind `len`, durably. A file that has nothing there is left alone, and its time with it.
fn shorten(file: &File, len: u64) -> io::Result<()> {
    if file.metadata()?.len() > len {
        file.set_len(len)?;
        file.sync_all()?;
    }
    Ok(())
}

fn stored_leaves(file: &File, size: u64) -> io::Result<Vec<Leaf>> {
    let count = (file.metadata()?.len() / LEAF_LEN).min(tree::group_count(size));
    let mut leaves = vec![Leaf::default(); usize::try_from(count).map_err(io::Error::other)?];
    file.read_exact_at(leaves.as_flattened_mut(), 0)?;
    Ok(leaves)
}

/// How many groups the file is long enough for.
fn whole_groups(file: &File, size: u64) -> io::Result<usize> {
    let len = file.metadata()?.len();
    let count = if len >= size { tree::group_count(size) } else { len / GROUP_LEN };
    usize::try_from(count).map_err(io::Error::other)
}

/// How many of the leaves, from the first on, have their groups in the file. Goes back in steps until one begins with a
/// sound group, then forward to the first that is not.
fn sound_prefix(file: &File, size: u64, leaves: &[Leaf]) -> io::Result<usize> {
    let step = PROVEN_AGAIN;
    let mut start = leaves.len().saturating_sub(step);
    while start > 0 && !is_sound(file, size, size, leaves, start)? {
        start = start.saturating_sub(step);
    }
    for index in start..leaves.len() {
        if !is_sound(file, size, size, leaves, index)? {
            return Ok(index);
        }
    }
    Ok(leaves.len())
}

/// Whether a group has its leaf: the one that it has in a file of `size_of_tree` bytes.
fn is_sound(file: &File, size: u64, size_of_tree: u64, leaves: &[Leaf], index: usize) -> io::Result<bool> {
    let range = tree::group_range(size, index as u64);
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(leaves.get(index) == Some(&tree::leaf(size_of_tree, index as u64, &bytes)))
}

#[cfg(test)]
#[path = "resume_test.rs"]
mod tests;
